package ops

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// ramp returns a float64 tensor with the values first, first+1, ….
func ramp(first float64, dims ...int) *ir.Tensor {
	v := make([]float64, ir.Prod(dims))
	for i := range v {
		v[i] = first + float64(i)
	}
	return floats(dims, v...)
}

func floats(dims []int, v ...float64) *ir.Tensor {
	t, err := ir.NewFloats("", ir.Float64, dims, v)
	if err != nil {
		panic(err)
	}
	return t
}

func integers(d ir.DType, dims []int, v ...int64) *ir.Tensor {
	t, err := ir.NewInts("", d, dims, v)
	if err != nil {
		panic(err)
	}
	return t
}

// noise returns a float64 tensor of standard normal numbers.
func noise(s *rng.Stream, dims ...int) *ir.Tensor {
	v := make([]float64, ir.Prod(dims))
	for i := range v {
		v[i] = s.NormFloat64()
	}
	return floats(dims, v...)
}

// opOf returns the operator of that Title, nil when there is none.
func opOf(title string) *Op {
	dot := strings.LastIndex(title, ".")
	return Lookup(title[:max(dot, 0)], title[dot+1:])
}

// siteFor builds a node of an operator (by Title) over facts, with the given number of outputs, and infers it.
func siteFor(title string, opset, outputs int, attrs []ir.Attr, in ...Fact) (*Site, error) {
	op := opOf(title)
	if op == nil {
		return nil, fmt.Errorf("no operator %q", title)
	}
	s := &Site{Node: &ir.Node{Name: "n", OpType: op.Name, Domain: op.Domain, Attrs: attrs}, Opset: opset, In: in}
	for i, f := range in {
		value := ""
		if f.Present() {
			value = fmt.Sprint("x", i)
		}
		s.Node.Inputs = append(s.Node.Inputs, value)
	}
	for k := range outputs {
		s.Node.Outputs = append(s.Node.Outputs, fmt.Sprint("y", k))
	}
	out, err := op.Infer(s)
	s.Out = out
	return s, err
}

func constFact(t *ir.Tensor, weight bool) Fact {
	if t == nil {
		return Fact{}
	}
	return Fact{Type: t.Type(), Const: t, Weight: weight}
}

func constFacts(in []*ir.Tensor) []Fact {
	f := make([]Fact, len(in))
	for i, t := range in {
		f[i] = constFact(t, i > 0)
	}
	return f
}

// perform lowers a site over its constants in F64 and runs it on the reference; edit may change the lowering first.
func perform(s *Site, edit func(l *Lowering)) ([]*prim.Tensor, error) {
	l := &Lowering{Site: s, B: prim.NewBuilder(), Float: prim.F64, Seed: prim.Invalid}
	if edit != nil {
		edit(l)
	}
	_, out, err := lowerSite(l)
	if err != nil {
		return nil, err
	}
	return results(l.B, out, nil)
}

func near(got *prim.Tensor, want []float64, tol float64) error {
	if got.Len() != len(want) {
		return fmt.Errorf("want %d elements, got %v", len(want), got.Type)
	}
	for i, w := range want {
		g := got.Float(i)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= tol*(1+math.Abs(w))) {
			return fmt.Errorf("element %d: want %g, got %g", i, w, g)
		}
	}
	return nil
}

func TestComputeShapes(t *testing.T) {
	f := func(dims ...int) Fact { return Fact{Type: ir.TensorType(ir.Float32, dims...)} }
	named := func(name string, rest ...int) Fact {
		ty := ir.TensorType(ir.Float32, append([]int{-1}, rest...)...)
		ty.Shape[0].Param = name
		return Fact{Type: ty}
	}
	axes := func(v ...int64) Fact { return constFact(ir.NewInt64("", []int{len(v)}, v), true) }
	ints, num, str := ir.IntsAttr, ir.IntAttr, ir.StringAttr
	for _, c := range []struct {
		name  string
		op    string
		opset int
		attrs []ir.Attr
		in    []Fact
		want  string // shape, or the error after "!"
	}{
		{"same pads", "Conv", 11, []ir.Attr{ints("pads", 1, 1, 1, 1)}, []Fact{f(2, 3, 8, 9), f(4, 3, 3, 3)}, "float32[2,4,8,9]"},
		{"symbolic batch", "Conv", 11, nil, []Fact{named("batch", 3, 8, 8), f(4, 3, 3, 3)}, "float32[batch,4,6,6]"},
		{"unknown plane", "Conv", 11, nil, []Fact{f(1, 3, -1, 8), f(4, 3, 3, 3)}, "float32[1,4,?,6]"},
		{"1-D stride dilation", "Conv", 11, []ir.Attr{ints("strides", 2), ints("dilations", 2)}, []Fact{f(1, 4, 11), f(6, 2, 3), f(6)}, "!weight"},
		{"1-D group", "Conv", 11, []ir.Attr{ints("strides", 2), ints("dilations", 2), num("group", 2)}, []Fact{f(1, 4, 11), f(6, 2, 3), f(6)}, "float32[1,6,4]"},
		{"3-D", "Conv", 11, nil, []Fact{f(1, 1, 4, 5, 6), f(2, 1, 2, 2, 2)}, "float32[1,2,3,4,5]"},
		{"SAME_UPPER stride", "Conv", 11, []ir.Attr{str("auto_pad", "SAME_UPPER"), ints("strides", 2, 2)}, []Fact{f(1, 1, 7, 8), f(1, 1, 3, 3)}, "float32[1,1,4,4]"},
		{"VALID", "Conv", 11, []ir.Attr{str("auto_pad", "VALID"), ints("strides", 2, 2)}, []Fact{f(1, 1, 7, 8), f(1, 1, 3, 3)}, "float32[1,1,3,3]"},
		{"bad auto_pad", "Conv", 11, []ir.Attr{str("auto_pad", "SOME")}, []Fact{f(1, 1, 7, 8), f(1, 1, 3, 3)}, "!auto_pad"},
		{"kernel too large", "Conv", 11, nil, []Fact{f(1, 1, 2, 8), f(1, 1, 3, 3)}, "!smaller than the window"},
		{"negative pads", "Conv", 11, []ir.Attr{ints("pads", -1, 0, 0, 0)}, []Fact{f(1, 1, 7, 8), f(1, 1, 3, 3)}, "!\"pads\""},
		{"zero stride", "Conv", 11, []ir.Attr{ints("strides", 0, 1)}, []Fact{f(1, 1, 7, 8), f(1, 1, 3, 3)}, "!\"strides\""},
		{"group no divisor", "Conv", 11, []ir.Attr{num("group", 3)}, []Fact{f(1, 3, 7, 8), f(4, 1, 3, 3)}, "!want a divisor of 4"},
		{"bias size", "Conv", 11, nil, []Fact{f(1, 3, 7, 8), f(4, 3, 3, 3), f(3)}, "!bias"},
		{"kernel_shape differs", "Conv", 11, []ir.Attr{ints("kernel_shape", 5, 5)}, []Fact{f(1, 3, 7, 8), f(4, 3, 3, 3)}, "!kernel_shape"},
		{"transposed", "ConvTranspose", 11, []ir.Attr{ints("strides", 2, 2), ints("output_padding", 1, 1), ints("pads", 1, 1, 1, 1)}, []Fact{f(1, 2, 4, 4), f(2, 3, 3, 3)}, "float32[1,3,8,8]"},
		{"transposed output_shape", "ConvTranspose", 11, []ir.Attr{ints("strides", 3, 2), ints("output_shape", 10, 8)}, []Fact{f(1, 1, 3, 3), f(1, 2, 3, 3)}, "float32[1,2,10,8]"},
		{"transposed same", "ConvTranspose", 11, []ir.Attr{ints("strides", 2, 2), str("auto_pad", "SAME_UPPER")}, []Fact{f(1, 1, 3, 3), f(1, 2, 3, 3)}, "float32[1,2,6,6]"},
		{"max pool ceil", "MaxPool", 12, []ir.Attr{ints("kernel_shape", 3, 3), ints("strides", 2, 2), num("ceil_mode", 1)}, []Fact{f(1, 1, 4, 4)}, "float32[1,1,2,2]"},
		{"last window in the padding", "MaxPool", 12, []ir.Attr{ints("kernel_shape", 1), ints("strides", 2), ints("pads", 0, 2), num("ceil_mode", 1)}, []Fact{f(1, 1, 2)}, "float32[1,1,2]"},
		{"global", "GlobalAveragePool", 7, nil, []Fact{named("n", 5, -1, 7)}, "float32[n,5,1,1]"},
		{"matmul vectors", "MatMul", 13, nil, []Fact{f(3), f(3)}, "float32[]"},
		{"matmul broadcast", "MatMul", 13, nil, []Fact{f(2, 1, 4, 3), f(5, 3, 6)}, "float32[2,5,4,6]"},
		{"matmul row", "MatMul", 13, nil, []Fact{f(3), f(5, 3, 6)}, "float32[5,6]"},
		{"matmul inner", "MatMul", 13, nil, []Fact{f(2, 3), f(4, 2)}, "!inner sizes"},
		{"gemm", "Gemm", 13, []ir.Attr{num("transA", 1), num("transB", 1)}, []Fact{f(3, 2), f(4, 3), f(4)}, "float32[2,4]"},
		{"gemm C too large", "Gemm", 13, nil, []Fact{f(2, 3), f(3, 4), f(2, 2, 4)}, "!input 2"},
		{"broadcast", "Add", 14, nil, []Fact{named("n", 1, 4), f(3, 1)}, "float32[n,3,4]"},
		{"no broadcast", "Add", 14, nil, []Fact{f(2, 3), f(2)}, "!broadcast"},
		{"mixed types", "Add", 14, nil, []Fact{f(2, 3), {Type: ir.TensorType(ir.Int64, 3)}}, "!want float32 like input 0, got int64"},
		{"mixed types", "Conv", 11, nil, []Fact{f(1, 3, 7, 8), {Type: ir.TensorType(ir.Float16, 4, 3, 3, 3)}}, "!element type"},
		{"relation", "Less", 13, nil, []Fact{f(2, 3), f(3)}, "bool[2,3]"},
		{"reduce attribute", "ReduceMean", 13, []ir.Attr{ints("axes", -1, 0)}, []Fact{f(2, 3, 4)}, "float32[1,3,1]"},
		{"reduce input", "ReduceMean", 18, []ir.Attr{num("keepdims", 0)}, []Fact{f(2, 3, 4), axes(1)}, "float32[2,4]"},
		{"reduce all", "ReduceSum", 13, []ir.Attr{num("keepdims", 0)}, []Fact{f(2, 3, 4)}, "float32[]"},
		{"reduce nothing", "ReduceSum", 13, []ir.Attr{num("noop_with_empty_axes", 1)}, []Fact{f(2, 3, 4), axes()}, "float32[2,3,4]"},
		{"reduce axis out of range", "ReduceSum", 13, nil, []Fact{f(2, 3), axes(2)}, "!axis"},
		{"argmax", "ArgMax", 13, []ir.Attr{num("axis", 1), num("keepdims", 0)}, []Fact{f(2, 3, 4)}, "int64[2,4]"},
		{"softmax axis", "Softmax", 13, []ir.Attr{num("axis", 3)}, []Fact{f(2, 3, 4)}, "!axis"},
		{"layer norm scale", "LayerNormalization", 17, nil, []Fact{f(2, 3, 4), f(5)}, "!input 1"},
		{"batch norm channels", "BatchNormalization", 15, nil, []Fact{f(2, 3, 4), f(3), f(3), f(4), f(3)}, "!input 3"},
		{"group norm divisor", "GroupNormalization", 21, []ir.Attr{num("num_groups", 2)}, []Fact{f(2, 3, 4), f(3), f(3)}, "!num_groups"},
		{"quantize", "QuantizeLinear", 13, nil, []Fact{f(2, 3), f(3), {Type: ir.TensorType(ir.Int8, 3)}}, "int8[2,3]"},
		{"missing input", "Add", 14, nil, []Fact{f(2, 3)}, "!inputs"},
	} {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			s, err := siteFor(c.op, c.opset, 1, c.attrs, c.in...)
			if fault, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), fault) || !strings.Contains(err.Error(), `node "n"`) {
					t.Fatalf("want an error about %q at the node, got %v", fault, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Out[0].Type.String(); got != c.want {
				t.Errorf("want %s, got %s", c.want, got)
			}
		})
	}
}

func TestBatchNormalizationTrains(t *testing.T) {
	in := []*ir.Tensor{floats([]int{2, 1, 2}, 1, 3, 5, 7), floats([]int{1}, 2), floats([]int{1}, 1), floats([]int{1}, 10), floats([]int{1}, 20)}
	s, err := siteFor("BatchNormalization", 15, 3, []ir.Attr{ir.FloatAttr("epsilon", 0), ir.FloatAttr("momentum", 0.75)}, constFacts(in)...)
	if err != nil {
		t.Fatal(err)
	}
	updates := map[int]bool{}
	got, err := perform(s, func(l *Lowering) {
		l.Training = true
		l.Update = func(input int, _ prim.ID) { updates[input] = true }
	})
	if err != nil {
		t.Fatal(err)
	}
	d := 2 / math.Sqrt(5)
	for k, want := range [][]float64{{1 - 3*d, 1 - d, 1 + d, 1 + 3*d}, {0.75*10 + 0.25*4}, {0.75*20 + 0.25*5}} {
		if err := near(got[k], want, 1e-9); err != nil {
			t.Errorf("output %d: %v", k, err)
		}
	}
	if !updates[3] || !updates[4] || len(updates) != 2 {
		t.Errorf("want updates of inputs 3 and 4, got %v", updates)
	}
}

func TestDropoutTrains(t *testing.T) {
	x := ramp(1, 64, 64)
	s, err := siteFor("Dropout", 13, 2, nil, constFact(x, false), constFact(floats(nil, 0.25), true))
	if err != nil {
		t.Fatal(err)
	}
	run := func(output string) []*prim.Tensor {
		s.Node.Outputs[0] = output
		got, err := perform(s, func(l *Lowering) {
			l.Training = true
			l.Seed = l.B.Const(prim.I64Tensor([]int64{1, 2}, 2))
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := run("a")
	kept := 0
	for i := range a[0].Len() {
		want := 0.0
		if a[1].Int(i) == 1 {
			kept++
			want = float64(i+1) / 0.75
		}
		if math.Abs(a[0].Float(i)-want) > 1e-9*want {
			t.Fatalf("element %d: want %g, got %g", i, want, a[0].Float(i))
		}
	}
	if share := float64(kept) / 4096; math.Abs(share-0.75) > 0.03 {
		t.Errorf("kept share: want about 0.75, got %g", share)
	}
	if slices.Equal(run("b")[1].B, a[1].B) {
		t.Error("two nodes drew the same mask")
	}
	if !slices.Equal(run("a")[1].B, a[1].B) {
		t.Error("the same node and seed drew another mask")
	}
}
