package importer_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

// TestTiedWeightsAreStoredOnce: a head that is the embedding, transposed or not, and a second
// table of the same words become the one table; a matrix that differs in one element, one of
// zeros and one that something else reads do not.
func TestTiedWeightsAreStoredOnce(t *testing.T) {
	const words, wide = 5, 3
	table, turned := make([]float32, words*wide), make([]float32, words*wide)
	for i := range words {
		for j := range wide {
			table[i*wide+j] = float32(i*7+j*3) / 4
			turned[j*words+i] = table[i*wide+j]
		}
	}
	other := slices.Clone(turned)
	other[4]++
	matrix := func(name string, dims []int, v []float32) *ir.Tensor { return ir.NewFloat32(name, dims, v) }
	node := func(op, out string, in []string, attrs ...ir.Attr) *ir.Node {
		return &ir.Node{Name: out, OpType: op, Inputs: in, Outputs: []string{out}, Attrs: attrs}
	}
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Name:   "tied",
		Inputs: []ir.Value{{Name: "ids", Type: ir.TensorType(ir.Int64, 4)}, {Name: "more", Type: ir.TensorType(ir.Int64, 4)}},
		Inits: []*ir.Tensor{
			matrix("embedding", []int{words, wide}, table), matrix("head", []int{wide, words}, turned), matrix("plain", []int{words, wide}, table),
			matrix("second", []int{words, wide}, table), matrix("near", []int{wide, words}, other), matrix("scale", []int{words, wide}, table),
			matrix("none", []int{words, wide}, make([]float32, words*wide)), matrix("zeros", []int{wide, words}, make([]float32, words*wide)),
		},
		Nodes: []*ir.Node{
			node("Gather", "x", []string{"embedding", "ids"}), node("Gather", "z", []string{"second", "more"}), node("Gather", "o", []string{"none", "more"}),
			node("Add", "xz", []string{"x", "z"}), node("Add", "sum", []string{"xz", "o"}),
			node("MatMul", "a", []string{"sum", "head"}), node("Gemm", "b", []string{"sum", "plain"}, ir.IntAttr("transB", 1)),
			node("MatMul", "c", []string{"sum", "near"}), node("MatMul", "d", []string{"sum", "zeros"}),
			node("Mul", "e0", []string{"a", "b"}), node("Add", "e1", []string{"e0", "c"}), node("Add", "e", []string{"e1", "d"}),
			node("MatMul", "f", []string{"e", "scale"}), node("ReduceMax", "g0", []string{"scale"}), node("Add", "g", []string{"f", "g0"}),
		},
		Outputs: []ir.Value{{Name: "g"}},
	}}
	n, err := importer.Normal(m)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range n.Graph.Inits {
		names = append(names, x.Name)
	}
	if want := []string{"embedding", "near", "scale", "none", "zeros"}; !slices.Equal(names, want) {
		t.Errorf("initialisers: want %v, got %v", want, names)
	}
	x := ir.NewIndex(n.Graph)
	if p := x.Producer("head"); p == nil || p.OpType != "Transpose" || p.Inputs[0] != "embedding" {
		t.Errorf("want the head to be the transposed embedding, got %+v", p)
	}
	if r := x.Consumers("embedding"); len(r) != 4 {
		t.Errorf("want the embedding to be read by two Gathers, a Gemm and a Transpose, got %d readers", len(r))
	}
}
