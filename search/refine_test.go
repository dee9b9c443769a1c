package search_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// refining is a refiner of a small decoder with its own weights.
func refining(t *testing.T, offer space.Options) (*search.Plan, *space.Supernet, *search.Refiner) {
	t.Helper()
	set, err := data.Open("lm:"+chain(t), data.Options{Seq: 8})
	if err != nil {
		t.Fatal(err)
	}
	j := search.DefaultJob()
	j.Batch, j.Seed, j.Space = 32, 3, offer
	j.Target = search.Target{Metric: space.MACs, Share: 0.6}
	p, err := search.Prepare(modeltest.Normal(t, "llama-tiny", models.Options{Vocab: 12}), set, j)
	if err != nil {
		t.Fatal(err)
	}
	super, err := space.Entangle(p.An, p.Space, j.Super)
	if err != nil {
		t.Fatal(err)
	}
	n, err := search.NewNetworkOn(p.Model, j.Batch, set, super)
	if err != nil {
		t.Fatal(err)
	}
	r, err := search.NewRefiner(cpu.New(cpu.Options{Threads: 1}), n, nil, nil, p.Views.Alpha, search.Objective{Labels: 1}, j.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return p, super, r
}

// TestRefinerLoss: the loss at a vertex is that of the subnet cut there, and a
// subnet is measured once.
func TestRefinerLoss(t *testing.T) {
	p, super, r := refining(t, space.Options{Divisor: 2, MinRatio: 0.25})
	draw := rng.New(4, "test/refine")
	for range 3 {
		choice, err := search.RandomChoice(p.Space, p.Cost[space.MACs], p.Budget, 0.8, draw.Rand)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Loss(choice)
		if err != nil {
			t.Fatal(err)
		}
		m, err := subnet.Cut(super, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := search.NewNetworkOn(m, 32, p.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := p.Views.Alpha.Loader(data.LoaderOptions{Batch: 32, Shuffle: true, DropLast: true, Seed: 3, Name: "refine"})
		if err != nil {
			t.Fatal(err)
		}
		view := p.Views.Alpha
		view.Index = nil
		for range 2 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			view.Index = append(view.Index, b.Index...)
		}
		l.Close()
		s, err := search.Evaluate(context.Background(), cpu.New(cpu.Options{Threads: 1}), n, view)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Loss-got) > 1e-5 {
			t.Errorf("choice %v: want the cut subnet's loss %.7f, got %.7f", choice, s.Loss, got)
		}
		before := r.Trials
		if again, err := r.Loss(choice); err != nil || again != got || r.Trials != before {
			t.Errorf("choice %v again: want %g without another run, got %g, %v, %d runs", choice, got, again, err, r.Trials-before)
		}
	}
	if _, err := r.Loss([]int{0}); err == nil {
		t.Error("a choice of the wrong length was measured")
	}
}

// TestRefine: what a refinement returns meets the budget, loses no more than any
// subnet that it was given, and is the same for the same seed.
func TestRefine(t *testing.T) {
	p, _, r := refining(t, space.Options{Divisor: 2, MinRatio: 0.25})
	c := p.Cost[space.MACs]
	score := make([][]float64, len(p.Space.Dims))
	for d, dim := range p.Space.Dims {
		score[d] = make([]float64, len(dim.Choices))
	}
	uniform, err := search.Uniform(p.Space, c, p.Budget)
	if err != nil {
		t.Fatal(err)
	}
	starts := [][]int{p.Space.Smallest(), uniform}
	run := func(trials int) ([]int, float64) {
		var heard []float64
		got, err := r.Refine(context.Background(), c, p.Budget, score, starts, trials, 1, func(trial int, best float64) {
			if heard = append(heard, best); trial != len(heard) {
				t.Errorf("trial %d was told as number %d", len(heard), trial)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(heard) != trials || !slices.IsSortedFunc(heard, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) {
			t.Errorf("%d trials: want as many losses that never rise, got %v", trials, heard)
		}
		v, err := r.Loss(got)
		if err != nil {
			t.Fatal(err)
		}
		if at := c.At(got); at > p.Budget.Limit {
			t.Errorf("%d trials: costs %g of %g", trials, at, p.Budget.Limit)
		}
		return got, v
	}
	_, two := run(2)
	long, least := run(30)
	for _, s := range starts {
		if v, err := r.Loss(s); err != nil || two > v {
			t.Errorf("after both starts: want at most %g, got %g (%v)", v, two, err)
		}
	}
	if least >= two {
		t.Errorf("28 more subnets: none is better than %g", two)
	}
	if again, _ := run(30); !slices.Equal(again, long) {
		t.Errorf("same seed: want %v, got %v", long, again)
	}
}
