package decide_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// few leaves a plan so few subnets that all of them can be measured, and
// returns the losses of those within the budget that no dim can be raised in.
func few(t *testing.T) (*entangle.Plan, *net.Vertices, []float64) {
	t.Helper()
	p, _, r := runtest.Refining(t, space.Options{Divisor: 2, MaxChoices: 4})
	c := p.Cost[space.MACs]
	choice := p.Space.Smallest()
	var losses []float64
	var walk func(d int)
	walk = func(d int) {
		if d < len(choice) {
			for choice[d] = range p.Space.Dims[d].Choices {
				walk(d + 1)
			}
			choice[d] = 0
			return
		}
		if c.At(choice) > p.Budget[0].Limit {
			return
		}
		for i := range choice {
			if choice[i]+1 == len(p.Space.Dims[i].Choices) {
				continue
			}
			choice[i]++
			over := c.At(choice) > p.Budget[0].Limit
			choice[i]--
			if !over {
				return
			}
		}
		v, err := r.Loss(choice)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, v)
	}
	if n := p.Space.Size(); n > 5000 {
		t.Fatalf("%g subnets: want few", n)
	}
	walk(0)
	slices.Sort(losses)
	return p, r, losses
}

// TestEvolve: with a quarter of all subnets measured it finds one of the best; the
// same seed finds the same; every subnet is within the budget and measured once.
func TestEvolve(t *testing.T) {
	p, r, losses := few(t)
	c := p.Cost[space.MACs]
	trials := len(losses) / 4
	e := decide.Evolution{Population: max(trials/8, 4), Parents: 4, Trials: trials}
	var got []int
	for seed := range uint64(3) {
		count, least := 0, math.Inf(1)
		var err error
		got, err = decide.Evolve(context.Background(), p.Space, p.Budget, e, seed, r.Loss, func(trial int, best float64) {
			if trial != count+1 || best > least {
				t.Errorf("trial %d after %d: least loss %g after %g", trial, count, best, least)
			}
			count, least = trial, best
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Loss(got)
		if err != nil {
			t.Fatal(err)
		}
		rank := slices.Index(losses, v)
		t.Logf("rank %d of %d subnets after %d trials", rank, len(losses), count)
		if count != trials || v != least || rank < 0 || rank > len(losses)/50 || c.At(got) > p.Budget[0].Limit {
			t.Errorf("want one of the best %d of %d subnets after %d trials, got %d after %d (loss %g, reported %g)", len(losses)/50, len(losses), trials, rank, count, v, least)
		}
	}
	again, err := decide.Evolve(context.Background(), p.Space, p.Budget, e, 2, r.Loss, nil)
	if err != nil || !slices.Equal(got, again) {
		t.Errorf("the same seed: %v then %v (%v)", got, again, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = decide.Evolve(ctx, p.Space, p.Budget, e, 2, r.Loss, func(trial int, _ float64) {
		if trial == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want an interruption after 3 trials, got %v", err)
	}
	if _, err := decide.Evolve(context.Background(), p.Space, at(c, 1), e, 2, r.Loss, nil); err == nil {
		t.Error("a budget that nothing meets was accepted")
	}
	if _, err := decide.Evolve(context.Background(), p.Space, p.Budget, decide.Evolution{Mutation: 2}, 2, r.Loss, nil); err == nil {
		t.Error("a probability of 2 was accepted")
	}
}

// TestEvolveMeasuresNothingTwice: more trials than subnets end when breeding finds no more.
func TestEvolveMeasuresNothingTwice(t *testing.T) {
	p, r, losses := few(t)
	before, count := r.Trials, 0
	if _, err := decide.Evolve(context.Background(), p.Space, p.Budget, decide.Evolution{Population: 40, Trials: 100 * len(losses)}, 1, r.Loss, func(trial int, _ float64) { count = trial }); err != nil {
		t.Fatal(err)
	}
	if count > len(losses) || count < len(losses)/2 || r.Trials != before {
		t.Errorf("%d trials of %d subnets, %d measured that were not known", count, len(losses), r.Trials-before)
	}
}

// TestEvolveFreely: without a budget nothing is lowered or used up. Of a loss that counts how far each
// dim is from its own best choice, most of the best are found.
func TestEvolveFreely(t *testing.T) {
	s := &space.Space{}
	for d := range 6 {
		s.Dims = append(s.Dims, space.Dim{Name: string(rune('a' + d)), Kind: "kernel", Choices: []int{3, 5, 7, 9}})
	}
	best := []int{0, 3, 1, 0, 2, 1}
	loss := func(choice []int) (float64, error) {
		sum := 0.0
		for d, c := range choice {
			sum += math.Abs(float64(c - best[d]))
		}
		return sum, nil
	}
	got, err := decide.Evolve(t.Context(), s, nil, decide.Evolution{Population: 20, Trials: 400}, 1, loss, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := loss(got); v > 1 {
		t.Errorf("want a choice next to %v, got %v", best, got)
	}
}
