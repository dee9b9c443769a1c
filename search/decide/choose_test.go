package decide_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

// small is a plan over a few random dims of a tiny model.
func small(t *testing.T, seed uint64, dims int) (*space.Space, *space.CostModel, *rand.Rand) {
	t.Helper()
	b := runtest.New(t, "fashion-tiny")
	p := b.Plan(t)
	r := rand.New(rand.NewPCG(seed, 1))
	s := &space.Space{Source: p.Space.Source}
	for _, i := range r.Perm(len(p.Space.Dims))[:dims] {
		s.Dims = append(s.Dims, p.Space.Dims[i])
	}
	net, err := space.Entangle(p.An, s, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Cost(space.MACs)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, r
}

func total(score [][]float64, choice []int) float64 {
	sum := 0.0
	for d, k := range choice {
		sum += score[d][k]
	}
	return sum
}

// exhaustive returns the largest score within the limit.
func exhaustive(s *space.Space, c *space.CostModel, limit float64, score [][]float64) float64 {
	best := math.Inf(-1)
	choice := make([]int, len(s.Dims))
	for {
		if c.At(choice) <= limit {
			best = max(best, total(score, choice))
		}
		d := len(choice) - 1
		for ; d >= 0; d-- {
			if choice[d]++; choice[d] < len(s.Dims[d].Choices) {
				break
			}
			choice[d] = 0
		}
		if d < 0 {
			return best
		}
	}
}

// TestChoose: on random spaces, scores and limits the choice never exceeds the
// limit and is close to the best there is; most are the best.
func TestChoose(t *testing.T) {
	exact, cases := 0, 0
	for seed := range uint64(8) {
		s, c, r := small(t, seed, 6)
		for range 6 {
			score := make([][]float64, len(s.Dims))
			for d, dim := range s.Dims {
				sum := 0.0
				for range dim.Choices {
					score[d] = append(score[d], 0.02+r.Float64())
					sum += score[d][len(score[d])-1]
				}
				for k := range score[d] {
					score[d][k] = math.Log(score[d][k] / sum)
				}
			}
			low, high := c.At(s.Smallest()), c.At(s.Largest())
			limit := low + (0.05+0.9*r.Float64())*(high-low)
			got, err := decide.Choose(s, at(c, limit), score)
			if err != nil {
				t.Fatal(err)
			}
			if v := c.At(got); v > limit {
				t.Errorf("seed %d: cost %g over the limit %g", seed, v, limit)
			}
			best, mine := exhaustive(s, c, limit, score), total(score, got)
			if best-mine > 1 {
				t.Errorf("seed %d: log-probability %g, the best within the limit is %g", seed, mine, best)
			}
			cases++
			if best-mine < 1e-9 {
				exact++
			}
		}
	}
	if exact*10 < cases*7 {
		t.Errorf("%d of %d choices are the best: want at least 7 of 10", exact, cases)
	}
}

// TestChooseEdges: no budget, a budget that one subnet meets, and one that none does.
func TestChooseEdges(t *testing.T) {
	s, c, _ := small(t, 1, 4)
	score := make([][]float64, len(s.Dims))
	want := make([]int, len(s.Dims))
	for d, dim := range s.Dims {
		score[d] = make([]float64, len(dim.Choices))
		want[d] = len(dim.Choices) / 2
		score[d][want[d]] = 1
	}
	got, err := decide.Choose(s, nil, score)
	if err != nil || total(score, got) != float64(len(s.Dims)) {
		t.Errorf("no budget: want %v, got %v (%v)", want, got, err)
	}
	low := c.At(s.Smallest())
	got, err = decide.Choose(s, at(c, low), score)
	if err != nil || c.At(got) > low {
		t.Errorf("the smallest subnet's cost as limit: got %v (%v)", got, err)
	}
	for _, limit := range []float64{0, -1, math.NaN(), low / 2} {
		b := at(c, limit)
		_, err := decide.Choose(s, b, score)
		var unmet *decide.TargetError
		if err == nil || errors.As(err, &unmet) != (limit > 0) {
			t.Errorf("limit %g: got %v", limit, err)
		}
		if unmet != nil && (unmet.Smallest != low || unmet.Whole != c.At(s.Largest())) {
			t.Errorf("limit %g: figures %+v", limit, unmet)
		}
		if _, err := decide.Uniform(s, b); err == nil {
			t.Errorf("limit %g: uniform accepted it", limit)
		}
		if _, err := decide.RandomChoice(s, b, 0.9, rand.New(rand.NewPCG(1, 1))); err == nil {
			t.Errorf("limit %g: random accepted it", limit)
		}
	}
}

// TestBaselines: uniform keeps kernels and blocks whole, its widths follow one
// ratio or its next, and no more would fit; random uses most of the budget.
func TestBaselines(t *testing.T) {
	b := runtest.New(t, "resnet20-tiny")
	p := b.Plan(t)
	c := p.Cost[space.MACs]
	uniform, err := decide.Uniform(p.Space, p.Budget)
	if err != nil {
		t.Fatal(err)
	}
	if c.At(uniform) > p.Budget[0].Limit {
		t.Error("uniform exceeds the limit")
	}
	least, most := 0.0, 1.0
	for d, dim := range p.Space.Dims {
		full := float64(dim.Choices[len(dim.Choices)-1])
		if dim.Kind != "width" {
			if uniform[d] != len(dim.Choices)-1 {
				t.Errorf("uniform changed %s", dim.Name)
			}
			continue
		}
		// The ratio lies between the width taken and the next larger one.
		if uniform[d] > 0 {
			least = max(least, float64(dim.Choices[uniform[d]])/full)
		}
		if k := uniform[d] + 1; k < len(dim.Choices) {
			most = min(most, float64(dim.Choices[k])/full)
		}
	}
	// Dims raised with what the ratio left stand at the next ratio, where others wait.
	if least > most+2e-3 {
		t.Errorf("widths %v follow no ratio and its next: one needs at least %g, another less than %g", uniform, least, most)
	}
	for d, dim := range p.Space.Dims {
		k := uniform[d] + 1
		if dim.Kind != "width" || k == len(dim.Choices) || float64(dim.Choices[k])/float64(dim.Choices[len(dim.Choices)-1]) > most+2e-3 {
			continue
		}
		more := slices.Clone(uniform)
		more[d] = k
		if c.At(more) <= p.Budget[0].Limit {
			t.Errorf("%s could be raised within the limit", dim.Name)
		}
	}
	r := rand.New(rand.NewPCG(4, 4))
	seen := map[float64]bool{}
	for range 4 {
		random, err := decide.RandomChoice(p.Space, p.Budget, 0.9, r)
		if err != nil {
			t.Fatal(err)
		}
		v := c.At(random)
		if v > p.Budget[0].Limit || v < 0.9*p.Budget[0].Limit {
			t.Errorf("random costs %g of %g", v, p.Budget[0].Limit)
		}
		seen[v] = true
	}
	if len(seen) < 2 {
		t.Error("random draws are all alike")
	}
	// Where no draw costs enough, what is left of the budget is spent.
	random, err := decide.RandomChoice(p.Space, p.Budget, 2, r)
	if err != nil {
		t.Fatal(err)
	}
	for d, dim := range p.Space.Dims {
		more := slices.Clone(random)
		if more[d]++; more[d] < len(dim.Choices) && c.At(more) <= p.Budget[0].Limit {
			t.Errorf("random: %s could be raised within the limit", dim.Name)
		}
	}
}

// at is a budget of MACs.
func at(c *space.CostModel, limit float64) decide.Budget {
	return decide.Budget{{Metric: space.MACs, Limit: limit, Cost: c}}
}
