package ops_test

import (
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// TestTiedWeightsStayOne: a small embedding that is also the head's weight is not
// folded into a second tensor; one that only the head reads is.
func TestTiedWeightsStayOne(t *testing.T) {
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs: []ir.Value{{Name: "ids", Type: ir.TensorType(ir.Int64, 2)}},
		Inits:  []*ir.Tensor{ir.NewFloat32("w", []int{2, 2}, []float32{1, 2, 3, 4}), ir.NewFloat32("v", []int{2, 2}, []float32{5, 6, 7, 8})},
		Nodes: []*ir.Node{
			node("Gather", []string{"w", "ids"}, []string{"x"}),
			node("Transpose", []string{"w"}, []string{"wt"}),
			node("Transpose", []string{"v"}, []string{"vt"}),
			node("MatMul", []string{"x", "wt"}, []string{"z"}),
			node("MatMul", []string{"z", "vt"}, []string{"y"}),
		},
		Outputs: []ir.Value{{Name: "y"}},
	}}
	c, err := ops.ConstantValues(m)
	if err != nil {
		t.Fatal(err)
	}
	if c["wt"] != nil || c["vt"] == nil {
		t.Errorf("want the transposed %q known and %q not, got %v and %v", "v", "w", c["vt"], c["wt"])
	}
}
