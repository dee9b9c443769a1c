package search_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// TestSameSeedSameBytes: two searches with one seed agree to the bit; another seed differs.
func TestSameSeedSameBytes(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	p := b.Plan(t)
	one, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one.Alpha, two.Alpha) || !nettest.EqualWeights(one.Weights, two.Weights) {
		t.Error("two runs with one seed differ")
	}
	b.Job.Seed++
	three, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(one.Alpha, three.Alpha) {
		t.Error("another seed gave the same α")
	}
}

// TestResume: a run stopped at any step and started again equals the uninterrupted one bit for bit.
func TestResume(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Sandwich = true
	p := b.Plan(t)
	budget := decide.Budget{{Metric: space.MACs, Limit: 1e5, Cost: p.Cost[space.MACs]}}
	whole, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint"), LogEvery: 1}
	got := interrupted(t, h, 2, func(ctx context.Context, h train.Hooks) (*search.Decision, error) {
		return b.Run(ctx, p, b.Job.Search, budget, nil, h)
	})
	if !reflect.DeepEqual(whole.Alpha, got.Alpha) || !nettest.EqualWeights(whole.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
	// The checkpoint of another configuration is refused and stays as it is.
	before, err := os.ReadFile(h.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	other := b.Job.Search
	other.AlphaRate *= 2
	if _, err := b.Run(context.Background(), p, other, budget, nil, h); err == nil {
		t.Error("a checkpoint of another configuration was accepted")
	}
	if after, err := os.ReadFile(h.Checkpoint); err != nil || !slices.Equal(before, after) {
		t.Error("the refused checkpoint was changed")
	}
	// A truncated checkpoint is an error, not a panic.
	if err := os.WriteFile(h.Checkpoint, before[:len(before)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, h); err == nil {
		t.Error("a truncated checkpoint was accepted")
	}
}

// interrupted stops a search every so many steps and goes on from its checkpoint until it ends;
// it must have stopped at least twice.
func interrupted(t *testing.T, h train.Hooks, every int, run func(context.Context, train.Hooks) (*search.Decision, error)) *search.Decision {
	t.Helper()
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(context.Background())
		begun := -1
		h.Observe = func(e train.Event) {
			if begun < 0 {
				begun = e.Step
			}
			if e.Kind == "step" && e.Step == begun+every {
				cancel()
			}
		}
		got, err := run(ctx, h)
		cancel()
		var stopped *train.Interrupted
		switch {
		case errors.As(err, &stopped) && !strings.HasPrefix(stopped.Checkpoint, h.Checkpoint):
			t.Fatalf("checkpoint %q", stopped.Checkpoint)
		case stopped != nil:
		case err != nil:
			t.Fatal(err)
		case stops < 2:
			t.Fatalf("%d stops: want at least 2", stops)
		default:
			return got
		}
	}
}

// TestFreezeWeights: with frozen weights only α moves.
func TestFreezeWeights(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	p := b.Plan(t)
	cfg := b.Job.Search
	cfg.FreezeWeights = true
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint")}
	d, err := b.Run(context.Background(), p, cfg, nil, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	weights := 0
	for _, w := range d.Weights {
		weights += len(w.Raw)
	}
	if info, err := os.Stat(h.Checkpoint); err != nil || info.Size() > int64(weights) {
		t.Errorf("checkpoint: want less than the %d bytes of the weights, which stand in the model, got %v", weights, info.Size())
	}
	for name, w := range d.Weights {
		if !slices.Equal(w.Raw, p.Model.Graph.Init(name).Raw) {
			t.Errorf("weight %q moved", name)
		}
	}
	cfg.AlphaRate = 0
	still, err := b.Run(context.Background(), p, cfg, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(d.Alpha, still.Alpha) {
		t.Error("α did not move")
	}
}

// TestArchitectureDataDoesNotLeak: with α held still, the architecture batches
// change nothing about the weights; with α moving, they do through α alone.
func TestArchitectureDataDoesNotLeak(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	p := b.Plan(t)
	cfg := b.Job.Search
	cfg.AlphaRate = 0
	half := p.Views.Alpha.Head(p.Views.Alpha.Len() / 2)
	one, err := b.Run(context.Background(), p, cfg, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Run(context.Background(), p, cfg, nil, &half, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if !nettest.EqualWeights(one.Weights, two.Weights) {
		t.Error("architecture data reached the weights while α stood still")
	}
	cfg.AlphaRate = 0.05
	three, err := b.Run(context.Background(), p, cfg, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	four, err := b.Run(context.Background(), p, cfg, nil, &half, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(three.Alpha, four.Alpha) {
		t.Error("α does not depend on the architecture data")
	}
	if _, err := b.Run(context.Background(), p, cfg, nil, &p.Views.Weights, train.Hooks{}); err == nil {
		t.Error("overlapping splits were accepted")
	}
}

// TestTrainLearns: training a tiny network raises its accuracy far above chance.
func TestTrainLearns(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Rate, w.Augment = 6, 0.1, "none"
	before, after, m := nettest.Trained(t, b.Be, n, v.Both, v.Val, v.Test, w)
	if after.Accuracy < 0.6 {
		t.Errorf("accuracy %.3f after training, %.3f before: want at least 0.6 (chance is 0.25)", after.Accuracy, before.Accuracy)
	}
	if len(m.Graph.Inits) != len(b.Model.Graph.Inits) {
		t.Error("training changed the model's initialisers")
	}
}

// TestBadData: data that does not fit the model is an error with both shapes.
func TestBadData(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{3, 8, 8}, Train: 64, Test: 16, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entangle.Prepare(runtest.Wrap(b.Model), set, b.Job); err == nil {
		t.Error("data of another shape was accepted")
	}
	nan := b.Model.Clone()
	for i, x := range nan.Graph.Inits {
		if x.DType == ir.Float32 && len(x.Dims) == 4 {
			v, _ := x.Float32s()
			v[0] = float32(math.NaN())
			nan.Graph.Inits[i] = ir.NewFloat32(x.Name, x.Dims, v)
			break
		}
	}
	_, err = entangle.Prepare(runtest.Wrap(nan), b.Set, b.Job)
	var model *entangle.ModelError
	if !errors.As(err, &model) || !strings.Contains(err.Error(), "stem.conv.weight") {
		t.Errorf("want a *ModelError that names the weight with NaN, got %v", err)
	}
}
