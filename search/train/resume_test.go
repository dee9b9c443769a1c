package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/train"
)

// TestTrainResume: training with mixup stopped between checkpoints and at the
// caller's wish equals the uninterrupted run bit for bit.
func TestTrainResume(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Augment = 2, "flip,mixup:0.4"
	run := func(ctx context.Context, h train.Hooks) (*train.Result, error) {
		return train.Train(ctx, b.Be, n, nil, v.Both, v.Val, w, 9, h)
	}
	whole, err := run(context.Background(), train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "train.checkpoint"), Every: 3, LogEvery: 1}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.Observe = func(e train.Event) {
		if e.Step == 7 {
			cancel()
		}
	}
	_, err = run(ctx, h)
	var stopped *train.Interrupted
	if !errors.As(err, &stopped) || stopped.Step != 7 || stopped.Stage != "train" {
		t.Fatalf("want an interruption at step 7, got %v", err)
	}
	running := size(t, h.Checkpoint)
	first := 0
	h.Observe = func(e train.Event) {
		if first == 0 {
			first = e.Step
		}
	}
	got, err := run(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	// With momentum the state is as large as the weights, and no step needs it any more.
	if ended := size(t, h.Checkpoint); ended > running*3/4 {
		t.Errorf("checkpoint: want the optimiser's state gone at the end, got %d bytes after %d", ended, running)
	}
	if first != 8 {
		t.Errorf("resumed with step %d: want 8", first)
	}
	if !nettest.EqualWeights(whole.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
	for i := range got.Curve {
		got.Curve[i].Seconds, whole.Curve[i].Seconds = 0, 0
	}
	if !reflect.DeepEqual(whole.Curve, got.Curve) {
		t.Errorf("curves: want %+v, got %+v", whole.Curve, got.Curve)
	}
	// A finished run started again gives its result without a step.
	h.Observe = func(e train.Event) { t.Errorf("a finished run took step %d", e.Step) }
	if again, err := run(context.Background(), h); err != nil || !nettest.EqualWeights(whole.Weights, again.Weights) {
		t.Errorf("a finished run started again: %v", err)
	}
}

// size is a file's.
func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestTrainDiverges: weights that one step throws far are noticed by the loss on validation,
// and named as what they are.
func TestTrainDiverges(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Augment, w.Clip = 0.1, "none", 0
	w.Rate, w.Warmup = 1e30, 0
	_, err := train.Train(context.Background(), b.Be, n, nil, v.Both, v.Val, w, 9, train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "train.checkpoint")})
	if !errors.Is(err, train.ErrDiverged) {
		t.Errorf("want %v, got %v", train.ErrDiverged, err)
	}
}
