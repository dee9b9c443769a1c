package decide_test

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

// TestOrdinal: the best score is the median choice, a binary dim scores by its
// log-odds, and a deep cut costs every step on the way.
func TestOrdinal(t *testing.T) {
	mean := [][]float64{{0.22, 0.31, 0.17, 0.30}, {0.25, 0.75}, {0.04, 0.05, 0.12, 0.79}}
	ordered := &space.Space{Dims: make([]space.Dim, 3)}
	s := decide.Ordinal(ordered, mean)
	best := 0
	for k, v := range s[0] {
		if v > s[0][best] {
			best = k
		}
	}
	if best != 1 {
		t.Errorf("want the median choice 1, got %d of %v", best, s[0])
	}
	if d := s[1][1] - s[1][0]; math.Abs(d-math.Log(3)) > 1e-12 {
		t.Errorf("binary dim: want log 3, got %g", d)
	}
	want := math.Log(.96/.04) + math.Log(.91/.09) + math.Log(.79/.21)
	if d := s[2][3] - s[2][0]; math.Abs(d-want) > 1e-9 {
		t.Errorf("deep cut: want %g, got %g", want, d)
	}
	for _, v := range decide.Ordinal(ordered, [][]float64{{0, 0, 1}})[0] {
		if math.IsInf(v, 0) || math.IsNaN(v) {
			t.Errorf("one-hot coefficients: score %g", v)
		}
	}
}
