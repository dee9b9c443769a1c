package search_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// raggedTokens is a set of sequences whose labels do not all count, a different
// number in each.
func raggedTokens(t *testing.T) *data.Set {
	t.Helper()
	const n, positions = 128, 8
	ids, labels := make([]int64, n*positions), make([]int64, n*positions)
	for i := range ids {
		ids[i], labels[i] = int64(i*i%12), int64((i*i+5)%12)
		if i%positions > i/positions%7 {
			labels[i] = -100
		}
	}
	return nettest.Tokens(t, data.Array{Name: "input_ids", Shape: []int{n, positions}, Data: ids}, data.Array{Name: "labels", Shape: []int{n, positions}, Data: labels})
}

func gratings(t *testing.T) *data.Set {
	t.Helper()
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{3, 8, 8}, Train: 320, Test: 40, Noise: 0.05, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// apartBy returns the largest difference of two sets of weights from one start, over
// the largest distance that the first went.
func apartBy(t *testing.T, start *ir.Model, a, b map[string]*ir.Tensor) float64 {
	t.Helper()
	far, way := 0.0, 0.0
	for name, x := range a {
		u, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		v, err := b[name].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		w, err := start.Graph.Init(name).Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for i := range u {
			far, way = max(far, math.Abs(float64(u[i]-v[i]))), max(way, math.Abs(float64(u[i]-w[i])))
		}
	}
	return far / way
}

// TestAccumulatedTraining: steps of four micro-batches of 8 equal steps of 32, with
// augmentation, mixing, clipping and labels that do not all count; steps of 8 do not.
func TestAccumulatedTraining(t *testing.T) {
	for _, c := range []struct {
		name, model string
		o           models.Options
		set         *data.Set
		augment     string
		clip        float64
	}{
		{"images", "vit-tiny", models.Options{Classes: 4}, gratings(t), "flip,crop:1,mixup:0.4", 0.1},
		{"tokens", "decoder-tiny", models.Options{Vocab: 12}, raggedTokens(t), "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := modeltest.Normal(t, c.model, c.o)
			train := func(batch, parts int, epochs train.Epochs) map[string]*ir.Tensor {
				n, err := net.NewNetworkOn(m, batch, c.set, nil)
				if err != nil {
					t.Fatal(err)
				}
				w := train.DefaultWeights()
				w.Epochs, w.Clip, w.Augment, w.Accumulate = epochs, c.clip, c.augment, parts
				r, err := train.Train(context.Background(), cpu.New(cpu.Options{Threads: 1}), n, nil, c.set.Part("train").All(), data.View{}, w, 2, train.Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				return r.Weights
			}
			whole := train(32, 1, 1)
			if d := apartBy(t, m, whole, train(8, 4, 1)); d > 1e-4 {
				t.Errorf("accumulated: %g of the way apart", d)
			}
			if d := apartBy(t, m, whole, train(8, 1, 0.25)); d < 1e-2 {
				t.Errorf("the first micro-batches alone: %g of the way apart", d)
			}
		})
	}
}

// TestAccumulatedSearch: architecture and weights of a search in micro-batches equal
// those of one in whole batches.
func TestAccumulatedSearch(t *testing.T) {
	b := runtest.New(t, "vit-tiny")
	b.Job.Search.Weights.Rate, b.Job.Search.Weights.Epochs = 0.01, 0.5
	run := func(batch, parts int) *search.Decision {
		b.Job.Data.Batch, b.Job.Search.Weights.Accumulate = batch, parts
		p := b.Plan(t)
		cfg := b.Job.Search
		d, err := b.Run(context.Background(), p, cfg, p.Budget, nil, train.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	whole, parts := run(16, 1), run(4, 4)
	far := 0.0
	for i, row := range whole.Alpha {
		for k, v := range row {
			far = max(far, math.Abs(v-parts.Alpha[i][k]))
		}
	}
	if d := apartBy(t, b.Model, whole.Weights, parts.Weights); far > 1e-4 || d > 1e-3 {
		t.Errorf("accumulated search: α %g apart, weights %g of the way", far, d)
	}
}

// TestAccumulatedResume: sums of gradients end with a step, so a run resumes to the bit.
func TestAccumulatedResume(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Data.Batch, b.Job.Search.Weights.Accumulate = 8, 2
	p := b.Plan(t)
	whole, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint"), LogEvery: 1}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.Observe = func(e train.Event) {
		if e.Step == 3 {
			cancel()
		}
	}
	var stopped *train.Interrupted
	if _, err := b.Run(ctx, p, b.Job.Search, nil, nil, h); !errors.As(err, &stopped) {
		t.Fatalf("want an interruption, got %v", err)
	}
	got, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(whole.Alpha, got.Alpha) || !nettest.EqualWeights(whole.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
}

// TestAccumulateNeedsSamples: a step larger than the view is refused with its size.
func TestAccumulateNeedsSamples(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	for _, parts := range []int{-1, 30} {
		cfg := b.Job.Search
		cfg.Weights.Accumulate = parts
		if _, err := b.Run(context.Background(), b.Plan(t), cfg, nil, nil, train.Hooks{}); err == nil {
			t.Errorf("%d micro-batches were accepted", parts)
		}
	}
}
