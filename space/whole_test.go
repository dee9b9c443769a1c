package space_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// TestBranchesKeepWhatTheyHold: weights that a subgraph reads keep their sizes, with the node
// as the reason, count as its parameters, and make no space; those outside are elastic.
func TestBranchesKeepWhatTheyHold(t *testing.T) {
	matrix := func(name string) *ir.Tensor { return ir.NewFloat32(name, []int{16, 16}, make([]float32, 256)) }
	node := func(op, out string, in ...string) *ir.Node {
		return &ir.Node{Name: out, OpType: op, Inputs: in, Outputs: []string{out}}
	}
	branch := func(own string) *ir.Graph {
		g := &ir.Graph{Name: own, Nodes: []*ir.Node{node("MatMul", own+".a", "h", "shared"), node("MatMul", own+".b", own+".a", own+".weight")},
			Inits: []*ir.Tensor{matrix(own + ".weight")}, Outputs: []ir.Value{{Name: own + ".b", Type: ir.TensorType(ir.Float32, 2, 16)}}}
		return g
	}
	choose := &ir.Node{Name: "choose", OpType: "If", Inputs: []string{"flag"}, Outputs: []string{"y"},
		Attrs: []ir.Attr{{Name: "then_branch", Kind: ir.AttrGraph, G: branch("then")}, {Name: "else_branch", Kind: ir.AttrGraph, G: branch("else")}}}
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Name:    "branches",
		Inputs:  []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 2, 16)}, {Name: "flag", Type: ir.TensorType(ir.Bool, 1)}},
		Inits:   []*ir.Tensor{matrix("up"), matrix("down"), matrix("shared")},
		Nodes:   []*ir.Node{node("MatMul", "u", "x", "up"), node("MatMul", "h", "u", "down"), choose},
		Outputs: []ir.Value{{Name: "y", Type: ir.TensorType(ir.Float32, 2, 16)}},
	}}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	price := ops.ModelCost(m, f)
	if last := price.Nodes[len(price.Nodes)-1]; price.Params != 5*256 || last.Params != 3*256 {
		t.Errorf("parameters: want %d, %d of them of the branches, got %d and %d", 5*256, 3*256, price.Params, last.Params)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	const why = `node "choose" (If): what its branches hold is kept whole`
	for _, axis := range []int{0, 1} {
		if got := an.Pins["shared"][axis]; !strings.HasPrefix(got, why) {
			t.Errorf("axis %d of what both branches read: want the reason %q, got %q", axis, why, got)
		}
	}
	if got := an.Pins["down"][1]; !strings.HasPrefix(got, why) {
		t.Errorf("the axis that the branches read: want the reason %q, got %q", why, got)
	}
	if len(an.Groups) != 1 || an.Groups[0].Size != 16 || an.Groups[0].Nodes[0] != "u" {
		t.Errorf("want one group, of the width between the two products outside, got %+v", an.Groups)
	}
	if _, err := space.New(an, space.Options{Keep: []string{"u"}}); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("want an error that says %q, got %v", why, err)
	}
}
