package ops_test

import (
	"math"
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
			node("Add", []string{"y1", "turned"}, []string{"y2"}),
			node("MatMul", []string{"x6", "tied"}, []string{"y"}),
		},
		Outputs: []ir.Value{{Name: "y"}, {Name: "y2"}},
	}}
	roles := ops.TrainingRoles(m)
	for name, want := range map[string]ops.Training{
		"embedding": ops.Parameter, "position": ops.Parameter, "token": ops.Parameter,
		"mask": ops.Constant, "cos": ops.Constant, "sin": ops.Constant, "grid": ops.Constant, "alone": ops.Constant, "read twice": ops.Constant,
	} {
		if got := roles[name]; got != want {
			t.Errorf("%q: want role %d, got %d", name, want, got)
		}
	}
}
