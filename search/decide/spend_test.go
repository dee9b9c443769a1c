package decide_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

// TestSpend: what is left of a budget goes to the dims that mind it least, never
// beyond the limit and never against a clear preference.
func TestSpend(t *testing.T) {
	p := runtest.New(t, "resnet20-tiny").Plan(t)
	c := p.Cost[space.MACs]
	flat := make([][]float64, len(p.Space.Dims))
	against := make([][]float64, len(p.Space.Dims))
	for d, dim := range p.Space.Dims {
		flat[d] = make([]float64, len(dim.Choices))
		against[d] = make([]float64, len(dim.Choices))
		for k := range against[d] {
			against[d][k] = -2 * float64(k)
		}
	}
	small := p.Space.Smallest()
	before := slices.Clone(small)
	got := decide.Spend(p.Space, p.Budget, flat, small)
	if !slices.Equal(small, before) {
		t.Error("the given choice was changed")
	}
	if at := c.At(got); at > p.Budget[0].Limit || at < 0.9*p.Budget[0].Limit {
		t.Errorf("indifferent dims: spent %g of %g", at, p.Budget[0].Limit)
	}
	if got := decide.Spend(p.Space, p.Budget, against, small); !slices.Equal(got, small) {
		t.Errorf("dims that clearly prefer the smallest were raised: %v", got)
	}
	if got := decide.Spend(p.Space, at(c, 1e15), flat, small); !slices.Equal(got, p.Space.Largest()) {
		t.Errorf("without a limit: want the largest, got %v", got)
	}
}
