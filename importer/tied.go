package importer

import (
	"bytes"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// tied finds matrices that exporters stored again: the head of a language model that is its
// embedding, another table of the same words. A copy with axes exchanged becomes the Transpose
// of the table, under the copy's name.
func tied() pass.Pass {
	return pass.Pass{
		Name: "tied", Doc: "a matrix that equals an embedding table, or is it transposed, is stored once",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			x := ir.NewIndex(m.Graph)
			p := ir.NewPatch(m.Graph, "store tied weights once")
			taken := map[string]bool{}
			for _, table := range m.Graph.Inits {
				if taken[table.Name] || !isTable(x, table) {
					continue
				}
				for _, t := range m.Graph.Inits {
					if t == table || taken[t.Name] || !isWeight(x, t) {
						continue
					}
					switch {
					case slices.Equal(t.Dims, table.Dims) && bytes.Equal(t.Raw, table.Raw):
						p.Rewire(t.Name, table.Name)
						p.RemoveInit(t.Name)
					case isTransposed(t, table):
						p.RemoveInit(t.Name)
						p.Insert(&ir.Node{Name: t.Name, OpType: "Transpose", Inputs: []string{table.Name}, Outputs: []string{t.Name}, Attrs: []ir.Attr{ir.IntsAttr("perm", 1, 0)}})
					default:
						continue
					}
					taken[t.Name], taken[table.Name] = true, true
				}
			}
			return p, nil
		},
	}
}

// isTable reports a floating matrix that some node takes rows of.
func isTable(x *ir.Index, t *ir.Tensor) bool {
	return isMatrix(x, t) && slices.ContainsFunc(x.Consumers(t.Name), func(n *ir.Node) bool { return isOp(n, "Gather") && n.Input(0) == t.Name && n.Int("axis", 0) == 0 })
}

// isWeight reports a floating matrix that is a table or that products alone read.
func isWeight(x *ir.Index, t *ir.Tensor) bool {
	readers := x.Consumers(t.Name)
	return isMatrix(x, t) && len(readers) > 0 && (isTable(x, t) || !slices.ContainsFunc(readers, func(n *ir.Node) bool { return !isOp(n, "MatMul") && !isOp(n, "Gemm") }))
}

// isMatrix reports a floating matrix of whole bytes that is no output, with more than one
// number in it: what is all zeros equals by chance.
func isMatrix(x *ir.Index, t *ir.Tensor) bool {
	if len(t.Dims) != 2 || t.Dims[0] < 2 || t.Dims[1] < 2 || !t.DType.IsFloat() || t.DType.Bits()%8 != 0 || x.IsOutput(t.Name) || x.IsInput(t.Name) {
		return false
	}
	size := t.DType.Bits() / 8
	return len(t.Raw) == t.Len()*size && !bytes.Equal(t.Raw[size:], t.Raw[:len(t.Raw)-size])
}

// isTransposed reports a matrix that is another with its axes exchanged, bit by bit.
func isTransposed(t, of *ir.Tensor) bool {
	rows, columns := of.Dims[0], of.Dims[1]
	if t.DType != of.DType || t.Dims[0] != columns || t.Dims[1] != rows {
		return false
	}
	size := t.DType.Bits() / 8
	for i := range rows {
		for j := range columns {
			a, b := (i*columns+j)*size, (j*rows+i)*size
			if !bytes.Equal(of.Raw[a:a+size], t.Raw[b:b+size]) {
				return false
			}
		}
	}
	return true
}
