package search_test

import (
	"context"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// bench is a tiny model with data, ready to search.
type bench struct {
	be    engine.Backend
	model *ir.Model
	set   *data.Set
	job   search.Job
}

func newBench(t *testing.T, name string) *bench {
	t.Helper()
	m, set := modeltest.WithImages(t, name, 320, 80)
	j := search.Job{Space: space.Options{Divisor: 2}, Batch: 16, Seed: 5, Splits: search.Splits{Weights: .4, Alpha: .4, Val: .2}, Order: "taylor",
		Super: space.Every, Search: search.DefaultConfig(), Target: search.Target{Metric: space.MACs, Share: 0.5}, Calibrate: 8, Tune: search.DefaultWeights()}
	j.Search.Weights.Epochs, j.Tune.Epochs = 1, 1
	return &bench{cpu.New(cpu.Options{Threads: 2}), m, set, j}
}

// parts returns the model as a network for batches of that size, and the parts of the set.
func (b *bench) parts(t *testing.T, batch int) (*search.Network, *search.Views) {
	t.Helper()
	n, err := search.NewNetwork(b.model, batch, b.set.Shape(), nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.job.Splits.View(b.set, 1)
	if err != nil {
		t.Fatal(err)
	}
	return n, v
}

func (b *bench) plan(t *testing.T) *search.Plan {
	t.Helper()
	p, err := search.Prepare(b.model, b.set, b.job)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run searches with the plan's space; alpha replaces the architecture view when not nil.
func (b *bench) run(ctx context.Context, p *search.Plan, cfg search.Config, alpha *data.View, h search.Hooks) (*search.Decision, error) {
	super, err := space.Entangle(p.An, p.Space, b.job.Super)
	if err != nil {
		return nil, err
	}
	n, err := search.NewNetwork(p.Model, b.job.Batch, b.set.Shape(), super)
	if err != nil {
		return nil, err
	}
	view := p.Views.Alpha
	if alpha != nil {
		view = *alpha
	}
	return search.Run(ctx, b.be, n, nil, p.Views.Weights, view, data.View{}, cfg, b.job.Seed, h)
}

// refining is a refiner of a small decoder with its own weights.
func refining(t *testing.T, offer space.Options) (*search.Plan, *space.Supernet, *search.Vertices) {
	t.Helper()
	set, err := data.Open("lm:"+chain(t), data.Options{Seq: 8})
	if err != nil {
		t.Fatal(err)
	}
	j := search.DefaultJob()
	j.Batch, j.Seed, j.Space = 32, 3, offer
	j.Target = search.Target{Metric: space.MACs, Share: 0.6}
	p, err := search.Prepare(modeltest.Normal(t, "llama-tiny", models.Options{Vocab: 12}), set, j)
	if err != nil {
		t.Fatal(err)
	}
	super, err := space.Entangle(p.An, p.Space, j.Super)
	if err != nil {
		t.Fatal(err)
	}
	n, err := search.NewNetworkOn(p.Model, j.Batch, set, super)
	if err != nil {
		t.Fatal(err)
	}
	r, err := search.NewVertices(cpu.New(cpu.Options{Threads: 1}), n, nil, nil, p.Views.Alpha, search.Objective{Labels: 1}, j.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return p, super, r
}

// without is the model with one unit cut.
func without(t *testing.T, b *bench, p *search.Plan, d space.Dim, unit int) *search.Network {
	t.Helper()
	order := []int{}
	for u := range len(d.Order) {
		if u != unit {
			order = append(order, u)
		}
	}
	full := len(d.Order)
	s := &space.Space{Dims: []space.Dim{{Name: d.Name, Kind: d.Kind, Node: d.Node, Choices: []int{full - 1, full}, Order: append(order, unit)}}}
	supernet, err := space.Entangle(p.An, s, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m, err := subnet.Cut(supernet, []int{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := search.NewNetwork(m, 16, b.set.Shape(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
