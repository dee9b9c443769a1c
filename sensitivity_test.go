package entangle_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/space"
)

// TestSensitivity: every choice but the original's has a row, with what it saves and loses
// alone; fitting loses less than cutting in the sum, and nothing of the plan changes.
func TestSensitivity(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Weights.Objective.Labels, b.Job.Search.Weights.Objective.Distill = 0.5, 0.5
	p := b.Plan(t)
	s, err := p.Sensitivity(context.Background(), b.Be, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Whole.Right == nil || s.Samples < 32 {
		t.Errorf("want labels met of at least 32 samples got %+v, %d", s.Whole, s.Samples)
	}
	want := 0
	for _, d := range p.Space.Dims {
		want += len(d.Choices) - 1
	}
	if len(s.Rows) != want {
		t.Fatalf("want %d rows, got %d", want, len(s.Rows))
	}
	cut, fitted := 0.0, 0.0
	for _, x := range s.Rows {
		if !(x.Saved[space.MACs] > 0 && x.Saved[space.MACs] < 1) || x.Choice >= x.Of {
			t.Errorf("%+v: want a part of the MACs saved by a smaller choice", x)
		}
		if x.Fitted == nil {
			if strings.HasPrefix(x.Dimension, "width:") {
				t.Errorf("%s is not fitted", x.Dimension)
			}
			continue
		}
		cut += math.Abs(x.Cut.Loss - s.Whole.Loss)
		fitted += math.Abs(x.Fitted.Loss - s.Whole.Loss)
	}
	if !(fitted < cut) {
		t.Errorf("fitted, losses change by %g in all, as cut by %g: want less", fitted, cut)
	}
}

// TestReconstruct: the method trains nothing and needs no labels; its subnet is nearer to the
// original than uniform width, within the same budget.
func TestReconstruct(t *testing.T) {
	var distance [2]float64
	for i, method := range []string{entangle.Reconstruct, "uniform"} {
		b := runtest.New(t, "fashion-tiny")
		b.Set.Classes = nil
		for _, p := range b.Set.Parts {
			p.Labels = nil
		}
		b.Job.Search.Weights.Objective.Labels, b.Job.Search.Weights.Objective.Distill = 0, 1
		b.Job.Tune.Objective = b.Job.Search.Weights.Objective
		b.Job.Method, b.Job.Tune.Epochs, b.Job.Search.Rounds = method, 0, 4
		p := b.Plan(t)
		o, err := p.Compress(context.Background(), b.Be, entangle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := o.Candidates[0]
		if c.Cost[space.MACs] > p.Budget[0].Limit || c.Test.Distance.Tuned != nil {
			t.Errorf("%s: cost %g of %g, tuned %+v", method, c.Cost[space.MACs], p.Budget[0].Limit, c.Test.Distance.Tuned)
		}
		distance[i] = c.Val.Distance.Last().Error
	}
	if !(distance[0] < distance[1]) {
		t.Errorf("distance from the original %g, of uniform width %g: want less", distance[0], distance[1])
	}
}
