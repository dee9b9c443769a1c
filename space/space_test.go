package space_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// knot is a network whose one width stands twice on one weight (a residual
// convolution of the stream itself) and, beside other widths, on both axes of
// another (the joint of a concatenation that returns to the stream).
var knot = models.Entry{Name: "knot", Defaults: models.Options{Classes: 3, Channels: 2, Size: 6, Width: 4, Depth: 1, Seed: 2, Scatter: true}, Wire: func(n *models.Net, o models.Options) {
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, models.ConvOptions{Kernel: 3})
	x = n.Relu("square.relu", n.Add("square.add", x, n.Conv("square.conv", x, o.Width, models.ConvOptions{Kernel: 3})))
	list := []models.Val{x}
	for i := range o.Depth {
		list = append(list, n.ConvBNRelu(fmt.Sprintf("side%d", i), x, o.Width-1, models.ConvOptions{Kernel: 1, Bias: true}))
	}
	y := n.Conv("joint.conv", n.Concat("concat", list...), o.Width, models.ConvOptions{Kernel: 3})
	x = n.Relu("joint.relu", n.Add("joint.add", x, y))
	n.Output("logits", n.Linear("fc", n.Flatten("flatten", n.MaxPool("pool", x, 2)), o.Classes))
}}

// networks lists the tiny reference networks, and knot.
func networks() []models.Entry {
	return append(models.Tiny(), knot)
}

// analysed builds a network and analyses it at batch 2.
func analysed(t *testing.T, name string, o models.Options) *space.Analysis {
	t.Helper()
	e, ok := models.Lookup(name)
	if name == knot.Name {
		e, ok = knot, true
	}
	if !ok {
		t.Fatalf("no model %q", name)
	}
	raw, err := e.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	return an
}

func offered(t *testing.T, an *space.Analysis, o space.Options) *space.Space {
	t.Helper()
	s, err := space.New(an, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entangled(t *testing.T, an *space.Analysis, s *space.Space, sp space.Superposition) *space.Supernet {
	t.Helper()
	net, err := space.Entangle(an, s, sp)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// scramble gives every width a random order and leaves every dim a random list of
// at most limit choices.
func scramble(s *space.Space, limit int, r *rand.Rand) {
	for i := range s.Dims {
		d := &s.Dims[i]
		if d.Kind == "width" {
			d.Order = r.Perm(d.Choices[len(d.Choices)-1])
		}
		keep := 1 + r.IntN(limit)
		for len(d.Choices) > keep {
			k := r.IntN(len(d.Choices) - 1)
			d.Choices = append(append([]int{}, d.Choices[:k]...), d.Choices[k+1:]...)
		}
	}
}

// simplex draws positive coefficients with sum 1 for every dim.
func simplex(s *space.Space, r *rand.Rand) [][]float64 {
	out := make([][]float64, len(s.Dims))
	for i, d := range s.Dims {
		sum := 0.0
		for range d.Choices {
			out[i] = append(out[i], 0.05+r.Float64())
			sum += out[i][len(out[i])-1]
		}
		for k := range out[i] {
			out[i][k] /= sum
		}
	}
	return out
}

func normal(r *rand.Rand, shape ...int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.F64, Shape: shape})
	for i := range t.F64 {
		t.F64[i] = r.NormFloat64()
	}
	return t
}

// lowered is a model as a float64 program whose trained weights are inputs
// "w/<name>"; net nil lowers the plain model.
type lowered struct {
	b      *prim.Builder
	coefs  []prim.ID
	values map[string]prim.ID
	in     map[string]*prim.Tensor // values of every input but the coefficients
}

func lower(t *testing.T, an *space.Analysis, net *space.Supernet, r *rand.Rand) *lowered {
	t.Helper()
	l := &lowered{b: prim.NewBuilder(), in: map[string]*prim.Tensor{}}
	roles := ops.TrainingRoles(an.Model, an.Facts)
	ids := map[string]prim.ID{}
	for _, w := range an.Model.Graph.Inits {
		if roles[w.Name] != ops.Parameter {
			continue
		}
		h, err := ops.HostTensor(w, prim.F64)
		if err != nil {
			t.Fatal(err)
		}
		ids[w.Name] = l.b.Input("w/"+w.Name, h.Type)
		l.in["w/"+w.Name] = h
	}
	h := ops.Hooks{Float: prim.F64, Seed: prim.Invalid, Init: func(b *prim.Builder, w *ir.Tensor) prim.ID {
		if id, ok := ids[w.Name]; ok {
			return id
		}
		c, err := ops.HostTensor(w, prim.F64)
		if err != nil {
			return b.Fail(err)
		}
		return b.Const(c)
	}}
	if net != nil {
		l.coefs = net.Coefficients(l.b, prim.F64)
		h = net.Hooks(h, l.coefs)
	}
	var err error
	if l.values, err = ops.Lower(l.b, an.Model, an.Facts, h); err != nil {
		t.Fatal(err)
	}
	for _, v := range an.Model.Graph.Inputs {
		l.in[v.Name] = normal(r, an.Facts.Values[v.Name].Shape()...)
	}
	return l
}

// with adds coefficients to the inputs.
func with(in map[string]*prim.Tensor, s *space.Space, coef [][]float64) map[string]*prim.Tensor {
	out := map[string]*prim.Tensor{}
	for k, v := range in {
		out[k] = v
	}
	for i, d := range s.Dims {
		out["coef/"+d.Name] = prim.F64Tensor(coef[i], len(coef[i]))
	}
	return out
}

func run(t *testing.T, p *prim.Program, in map[string]*prim.Tensor) map[string]*prim.Tensor {
	t.Helper()
	out, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func program(t *testing.T, b *prim.Builder) *prim.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// weightedSum reduces a value to one number with random weights, so that every
// element has a gradient of its own.
func weightedSum(b *prim.Builder, v prim.ID, r *rand.Rand) prim.ID {
	axes := make([]int, len(b.Shape(v)))
	for i := range axes {
		axes[i] = i
	}
	return b.Reshape(b.Sum(b.Times(v, b.Const(normal(r, b.Shape(v)...))), axes...))
}
