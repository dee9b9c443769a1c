package search_test

import (
	"context"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/train"
)

// TestAlphaClip: Adam does not see the scale of its gradients, but the decay that
// enters its moments does: a hard clip leaves the decay alone in charge.
func TestAlphaClip(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	p := b.Plan(t)
	cfg := b.Job.Search
	cfg.FreezeWeights, cfg.Relaxation, cfg.Weights.Epochs = true, "darts", 1
	cfg.AlphaHyper.WeightDecay = 1
	cfg.AlphaClip = 1e-12
	cfg.AlphaRate = 0
	start, err := b.Run(context.Background(), p, cfg, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.AlphaRate = 1e-5
	d, err := b.Run(context.Background(), p, cfg, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range d.Alpha {
		for k, a := range row {
			if was := start.Alpha[i][k]; math.Abs(was) > 1e-3 && math.Abs(a) >= math.Abs(was) {
				t.Errorf("α[%d][%d] went from %g to %g: decay pulls to 0", i, k, was, a)
			}
		}
	}
}

// TestEventsTellTheWait: the time spent on data grows from event to event and is part
// of the whole.
func TestEventsTellTheWait(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	before := 0.0
	_, err := b.Run(context.Background(), b.Plan(t), b.Job.Search, nil, nil, train.Hooks{LogEvery: 3, Observe: func(e train.Event) {
		if e.Wait <= before || e.Wait >= e.Seconds {
			t.Errorf("step %d: %g s of %g s are waiting, %g s before", e.Step, e.Wait, e.Seconds, before)
		}
		before = e.Wait
	}})
	if err != nil {
		t.Fatal(err)
	}
}
