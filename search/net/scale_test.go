package net

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/measure"
)

// TestVarianceOfValues: around each position's own mean where there are samples enough, else
// around the column's; a column that hardly varies has a share of its mean square.
func TestVarianceOfValues(t *testing.T) {
	// Samples [3, 2]: column 0 is ±1 around 10, 20, 30, column 1 always 5.
	shape := []int{1, 3, 2}
	few, many := newTally(Meaning{Kind: measure.Values}, shape, 1), newTally(Meaning{Kind: measure.Values}, shape, 1)
	for s := range 8 {
		sign := float32(2*(s%2) - 1)
		x := []float32{10 + sign, 5, 20 + sign, 5, 30 + sign, 5}
		many.add(x, 1)
		if s < 2 {
			few.add(x, 1)
		}
	}
	for _, c := range []struct {
		t    *tally
		want [2]float64
	}{{&many, [2]float64{1, 25e-4}}, {&few, [2]float64{1 + 200.0/3, 25e-4}}} {
		v := c.t.variance()
		if v.axis != 2 {
			t.Fatalf("want columns along axis 2, got %d", v.axis)
		}
		for i, want := range c.want {
			near(t, "variance", v.v[i], want)
		}
	}
}

// TestConstants: what the best constant is off by: of classes the divergence from the mean
// distribution, of yes or no that of every column, of vectors 1 less the length of their mean.
func TestConstants(t *testing.T) {
	classes := newTally(Meaning{Kind: measure.Logits, axis: 1}, []int{2, 2}, 2)
	classes.add([]float32{30, -30, -30, 30}, 2)
	near(t, "classes", classes.scale().Constant, math.Log(2))
	yes := newTally(Meaning{Kind: measure.Sigmoid}, []int{2, 2}, 2)
	yes.add([]float32{30, 0, -30, 0}, 2)
	near(t, "yes or no", yes.scale().Constant, math.Log(2)/2)
	vectors := newTally(Meaning{Kind: measure.Embedding, axis: 1}, []int{2, 2}, 2)
	vectors.add([]float32{3, 0, 0, 5}, 2)
	near(t, "vectors", vectors.scale().Constant, 1-math.Sqrt(.5))
	same := newTally(Meaning{Kind: measure.Logits, axis: 1}, []int{2, 2}, 2)
	same.add([]float32{1, 2, 1, 2}, 2)
	if c := same.scale().Constant; c != 0 {
		t.Errorf("no distribution but one: want 0, nothing to divide by, got %g", c)
	}
}
