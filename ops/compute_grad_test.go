package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// TestComputeGradients compares the gradient of Σ output·weights with central
// differences, in float64, for every floating input. Where a formula has a kink
// or ties, the inputs keep away from it.
func TestComputeGradients(t *testing.T) {
	s := rng.New(3, "ops/gradients")
	x := func(dims ...int) *ir.Tensor { return noise(s, dims...) }
	ints, num := ir.IntsAttr, ir.IntAttr
	positive := func(dims ...int) *ir.Tensor {
		v, _ := noise(s, dims...).Float64s()
		for i := range v {
			v[i] = 0.5 + math.Abs(v[i])
		}
		return floats(dims, v...)
	}
	type tensors = []*ir.Tensor
	cases := []struct {
		name     string
		op       string
		opset    int
		attrs    []ir.Attr
		in       tensors
		training bool
	}{
		{"strided groups", "Conv", 13, []ir.Attr{num("group", 2), ints("strides", 2, 1), ints("dilations", 1, 2), ints("pads", 1, 0, 2, 1)}, tensors{x(2, 4, 5, 6), x(4, 2, 3, 2), x(4)}, false},
		{"strided", "ConvTranspose", 13, []ir.Attr{ints("strides", 2), ints("output_padding", 1), ints("pads", 1, 0)}, tensors{x(2, 3, 4), x(3, 2, 3), x(2)}, false},
		{"grown", "ConvTranspose", 13, []ir.Attr{ints("output_shape", 9)}, tensors{x(1, 2, 4), x(2, 2, 3)}, false},
		{"batched", "MatMul", 13, nil, tensors{x(2, 1, 2, 3), x(2, 3, 2)}, false},
		{"vector", "MatMul", 13, nil, tensors{x(3), x(2, 3, 2)}, false},
		{"scaled", "Gemm", 13, []ir.Attr{num("transB", 1), ir.FloatAttr("alpha", 0.5), ir.FloatAttr("beta", 2)}, tensors{x(2, 3), x(4, 3), x(4)}, false},
		{"overlapping", "MaxPool", 13, []ir.Attr{ints("kernel_shape", 3), ints("pads", 1, 1)}, tensors{x(2, 2, 5)}, false},
		{"hanging", "AveragePool", 13, []ir.Attr{ints("kernel_shape", 3), ints("strides", 2), num("ceil_mode", 1)}, tensors{x(2, 2, 6)}, false},
		{"cubic", "LpPool", 13, []ir.Attr{ints("kernel_shape", 2), num("p", 3)}, tensors{positive(1, 2, 4)}, false},
		{"plane", "GlobalLpPool", 13, nil, tensors{x(1, 2, 4)}, false},
		{"inference", "BatchNormalization", 15, nil, tensors{x(2, 3, 2), x(3), x(3), x(3), positive(3)}, false},
		{"training", "BatchNormalization", 15, nil, tensors{x(3, 2, 2), x(2), x(2), x(2), positive(2)}, true},
		{"plane", "InstanceNormalization", 13, nil, tensors{x(2, 2, 4), x(2), x(2)}, false},
		{"groups", "GroupNormalization", 21, []ir.Attr{num("num_groups", 2)}, tensors{x(2, 4, 3), x(4), x(4)}, false},
		{"two axes", "LayerNormalization", 17, []ir.Attr{num("axis", 1)}, tensors{x(2, 3, 2), x(3, 2), x(3, 2)}, false},
		{"last axis", "RMSNormalization", 23, nil, tensors{x(2, 4), x(4)}, false},
		{"last axis", "LpNormalization", 13, nil, tensors{x(2, 4)}, false},
		{"default axes", "MeanVarianceNormalization", 13, nil, tensors{x(2, 2, 2, 3)}, false},
		{"neighbours", "LRN", 13, []ir.Attr{num("size", 3), ir.FloatAttr("alpha", 1)}, tensors{x(2, 4, 2)}, false},
		{"rows", "Softmax", 13, nil, tensors{x(2, 4)}, false},
		{"matrix", "LogSoftmax", 11, nil, tensors{x(2, 2, 2)}, false},
		{"axis", "ReduceLogSumExp", 13, []ir.Attr{ints("axes", 1)}, tensors{x(2, 3, 2)}, false},
		{"axis", "ReduceL2", 13, []ir.Attr{ints("axes", 0)}, tensors{x(2, 3)}, false},
		{"axis", "ReduceProd", 13, []ir.Attr{ints("axes", 1)}, tensors{x(2, 3)}, false},
		{"axis", "ReduceMax", 13, []ir.Attr{ints("axes", 1)}, tensors{x(2, 3)}, false},
		{"slope", "PRelu", 16, nil, tensors{x(2, 3), x(3)}, false},
		{"constant exponent", "Pow", 13, nil, tensors{positive(2, 3), floats(nil, 2.5)}, false},
		{"operand", "Where", 16, nil, tensors{integers(ir.Bool, []int{2}, 1, 0), x(2), x(3, 2)}, false},
		{"broadcast", "Mul", 14, nil, tensors{x(2, 3, 2), x(3, 1)}, false},
		{"broadcast", "Div", 14, nil, tensors{x(2, 2), positive(2, 1)}, false},
		{"three", "Max", 13, nil, tensors{x(2, 2), x(2), x(2, 1)}, false},
	}
	for _, op := range activations() {
		cases = append(cases, cases[0])
		c := &cases[len(cases)-1]
		c.name, c.op, c.opset, c.attrs, c.in = "pointwise", op.Name, max(op.Since, 13), nil, tensors{x(3, 5)}
	}
	for _, c := range cases {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			site, err := siteFor(c.op, c.opset, 1, c.attrs, constFacts(c.in)...)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkGradient(site, c.training); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkGradient differentiates a site whose floating inputs become program inputs.
func checkGradient(s *Site, training bool) error {
	b := prim.NewBuilder()
	l := &Lowering{Site: s, B: b, Float: prim.F64, Seed: prim.Invalid, Training: training}
	at := map[string]*prim.Tensor{}
	var wrt []prim.ID
	for i, f := range s.In {
		v, err := HostTensor(f.Const, prim.F64)
		if err != nil {
			return err
		}
		if v.DType != prim.F64 {
			l.In = append(l.In, b.Const(v))
			continue
		}
		name := fmt.Sprint("x", i)
		at[name] = v
		id := b.Input(name, v.Type)
		l.In, wrt = append(l.In, id), append(wrt, id)
	}
	out, err := Lookup("", s.Node.OpType).Lower(l)
	if err != nil {
		return err
	}
	weights, err := HostTensor(noise(rng.New(4, "ops/weights"), s.Out[0].Shape()...), prim.F64)
	if err != nil {
		return err
	}
	loss := b.Sum(b.Reshape(b.Times(out[0], b.Const(weights)), weights.Len()), 0)
	grads, err := engine.Grad(b, loss, wrt)
	if err != nil {
		return err
	}
	b.Output("loss", loss)
	for k, g := range grads {
		b.Output(fmt.Sprint("g", k), g)
	}
	p, err := b.Program()
	if err != nil {
		return err
	}
	backend := ref.New()
	exe, err := backend.Compile(p)
	if err != nil {
		return err
	}
	got, err := engine.ExecHost(backend, exe, p, at)
	if err != nil {
		return err
	}
	value := func() (float64, error) {
		r, err := engine.ExecHost(backend, exe, p, at)
		if err != nil {
			return 0, err
		}
		return r["loss"].F64[0], nil
	}
	for k, id := range wrt {
		name := p.Inputs[k].Name
		if p.Inputs[k].ID != id {
			return fmt.Errorf("input %q out of order", name)
		}
		g := got[fmt.Sprint("g", k)]
		for i := range at[name].F64 {
			const h = 1e-5
			old := at[name].F64[i]
			at[name].F64[i] = old + h
			high, err := value()
			if err != nil {
				return err
			}
			at[name].F64[i] = old - h
			low, err := value()
			if err != nil {
				return err
			}
			at[name].F64[i] = old
			if want := (high - low) / (2 * h); math.Abs(g.F64[i]-want) > 1e-6*(1+math.Abs(want)) {
				return fmt.Errorf("gradient of %s[%d]: want %g, got %g", name, i, want, g.F64[i])
			}
		}
	}
	return nil
}
