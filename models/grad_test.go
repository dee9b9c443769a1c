package models_test

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
)

// TestTrains checks in float64 that every tiny network has a gradient, in training
// behaviour: along a random direction through all parameters it agrees with the
// central difference, and it is not zero for any parameter.
func TestTrains(t *testing.T) {
	for _, e := range append(models.Tiny(), models.TinyTransformers()...) {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			p, names := lossProgram(t, m)
			exe, err := ref.New().Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			feed := map[string]*prim.Tensor{}
			for name, x := range batch(m) {
				feed[name] = host(t, x)
			}
			weights, direction := map[string]*prim.Tensor{}, map[string][]float64{}
			for _, name := range names {
				weights[name] = host(t, m.Graph.Init(name))
				s := rng.New(7, "direction/"+name)
				d := make([]float64, len(weights[name].F64))
				for i := range d {
					d[i] = s.NormFloat64()
				}
				direction[name] = d
			}
			at := func(eps float64) map[string]*prim.Tensor {
				for _, name := range names {
					w := weights[name]
					moved := prim.NewTensor(w.Type)
					for i, v := range w.F64 {
						moved.F64[i] = v + eps*direction[name][i]
					}
					feed[name] = moved
				}
				out, err := engine.ExecHost(ref.New(), exe, p, feed)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			slope := 0.0
			here := at(0)
			for _, name := range names {
				most := 0.0
				for i, g := range here["grad/"+name].F64 {
					slope += g * direction[name][i]
					most = max(most, math.Abs(g))
				}
				if most == 0 {
					t.Errorf("parameter %q: want a gradient, got zero everywhere", name)
				}
			}
			const eps = 1e-7
			want := (at(eps)["loss"].F64[0] - at(-eps)["loss"].F64[0]) / (2 * eps)
			if math.Abs(slope-want) > 1e-4*max(1, math.Abs(want)) {
				t.Errorf("derivative along a direction: want %g as by differences, got %g", want, slope)
			}
		})
	}
}

// lossProgram returns a program from inputs and trainable parameters to "loss",
// the sum of all outputs' squares in fixed proportions, and "grad/" + name per parameter.
func lossProgram(t *testing.T, m *ir.Model) (*prim.Program, []string) {
	t.Helper()
	f, err := ops.InferModel(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	b := prim.NewBuilder()
	trained := ops.TrainingRoles(m, f)
	var names []string
	var ids []prim.ID
	count := 0
	vals, err := ops.Lower(b, m, f, ops.Hooks{Float: prim.F64, Seed: prim.Invalid, Training: true, Init: func(b *prim.Builder, x *ir.Tensor) prim.ID {
		if trained[x.Name] != ops.Parameter {
			return b.Const(host(t, x))
		}
		count += x.Len()
		id := b.Input(x.Name, prim.Type{DType: prim.F64, Shape: x.Dims})
		names, ids = append(names, x.Name), append(ids, id)
		return id
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := models.Params(m)
	for _, x := range m.Graph.Inits {
		if slices.ContainsFunc(x.Meta, func(p ir.Prop) bool { return p.Key == ops.ConstantKey }) {
			want -= x.Len()
		}
	}
	if count != want {
		t.Errorf("trainable parameters: want %d, got %d", want, count)
	}
	loss := b.Scalar(prim.F64, 0)
	for _, o := range m.Graph.Outputs {
		y := vals[o.Name]
		s := rng.New(9, "weights/"+o.Name)
		c := prim.NewTensor(b.Type(y))
		for i := range c.F64 {
			c.F64[i] = s.NormFloat64()
		}
		all := make([]int, len(b.Shape(y)))
		for i := range all {
			all[i] = i
		}
		loss = b.Plus(loss, b.Reshape(b.Sum(b.Times(b.Const(c), b.Times(y, y)), all...)))
	}
	grads, err := engine.Grad(b, loss, ids)
	if err != nil {
		t.Fatal(err)
	}
	b.Output("loss", loss)
	for i, g := range grads {
		b.Output("grad/"+names[i], g)
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p, names
}

func host(t *testing.T, x *ir.Tensor) *prim.Tensor {
	t.Helper()
	h, err := ops.HostTensor(x, prim.F64)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
