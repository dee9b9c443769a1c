package search_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// half is a budget of half of a plan's MACs.
func half(cost *space.CostModel, s *space.Space) decide.Budget {
	return decide.Budget{{Metric: space.MACs, Limit: cost.At(s.Largest()) / 2, Cost: cost}}
}

// TestRounds: rounds end at one subnet that uses the budget, and say so; without a budget
// there is nothing to fall.
func TestRounds(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds = search.InRounds, 4
	p := b.Plan(t)
	budget := half(p.Cost[space.MACs], p.Space)
	var last train.Event
	d, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, train.Hooks{Observe: func(e train.Event) { last = e }})
	if err != nil {
		t.Fatal(err)
	}
	cost := budget[0].Cost.At(d.Choice)
	if cost > budget[0].Limit || cost < 0.8*budget[0].Limit {
		t.Errorf("the choice costs %g: want at most %g and not much less", cost, budget[0].Limit)
	}
	if e := search.Entropy(d.Mean); e != 0 || last.Entropy != 0 {
		t.Errorf("entropy %g, in the log %g: want 0", e, last.Entropy)
	}
	if want := cost / budget[0].Cost.At(p.Space.Largest()); last.Cost[space.MACs] != want {
		t.Errorf("the log has a cost of %g: want %g", last.Cost[space.MACs], want)
	}
	if _, err := b.Run(context.Background(), p, b.Job.Search, nil, nil, train.Hooks{}); err == nil || !strings.Contains(err.Error(), "rounds") {
		t.Errorf("without a budget: got %v", err)
	}
}

// TestRoundsResume: rounds that were interrupted go on to the bit.
func TestRoundsResume(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds = search.InRounds, 3
	p := b.Plan(t)
	budget := half(p.Cost[space.MACs], p.Space)
	whole, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint"), LogEvery: 1}
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(context.Background())
		begun := -1
		h.Observe = func(e train.Event) {
			if begun < 0 {
				begun = e.Step
			}
			if e.Kind == "step" && e.Step == begun+1 {
				cancel()
			}
		}
		got, err := b.Run(ctx, p, b.Job.Search, budget, nil, h)
		cancel()
		var stopped *train.Interrupted
		if errors.As(err, &stopped) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if stops < 2 {
			t.Fatalf("%d stops: want at least 2", stops)
		}
		if !slices.Equal(whole.Choice, got.Choice) || !nettest.EqualWeights(whole.Weights, got.Weights) {
			t.Error("the resumed run differs from the uninterrupted one")
		}
		return
	}
}

// TestRoundsCutWhatIsIdle: of a trained network, the units that compute zeros are given up.
func TestRoundsCutWhatIsIdle(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Rate, w.Augment = 6, 0.1, "none"
	_, _, b.Model = nettest.Trained(t, b.Be, n, v.Both, v.Val, v.Test, w)
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Rate, b.Job.Space.Kinds = search.InRounds, 4, 1e-6, []string{"width"}
	p := b.Plan(t)
	dim := -1
	for i, d := range p.Space.Dims {
		if len(d.Choices) > 2 && (dim < 0 || d.Choices[len(d.Choices)-1] > p.Space.Dims[dim].Choices[len(p.Space.Dims[dim].Choices)-1]) {
			dim = i
		}
	}
	idle(t, b, p.An, p.Space.Dims[dim])
	p = b.Plan(t)
	whole := p.Space.Largest()
	whole[dim]--
	cost := p.Cost[space.MACs]
	budget := decide.Budget{{Metric: space.MACs, Limit: cost.At(whole), Cost: cost}}
	super, err := space.Entangle(p.An, p.Space, b.Job.Space.Superposition)
	if err != nil {
		t.Fatal(err)
	}
	mixture, err := net.NewNetworkOn(p.Model, b.Job.Data.Batch, b.Set, super)
	if err != nil {
		t.Fatal(err)
	}
	teach, err := net.NewNetworkOn(p.Model, b.Job.Data.Batch, b.Set, nil)
	if err != nil {
		t.Fatal(err)
	}
	// By distillation alone nothing but idle units is lost for nothing.
	cfg := b.Job.Search
	cfg.Weights.Objective.Labels, cfg.Weights.Objective.Distill = 0, 1
	d, err := search.Run(context.Background(), b.Be, mixture, teach, p.Views.Weights, p.Views.Alpha, data.View{}, cfg, budget, b.Job.Seed, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Choice, whole) {
		t.Errorf("dimension %q: want %v, the idle units left out alone, got %v", p.Space.Dims[dim].Name, whole, d.Choice)
	}
}

// idle makes the units zero that the largest choice of a dim has beyond the next smaller one.
func idle(t *testing.T, b *runtest.Bench, an *space.Analysis, d space.Dim) {
	t.Helper()
	m := b.Model.Clone()
	for _, g := range an.Groups {
		if g.Name != d.Node {
			continue
		}
		for _, x := range g.Members {
			if !x.Weight || x.Statistic {
				continue
			}
			for i, w := range m.Graph.Inits {
				if w.Name != x.Value {
					continue
				}
				v, err := w.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				inner := 1
				for _, n := range w.Dims[x.Axis+1:] {
					inner *= n
				}
				for _, unit := range x.Units[d.Choices[len(d.Choices)-2]:] {
					for _, at := range unit {
						for k := range v {
							if k/inner%w.Dims[x.Axis] == at {
								v[k] = 0
							}
						}
					}
				}
				m.Graph.Inits[i] = ir.NewFloat32(w.Name, w.Dims, v)
			}
		}
	}
	b.Model = m
}
