package ops_test

import (
	"math"
	"runtime"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

func filled(name string, dims []int, f func(i int) float64) *ir.Tensor {
	data := make([]float32, ir.Prod(dims))
	for i := range data {
		data[i] = float32(f(i))
	}
	return ir.NewFloat32(name, dims, data)
}

// TestTrainingRolesOfTransformers states what training moves in models of tokens.
func TestTrainingRolesOfTransformers(t *testing.T) {
	some := func(i int) float64 { return math.Sin(float64(i + 1)) }
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs: []ir.Value{{Name: "ids", Type: ir.TensorType(ir.Int64, 2, 4)}},
		Inits: []*ir.Tensor{
			filled("embedding", []int{8, 6}, some),
			filled("position", []int{4, 6}, some),
			filled("mask", []int{4, 6}, func(i int) float64 {
				if i%6 > i/6 {
					return -1e4
				}
				return 0
			}),
			filled("cos", []int{4, 6}, func(i int) float64 { return math.Cos(float64(i/6) / float64(i%6+1)) }),
			filled("sin", []int{4, 6}, func(i int) float64 { return math.Sin(float64(i/6) / float64(i%6+1)) }),
			filled("token", []int{1, 1, 6}, some),
			filled("grid", []int{1, 2, 6}, some),
			filled("alone", []int{6, 6}, some),
			filled("read twice", []int{6, 6}, some),
			vec("size", 2, 1, 6),
		},
		Nodes: []*ir.Node{
			node("Gather", []string{"embedding", "ids"}, []string{"x0"}),
			node("Add", []string{"x0", "position"}, []string{"x1"}),
			node("Add", []string{"x1", "mask"}, []string{"x2"}),
			node("Mul", []string{"x2", "cos"}, []string{"x3"}),
			node("Mul", []string{"x3", "sin"}, []string{"x4"}),
			node("Expand", []string{"token", "size"}, []string{"t"}),
			node("Expand", []string{"grid", "size"}, []string{"g"}),
			node("Concat", []string{"t", "g", "x4"}, []string{"x5"}, ir.IntAttr("axis", 1)),
			node("Transpose", []string{"embedding"}, []string{"tied"}),
			node("Transpose", []string{"alone"}, []string{"turned"}),
			node("MatMul", []string{"x5", "read twice"}, []string{"x6"}),
			node("Transpose", []string{"read twice"}, []string{"again"}),
			node("Softmax", []string{"again"}, []string{"y1"}),
			node("Add", []string{"turned", "y1"}, []string{"y2"}),
			node("MatMul", []string{"x6", "tied"}, []string{"y"}),
		},
		Outputs: []ir.Value{{Name: "y"}, {Name: "y2"}},
	}}
	roles := rolesOf(t, m)
	for name, want := range map[string]ops.Training{
		"embedding": ops.Parameter, "position": ops.Parameter, "token": ops.Parameter, "alone": ops.Parameter,
		"mask": ops.Constant, "cos": ops.Constant, "sin": ops.Constant, "grid": ops.Constant, "read twice": ops.Constant,
	} {
		if got := roles[name]; got != want {
			t.Errorf("%q: want role %d, got %d", name, want, got)
		}
	}
}

func rolesOf(t *testing.T, m *ir.Model) map[string]ops.Training {
	t.Helper()
	f, err := ops.InferModel(m, map[string]int{"n": 2, "s": 3})
	if err != nil {
		t.Fatal(err)
	}
	return ops.TrainingRoles(m, f)
}

// TestTrainingRolesLeaveWeightsUnread: telling a table of the model from a weight costs a small
// part of the weight's memory.
func TestTrainingRolesLeaveWeightsUnread(t *testing.T) {
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs: []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 2, 2048)}},
		Inits: []*ir.Tensor{
			filled("w", []int{2048, 512}, func(i int) float64 { return math.Sin(float64(i + 1)) }),
			filled("b", []int{2, 512}, func(i int) float64 { return math.Sin(float64(i + 1)) }),
		},
		Nodes:   []*ir.Node{node("MatMul", []string{"x", "w"}, []string{"h"}), node("Add", []string{"h", "b"}, []string{"y"})},
		Outputs: []ir.Value{{Name: "y"}},
	}}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ops.TrainingRoles(m, f)
	runtime.ReadMemStats(&after)
	if got, whole := after.TotalAlloc-before.TotalAlloc, uint64(len(m.Graph.Inits[0].Raw)); got > whole/16 {
		t.Errorf("%d bytes were allocated for a weight of %d", got, whole)
	}
}

// TestTrainingRolesBehindViews: what nodes cut, turn or cast has the role of what reads it.
func TestTrainingRolesBehindViews(t *testing.T) {
	some := func(i int) float64 { return math.Sin(float64(3*i + 1)) }
	angle := func(i int) float64 { return float64(i/6) / math.Pow(10, float64(i%6)/3) }
	inits := []*ir.Tensor{
		filled("embedding", []int{8, 6}, some),
		filled("positions", []int{9, 6}, some),
		filled("half", []int{6, 6}, some),
		filled("slopes", []int{4, 1, 1}, some),
		filled("cos", []int{9, 6}, func(i int) float64 { return math.Cos(angle(i)) }),
		filled("sin", []int{9, 6}, func(i int) float64 { return math.Sin(angle(i)) }),
		filled("padded", []int{9, 6}, func(i int) float64 {
			if i < 6 {
				return 0
			}
			return 0.02 * some(i)
		}),
		vec("zero", 0), vec("one", 1),
	}
	for i, name := range []string{"half", "slopes"} {
		h, err := ir.NewFloats(name, ir.BFloat16, inits[2+i].Dims, must(t, inits[2+i]))
		if err != nil {
			t.Fatal(err)
		}
		inits[2+i] = h
	}
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs: []ir.Value{{Name: "ids", Type: ir.TensorType(ir.Int64, 2, 3)}},
		Inits:  inits,
		Nodes: []*ir.Node{
			node("Gather", []string{"embedding", "ids"}, []string{"x0"}),
			node("Shape", []string{"ids"}, []string{"sizes"}),
			node("Slice", []string{"sizes", "one", "two", "zero"}, []string{"length"}),
			node("Slice", []string{"positions", "zero", "length", "zero"}, []string{"p0"}),
			node("Identity", []string{"p0"}, []string{"p"}),
			node("Add", []string{"x0", "p"}, []string{"x1"}),
			node("Cast", []string{"half"}, []string{"h"}, ir.IntAttr("to", int(ir.Float32))),
			node("MatMul", []string{"x1", "h"}, []string{"x2"}),
			node("Slice", []string{"cos", "zero", "length", "zero"}, []string{"c"}),
			node("Mul", []string{"x2", "c"}, []string{"x3"}),
			node("Gather", []string{"sin", "ids"}, []string{"s"}),
			node("Mul", []string{"x3", "s"}, []string{"x4"}),
			node("Gather", []string{"padded", "ids"}, []string{"g"}),
			node("Add", []string{"x4", "g"}, []string{"y"}),
			node("Cast", []string{"slopes"}, []string{"slope"}, ir.IntAttr("to", int(ir.Float32))),
			node("Cast", []string{"ids"}, []string{"place"}, ir.IntAttr("to", int(ir.Float32))),
			node("Mul", []string{"slope", "place"}, []string{"alibi"}),
		},
		Outputs: []ir.Value{{Name: "y"}, {Name: "alibi"}},
	}}
	m.Graph.Inits = append(m.Graph.Inits, vec("two", 2))
	roles := rolesOf(t, m)
	for name, want := range map[string]ops.Training{
		"embedding": ops.Parameter, "positions": ops.Parameter, "half": ops.Parameter, "padded": ops.Parameter,
		"slopes": ops.Constant, "cos": ops.Constant, "sin": ops.Constant,
	} {
		if got := roles[name]; got != want {
			t.Errorf("%q: want role %d, got %d", name, want, got)
		}
	}
}

func must(t *testing.T, x *ir.Tensor) []float64 {
	t.Helper()
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTrainingRolesOfTokenizer: a constant that scales data is preprocessing, one that spreads
// each number of it over a vector is a layer.
func TestTrainingRolesOfTokenizer(t *testing.T) {
	some := func(i int) float64 { return math.Sin(float64(3*i + 1)) }
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs: []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 2, 5)}},
		Inits: []*ir.Tensor{
			filled("mean", []int{5}, some), filled("tokenizer", []int{1, 5, 6}, some), filled("bias", []int{1, 5, 6}, some),
			filled("norm", []int{6}, some), vec("last", -1),
		},
		Nodes: []*ir.Node{
			node("Sub", []string{"x", "mean"}, []string{"x0"}),
			node("Unsqueeze", []string{"x0", "last"}, []string{"x1"}),
			node("Mul", []string{"tokenizer", "x1"}, []string{"x2"}),
			node("Add", []string{"x2", "bias"}, []string{"x3"}),
			node("Mul", []string{"x3", "norm"}, []string{"y"}),
		},
		Outputs: []ir.Value{{Name: "y"}},
	}}
	roles := rolesOf(t, m)
	for name, want := range map[string]ops.Training{"mean": ops.Constant, "tokenizer": ops.Parameter, "bias": ops.Parameter, "norm": ops.Parameter} {
		if got := roles[name]; got != want {
			t.Errorf("%q: want role %d, got %d", name, want, got)
		}
	}
}
