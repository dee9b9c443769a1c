package search_test

import (
	"testing"

	"github.com/entangle-nas/entangle/search"
)

// TestLeaningStartDoesNotDecay: decay draws α to uniform, which undoes a start that
// leans to the original.
func TestLeaningStartDoesNotDecay(t *testing.T) {
	if c := search.DefaultConfig(); c.AlphaStart > 0 && c.AlphaHyper.WeightDecay != 0 {
		t.Errorf("want no decay of α from a start of %g, got %g", c.AlphaStart, c.AlphaHyper.WeightDecay)
	}
}
