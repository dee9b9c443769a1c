package search_test

import (
	"context"
	"errors"
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
	got := interrupted(t, h, 1, func(ctx context.Context, h train.Hooks) (*search.Decision, error) {
		return b.Run(ctx, p, b.Job.Search, budget, nil, h)
	})
	if !slices.Equal(whole.Choice, got.Choice) || !nettest.EqualWeights(whole.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
	if len(whole.Rounds) != 3 || !reflect.DeepEqual(whole.Rounds, got.Rounds) {
		t.Errorf("want 3 rounds, the same after an interruption, got %d and %d", len(whole.Rounds), len(got.Rounds))
	}
	for i, r := range whole.Rounds {
		if r.Loss == nil || len(r.Trials) == 0 || i == 0 && !slices.Equal(r.Choice, p.Space.Largest()) {
			t.Errorf("round %d measured %+v", i, r)
		}
		for _, x := range r.Trials {
			if x.Choice == r.Choice[x.Dim] || x.Choice >= len(p.Space.Dims[x.Dim].Choices) {
				t.Errorf("round %d: %+v is none of the choices beside %v", i, x, r.Choice)
			}
		}
	}
}

// TestRoundsCutWhatIsIdle: of a trained network, the units that compute zeros are given up.
func TestRoundsCutWhatIsIdle(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Rate, w.Augment = 6, 0.1, "none"
	_, _, b.Model = nettest.Trained(t, b.Be, n, v.Both, v.Val, v.Test, w)
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Rate, b.Job.Space.Kinds, b.Job.Search.Refit = search.InRounds, 4, 1e-6, []string{"width"}, false
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

// TestRoundsChooseOperations: of two branches that an addition joins, the one that computes
// something remains, though zeros are cheaper and fit as well.
func TestRoundsChooseOperations(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 16)
	w := train.DefaultWeights()
	w.Epochs, w.Rate, w.Augment = 6, 0.1, "none"
	_, _, b.Model = nettest.Trained(t, b.Be, n, v.Both, v.Val, v.Test, w)
	conv := besideZeros(t, b)
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Rate = search.InRounds, 4, 1e-6
	b.Job.Search.Weights.Objective.Labels, b.Job.Search.Weights.Objective.Distill = 1, 0
	b.Job.Space.Kinds, b.Job.Space.Operations = []string{"operations"}, []string{"choose"}
	b.Job.Target = entangle.Targets{{Metric: space.MACs, Share: 0.99}}
	p := b.Plan(t)
	dim := p.Space.Dims[0]
	want := slices.Index(dim.Candidates, conv)
	if want != 1 || len(dim.Candidates) != 2 {
		t.Fatalf("want %q as the dearer of two candidates, got %q", conv, dim.Candidates)
	}
	cost := p.Cost[space.MACs]
	budget := decide.Budget{{Metric: space.MACs, Limit: cost.At([]int{want}), Cost: cost}}
	d, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Choice, []int{want}) {
		t.Errorf("want %q alone, got %v of %q", conv, d.Choice, dim.Candidates)
	}
}

// besideZeros adds a convolution of zeros beside the first 3×3 one, joined by the node "choose",
// and returns the result of that one.
func besideZeros(t *testing.T, b *runtest.Bench) string {
	t.Helper()
	m := b.Model.Clone()
	g := m.Graph
	for i, n := range g.Nodes {
		w := g.Init(n.Input(1))
		if n.OpType != "Conv" || w == nil || w.Dims[2] != 3 || w.Dims[3] != 3 {
			continue
		}
		g.Inits = append(g.Inits, ir.NewFloat32("zeros", []int{w.Dims[0], w.Dims[1], 1, 1}, make([]float32, w.Dims[0]*w.Dims[1])))
		zeros := &ir.Node{Name: "zeros", OpType: "Conv", Inputs: []string{n.Inputs[0], "zeros"}, Outputs: []string{"zeros.out"}}
		for _, a := range n.Attrs {
			if a.Name == "strides" || a.Name == "group" {
				zeros.Attrs = append(zeros.Attrs, a)
			}
		}
		whole, own := n.Outputs[0], n.Outputs[0]+".own"
		n.Outputs[0] = own
		join := &ir.Node{Name: "choose", OpType: "Add", Inputs: []string{own, "zeros.out"}, Outputs: []string{whole}}
		g.Nodes = slices.Insert(g.Nodes, i+1, zeros, join)
		b.Model = m
		return own
	}
	t.Fatal("the model has no 3×3 convolution")
	return ""
}

// countdown is a context that is cancelled when it has been asked so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestRoundsStopAmidst: a round that is stopped among its measurements ends at once and says
// where; a run that goes on from there gives what an uninterrupted one does.
func TestRoundsStopAmidst(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds = search.InRounds, 3
	p := b.Plan(t)
	budget := half(p.Cost[space.MACs], p.Space)
	whole, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint")}
	var stopped *train.Interrupted
	if _, err := b.Run(&countdown{context.Background(), 5}, p, b.Job.Search, budget, nil, h); !errors.As(err, &stopped) || stopped.Step != 0 {
		t.Fatalf("want it interrupted at step 0, got %v", err)
	}
	got, err := b.Run(context.Background(), p, b.Job.Search, budget, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(whole.Choice, got.Choice) || !nettest.EqualWeights(whole.Weights, got.Weights) {
		t.Error("the run that went on differs from the uninterrupted one")
	}
}

// TestPaths: of several paths that is taken whose subnet loses least at its end; equal widths
// are those of uniform width, and are measured no more than that takes.
func TestPaths(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Epochs = search.InRounds, 3, 2
	p := b.Plan(t)
	budget := half(p.Cost[space.MACs], p.Space)
	along := func(epochs train.Epochs, h train.Hooks, even ...float64) *search.Decision {
		cfg := b.Job.Search
		cfg.Even, cfg.Weights.Epochs = even, epochs
		d, err := b.Run(context.Background(), p, cfg, budget, nil, h)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	alone := []*search.Decision{along(1, train.Hooks{}, 0), along(1, train.Hooks{Stage: "search-2"}, 1)}
	equal, err := decide.Uniform(p.Space, budget)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range alone[1].Choice {
		if k < equal[i] || k > equal[i]+2 {
			t.Errorf("the path of equal widths ended at %v: want uniform width, %v, and what is left of the budget", alone[1].Choice, equal)
		}
	}
	both := along(2, train.Hooks{}, 0, 1)
	if len(both.Paths) != 2 || both.Paths[0].Even != 0 || both.Paths[1].Even != 1 {
		t.Fatalf("want the losses of both paths in their order, got %+v", both.Paths)
	}
	for i, r := range both.Rounds {
		if want := i / (len(both.Rounds) / 2); r.Path != want || want == 0 != (len(r.Trials) > 0) {
			t.Errorf("round %d is of path %d with %d trials: want both paths' rounds in turn, of equal widths no trials", i, r.Path, len(r.Trials))
		}
	}
	best := 0
	if both.Paths[1].Loss < both.Paths[0].Loss {
		best = 1
	}
	if !slices.Equal(both.Choice, alone[best].Choice) || !nettest.EqualWeights(both.Weights, alone[best].Weights) {
		t.Errorf("of losses %+v want what path %d alone ends at", both.Paths, best)
	}
	h := train.Hooks{Checkpoint: filepath.Join(t.TempDir(), "search.checkpoint"), LogEvery: 1}
	got := interrupted(t, h, 1, func(ctx context.Context, h train.Hooks) (*search.Decision, error) {
		cfg := b.Job.Search
		cfg.Even = []float64{0, 1}
		return b.Run(ctx, p, cfg, budget, nil, h)
	})
	if !slices.Equal(both.Choice, got.Choice) || !nettest.EqualWeights(both.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
}

// TestPathsBetween: the more weight equal widths have, the nearer to them a path ends.
func TestPathsBetween(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds = search.InRounds, 3
	p := b.Plan(t)
	budget := half(p.Cost[space.MACs], p.Space)
	equal, err := decide.Uniform(p.Space, budget)
	if err != nil {
		t.Fatal(err)
	}
	apart := func(even float64) (sum int) {
		cfg := b.Job.Search
		cfg.Even = []float64{even}
		d, err := b.Run(context.Background(), p, cfg, budget, nil, train.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range d.Choice {
			if p.Space.Dims[i].CountsUnits() {
				sum += max(k-equal[i], equal[i]-k)
			}
		}
		return sum
	}
	if far, near := apart(0), apart(0.97); near >= far {
		t.Errorf("with equal widths weighing 0.97 the widths are %d choices from uniform ones, without %d: want fewer", near, far)
	}
}
