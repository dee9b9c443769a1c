package train_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// TestBestStateCounts: the weights are those of the state that validation liked best, here one in
// the middle, also of a run that was stopped behind it; what it began with counts as well.
func TestBestStateCounts(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Augment, w.Schedule = 6, "none", "constant"
	run := func(ctx context.Context, n *net.Network, h train.Hooks) (*train.Result, error) {
		return train.Train(ctx, b.Be, n, nil, v.Both, v.Val, w, 9, h)
	}
	var whole *train.Result
	var best *train.Best
	last := 0
	for _, w.Rate = range []float64{0.3, 0.4, 0.25, 0.5} { // rounding differs between processors
		var err error
		if whole, err = run(context.Background(), n, train.Hooks{}); err != nil {
			t.Fatal(err)
		}
		best, last = whole.Best, whole.Curve[len(whole.Curve)-1].Step
		if best != nil && best.Step > 0 && best.Step < last {
			break
		}
	}
	if best == nil || best.Step == 0 || best.Step == last {
		t.Fatalf("the test wants a best state in the middle, got %+v of %+v", best, whole.Curve)
	}
	for _, e := range whole.Curve {
		if e.Accuracy > best.Verdict.Score.Accuracy {
			t.Errorf("step %d is better than the best, %+v: %+v", e.Step, best, e)
		}
	}
	_, tuned, err := n.With(whole.Weights)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := net.Evaluate(context.Background(), b.Be, tuned, v.Val); err != nil || s.Loss != best.Verdict.Loss {
		t.Errorf("want the weights of loss %v, got %+v, %v", best.Verdict.Loss, s, err)
	}

	// Stopped at the last step but one, the best state is on file alone.
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "train.checkpoint"), LogEvery: 1}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.Observe = func(e train.Event) {
		if e.Step == last-1 {
			cancel()
		}
	}
	if _, err := run(ctx, n, h); err == nil {
		t.Fatal("want an interruption")
	}
	h.Observe = nil
	for range 2 { // then finished, then started again when it is
		got, err := run(context.Background(), n, h)
		if err != nil || !nettest.EqualWeights(whole.Weights, got.Weights) || got.Best.Step != best.Step {
			t.Fatalf("the resumed run: want the state of step %d, got %+v, %v", best.Step, got, err)
		}
	}

	// From the best state on, steps that only do harm give it back.
	w.Rate, w.Epochs = 2, 1
	again, err := run(context.Background(), tuned, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if again.Best.Step != 0 || !nettest.EqualWeights(whole.Weights, again.Weights) {
		t.Errorf("want the weights that it began with, got those of step %d", again.Best.Step)
	}
}
