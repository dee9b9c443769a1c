package decide_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

// TestRefine: what a refinement returns meets the budget, loses no more than any
// subnet that it was given, and is the same for the same seed.
func TestRefine(t *testing.T) {
	p, _, r := runtest.Refining(t, space.Options{Divisor: 2, MinRatio: 0.25})
	c := p.Cost[space.MACs]
	score := make([][]float64, len(p.Space.Dims))
	for d, dim := range p.Space.Dims {
		score[d] = make([]float64, len(dim.Choices))
	}
	uniform, err := decide.Uniform(p.Space, p.Budget)
	if err != nil {
		t.Fatal(err)
	}
	starts := [][]int{p.Space.Smallest(), uniform}
	run := func(trials int) ([]int, float64) {
		var heard []float64
		got, err := decide.Refine(context.Background(), p.Space, p.Budget, score, starts, trials, 1, r.Loss, func(trial int, best float64) {
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
		if at := c.At(got); at > p.Budget[0].Limit {
			t.Errorf("%d trials: costs %g of %g", trials, at, p.Budget[0].Limit)
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
