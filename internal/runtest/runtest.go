package runtest

import (
	"context"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Bench is a tiny model with data, ready to search.
type Bench struct {
	Be    engine.Backend
	Model *ir.Model
	Set   *data.Set
	Job   entangle.Job
}

// New returns a bench of a network of models, with images drawn for it.
func New(t *testing.T, name string) *Bench {
	t.Helper()
	m, set := modeltest.WithImages(t, name, 320, 80)
	w := train.DefaultWeights()
	w.Hyper.WeightDecay, w.Warmup, w.Augment, w.Epochs = 5e-4, 0, "none", 1
	j := entangle.DefaultJob()
	j.Data.Batch, j.Data.Split = 16, search.Splits{Weights: .4, Alpha: .4, Val: .2}
	j.Seed, j.Space.Divisor, j.Space.Superposition = 5, 2, space.Every
	j.Refine, j.Calibrate, j.Tune = 0, 8, w
	d := search.DefaultConfig()
	j.Search.Weights = w
	j.Search.Weights.Rate, j.Search.Relaxation, j.Search.Rounds, j.Search.RoundBatches = d.Weights.Rate, d.Relaxation, d.Rounds, d.RoundBatches
	return &Bench{cpu.New(cpu.Options{Threads: 2}), m, set, j}
}

// Parts returns the model as a network for batches of that size, and the parts of the set.
func (b *Bench) Parts(t *testing.T, batch int) (*net.Network, *search.Views) {
	t.Helper()
	n, err := net.NewNetworkOn(b.Model, batch, b.Set, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.Job.Data.Split.View(b.Set, 1)
	if err != nil {
		t.Fatal(err)
	}
	return n, v
}

// Plan prepares the job.
func (b *Bench) Plan(t *testing.T) *entangle.Plan {
	t.Helper()
	p, err := entangle.Prepare(Wrap(b.Model), b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Run searches with the plan's space; alpha replaces the architecture view when not nil.
func (b *Bench) Run(ctx context.Context, p *entangle.Plan, cfg search.Config, budget decide.Budget, alpha *data.View, h train.Hooks) (*search.Decision, error) {
	super, err := space.Entangle(p.An, p.Space, b.Job.Space.Superposition)
	if err != nil {
		return nil, err
	}
	n, err := net.NewNetworkOn(p.Model, b.Job.Data.Batch, b.Set, super)
	if err != nil {
		return nil, err
	}
	view := p.Views.Alpha
	if alpha != nil {
		view = *alpha
	}
	return search.Run(ctx, b.Be, n, nil, p.Views.Weights, view, data.View{}, cfg, budget, b.Job.Seed, h)
}

// Wrap makes a normal graph a model.
func Wrap(m *ir.Model) *entangle.Model { return &entangle.Model{Raw: m, Normal: m} }

// Refining is a refiner of a small decoder with its own weights.
func Refining(t *testing.T, offer space.Options) (*entangle.Plan, *space.Supernet, *net.Vertices) {
	t.Helper()
	set, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 8})
	if err != nil {
		t.Fatal(err)
	}
	j := entangle.DefaultJob()
	j.Data.Batch, j.Seed, j.Space.Options = 32, 3, offer
	j.Target = entangle.Targets{{Metric: space.MACs, Share: 0.6}}
	p, err := entangle.Prepare(Wrap(modeltest.Normal(t, "llama-tiny", models.Options{Vocab: 12})), set, j)
	if err != nil {
		t.Fatal(err)
	}
	super, err := space.Entangle(p.An, p.Space, j.Space.Superposition)
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.NewNetworkOn(p.Model, j.Data.Batch, set, super)
	if err != nil {
		t.Fatal(err)
	}
	r, err := net.NewVertices(cpu.New(cpu.Options{Threads: 1}), n, nil, nil, p.Views.Alpha, net.Objective{Labels: 1}, net.VertexBatches, j.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return p, super, r
}

// Without is the model with one unit cut.
func Without(t *testing.T, b *Bench, p *entangle.Plan, d space.Dim, unit int) *net.Network {
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
	n, err := net.NewNetworkOn(m, 16, b.Set, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
