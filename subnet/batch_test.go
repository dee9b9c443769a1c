package subnet_test

import (
	"fmt"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// frozen returns a model as an exporter without dynamic axes writes it: the inputs fix the
// batch, what is computed from it is constant, and targets of Reshape are plain sizes.
func frozen(t *testing.T, m *ir.Model, size int) *ir.Model {
	t.Helper()
	m = m.Clone()
	for i := range m.Graph.Inputs {
		m.Graph.Inputs[i].Type.Shape[0] = ir.Dim{Size: size}
	}
	m, err := importer.Normal(m, importer.WithFold(ops.ConstantValues))
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Nodes {
		if n.OpType != "Reshape" {
			continue
		}
		var v []int64
		for _, d := range f.Values[n.Output(0)].Shape() {
			v = append(v, int64(d))
		}
		n.Inputs[1] = n.Output(0) + ".target"
		m.Graph.Inits = append(m.Graph.Inits, ir.NewInt64(n.Inputs[1], []int{len(v)}, v))
	}
	for i, v := range m.Graph.Outputs {
		m.Graph.Outputs[i].Type = f.Values[v.Name].Type
	}
	return m
}

// followed opens the batch of a frozen model.
func followed(t *testing.T, m *ir.Model) *ir.Model {
	t.Helper()
	b := ops.FollowBatch(m)
	if b.Blocked != nil {
		t.Fatal(b.Blocked)
	}
	for _, list := range [][]ir.Value{b.Model.Graph.Inputs, b.Model.Graph.Outputs} {
		for i := range list {
			list[i].Type.Shape[0] = ir.Dim{Size: -1, Param: "batch"}
		}
	}
	return b.Model
}

// part returns batch i, of so many samples, of values whose first axis is the samples.
func part(vals map[string]*prim.Tensor, i, size int) map[string]*prim.Tensor {
	out := map[string]*prim.Tensor{}
	for name, v := range vals {
		n := v.Len() / v.Shape[0] * size
		x := &prim.Tensor{Type: v.Type}
		x.Shape = append([]int{size}, v.Shape[1:]...)
		if v.F64 != nil {
			x.F64 = v.F64[i*n : (i+1)*n]
		}
		if v.I64 != nil {
			x.I64 = v.I64[i*n : (i+1)*n]
		}
		out[name] = x
	}
	return out
}

// TestFixedBatch: a model that fixes its batch everywhere computes, once the batch is open,
// for each of three batches what it did for one, and is cut as the open model is.
func TestFixedBatch(t *testing.T) {
	subjects := tiny(t)
	for _, c := range styles {
		subjects = append(subjects, subject{name: c.name, m: transformer(c.style), opts: space.Options{Divisor: 1, MinRatio: 0.1}, tol: 1e-10})
	}
	for _, s := range subjects {
		for _, size := range []int{1, 2} {
			t.Run(fmt.Sprint(s.name, " ", size), func(t *testing.T) {
				m := frozen(t, s.m, size)
				open := followed(t, m)
				p, _, err := ops.Program(open, map[string]int{"batch": 3 * size}, prim.F64)
				if err != nil {
					t.Fatal(err)
				}
				in := inputs(p, 1)
				got := run(t, p, in)
				for i := range 3 {
					if d := maxDiff(runOn(t, m, nil, part(in, i, size)), part(got, i, size)); d > s.tol {
						t.Errorf("batch %d: want what the fixed model computes, the largest difference is %g", i, d)
					}
				}
				if size == 1 && !testing.Short() {
					checkOtherSizes(t, open, s.opts, map[string]int{"batch": 1}, map[string]int{"batch": 3})
				}
			})
		}
	}
}

// checkOtherSizes: cut at one binding, a model runs at another, and equals there what is cut at that.
func checkOtherSizes(t *testing.T, m *ir.Model, opts space.Options, here, there map[string]int) {
	t.Helper()
	then := entangled(t, analysed(t, m, there), opts, space.Every)
	an := analysed(t, m, here)
	for _, choice := range choices(then.Space, 2, 5) {
		want, err := subnet.Cut(then, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := subnet.Extract(an, recipe(t, then, choice), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := maxDiff(runModel(t, want, there, 2), runModel(t, got, there, 2)); d > 1e-10 {
			t.Errorf("choice %v: cut at %v it differs by %g at %v", choice, here, d, there)
		}
	}
}

// TestCutAtOtherSizes: sizes that a graph computes are cut right for every batch and length.
func TestCutAtOtherSizes(t *testing.T) {
	for _, c := range styles {
		if c.computed || c.gemm {
			t.Run(c.name, func(t *testing.T) {
				checkOtherSizes(t, transformer(c.style), space.Options{Divisor: 1, MinRatio: 0.1}, map[string]int{"batch": 1}, map[string]int{"batch": 3})
			})
		}
	}
	for _, file := range []string{"encoder", "vision", "bert", "gpt", "llama", "t5"} {
		t.Run(file, func(t *testing.T) {
			checkOtherSizes(t, torchModel(t, file), space.Options{Divisor: 4}, map[string]int{"batch": 1, "seq": 7}, map[string]int{"batch": 3, "seq": 4})
		})
	}
}

// TestFixedBatchOnORT: what is written runs there.
func TestFixedBatchOnORT(t *testing.T) {
	rt := orttest.Open(t)
	for _, c := range styles {
		if c.fused != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m := frozen(t, transformer(c.style), 1)
			open := followed(t, m)
			p, _, err := ops.Program(open, map[string]int{"batch": 3}, prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			in := inputs(p, 1)
			values := func(in map[string]*prim.Tensor) map[string]*ir.Tensor {
				out := map[string]*ir.Tensor{}
				for _, v := range m.Graph.Inputs {
					x, err := ops.ModelTensor(v.Name, v.Type.Elem, in[v.Name])
					if err != nil {
						t.Fatal(err)
					}
					out[v.Name] = x
				}
				return out
			}
			got := hosted(t, orttest.Run(t, rt, open, values(in)))
			for i := range 3 {
				want := hosted(t, orttest.Run(t, rt, m, values(part(in, i, 1))))
				if d := maxDiff(want, part(got, i, 1)); d > 1e-3 {
					t.Errorf("sample %d: the largest difference is %g", i, d)
				}
			}
		})
	}
}
