package models_test

import (
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
)

// run runs m for the given inputs on a backend; unknown dimensions are bound to 2.
func run(t *testing.T, b engine.Backend, float prim.DType, m *ir.Model, in map[string]*ir.Tensor) map[string]*ir.Tensor {
	t.Helper()
	out, err := tryRun(b, float, m, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryRun(b engine.Backend, float prim.DType, m *ir.Model, in map[string]*ir.Tensor) (map[string]*ir.Tensor, error) {
	bind, feed := map[string]int{}, map[string]*prim.Tensor{}
	for _, v := range m.Graph.Inputs {
		x := in[v.Name]
		if x == nil {
			continue
		}
		for i, d := range v.Type.Shape {
			switch {
			case d.Known():
			case d.Param != "":
				bind[d.Param] = x.Dims[i]
			default:
				bind[ops.AnyDim] = x.Dims[i]
			}
		}
		h, err := ops.HostTensor(x, float)
		if err != nil {
			return nil, err
		}
		feed[v.Name] = h
	}
	p, _, err := ops.Program(m, bind, float)
	if err != nil {
		return nil, err
	}
	res, err := engine.RunHost(b, p, feed)
	if err != nil {
		return nil, err
	}
	out := map[string]*ir.Tensor{}
	for _, o := range m.Graph.Outputs {
		if out[o.Name], err = ops.ModelTensor(o.Name, ir.Float64, res[o.Name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// TestEngines runs every tiny network in float64 on ref and in float32 on cpu.
func TestEngines(t *testing.T) {
	for _, e := range append(models.Tiny(), models.TinyTransformers()...) {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			in := batch(m)
			want, got := run(t, ref.New(), prim.F64, m, in), run(t, cpu.New(cpu.Options{}), prim.F32, m, in)
			for _, o := range m.Graph.Outputs {
				if d := apart(t, want[o.Name], got[o.Name]); d > 1e-4 {
					t.Errorf("output %q: want cpu within 1e-4 of ref, got a difference of %g", o.Name, d)
				}
			}
		})
	}
}

// TestEnginesAgreeWithORT compares cpu, and for the tiny networks ref, with ONNX Runtime.
func TestEnginesAgreeWithORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, e := range append(every(), models.TinyTransformers()...) {
		t.Run(e.Name, func(t *testing.T) {
			m := build(t, e)
			in := batch(m)
			want, fast := orttest.Run(t, rt, m, in), run(t, cpu.New(cpu.Options{}), prim.F32, m, in)
			slow := fast
			if strings.HasSuffix(e.Name, "-tiny") {
				slow = run(t, ref.New(), prim.F64, m, in)
			}
			for _, o := range m.Graph.Outputs {
				if d := apart(t, want[o.Name], fast[o.Name]); d > 1e-4 {
					t.Errorf("output %q: want cpu within 1e-4 of ONNX Runtime, got a difference of %g", o.Name, d)
				}
				if d := apart(t, want[o.Name], slow[o.Name]); d > 1e-4 {
					t.Errorf("output %q: want ref within 1e-4 of ONNX Runtime, got a difference of %g", o.Name, d)
				}
			}
		})
	}
}

// TestFixturesOnEngines compares both backends with PyTorch's outputs.
func TestFixturesOnEngines(t *testing.T) {
	eachFixture(t, func(t *testing.T, raw *ir.Model, c fixtureCase) {
		m, err := importer.Normal(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []struct {
			backend engine.Backend
			float   prim.DType
		}{{ref.New(), prim.F64}, {cpu.New(cpu.Options{}), prim.F32}} {
			got := run(t, b.backend, b.float, m, c.in())
			if d := apart(t, c.want(), got[c.Output]); d > max(1e-5, c.Tolerance) {
				t.Errorf("%s: output %q: want PyTorch's values within %g, got a difference of %g", b.backend.Name(), c.Output, c.Tolerance, d)
			}
		}
	})
}

// finite reports whether every element is a number.
func finite(t *testing.T, x *ir.Tensor) bool {
	t.Helper()
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range v {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return true
}
