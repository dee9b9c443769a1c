package importer

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

func constants() pass.Pass {
	return pass.Pass{
		Name: "constants", Doc: "Constant nodes become initialisers, unless they make a graph output",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			p := ir.NewPatch(m.Graph, "Constant nodes to initializers")
			x := ir.NewIndex(m.Graph)
			for _, n := range m.Graph.Nodes {
				if !isOp(n, "Constant") || x.IsOutput(n.Output(0)) || n.Output(0) == "" {
					continue
				}
				t, err := constant(n)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", ir.Address(n), err)
				}
				p.Remove(n)
				p.AddInit(t)
			}
			return p, nil
		},
	}
}

func isOp(n *ir.Node, op string) bool { return n.OpType == op && ir.NormalDomain(n.Domain) == "" }

// constant returns the tensor that a Constant node makes, under its output's name.
func constant(n *ir.Node) (*ir.Tensor, error) {
	if len(n.Attrs) != 1 {
		return nil, fmt.Errorf("want one attribute, got %d", len(n.Attrs))
	}
	a, name := n.Attrs[0], n.Outputs[0]
	var t *ir.Tensor
	switch {
	case a.Name == "value" && a.Kind == ir.AttrTensor:
		c := *a.T
		t = &c
	case a.Name == "sparse_value" && a.Kind == ir.AttrSparseTensor:
		var err error
		if t, err = a.Sparse[0].Dense(); err != nil {
			return nil, err
		}
	case a.Name == "value_float" && a.Kind == ir.AttrFloat:
		t = ir.NewFloat32(name, nil, []float32{a.F})
	case a.Name == "value_floats" && a.Kind == ir.AttrFloats:
		t = ir.NewFloat32(name, []int{len(a.Floats)}, a.Floats)
	case a.Name == "value_int" && a.Kind == ir.AttrInt:
		t = ir.NewInt64(name, nil, []int64{a.I})
	case a.Name == "value_ints" && a.Kind == ir.AttrInts:
		t = ir.NewInt64(name, []int{len(a.Ints)}, a.Ints)
	case a.Name == "value_string" && a.Kind == ir.AttrString:
		t = &ir.Tensor{DType: ir.String, Strings: [][]byte{a.S}}
	case a.Name == "value_strings" && a.Kind == ir.AttrStrings:
		t = &ir.Tensor{DType: ir.String, Dims: []int{len(a.Strings)}, Strings: a.Strings}
	default:
		return nil, fmt.Errorf("attribute %q of kind %d: want value, sparse_value, value_float(s), value_int(s) or value_string(s)", a.Name, a.Kind)
	}
	t.Name = name
	return t, nil
}
