package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// ConstantsAtAnyBatch is ConstantValues with the leading dimension of every input open: a
// batch that is computed from an input's shape stays computed although the input fixes it.
func ConstantsAtAnyBatch(m *ir.Model) (map[string]*ir.Tensor, error) {
	g := *m.Graph
	open := *m
	open.Graph, g.Inputs = &g, slices.Clone(g.Inputs)
	for i, v := range g.Inputs {
		if g.Init(v.Name) == nil && len(v.Type.Shape) > 0 && v.Type.Shape[0].Known() {
			g.Inputs[i].Type = v.Type.Clone()
			g.Inputs[i].Type.Shape[0] = ir.Dim{Size: -1, Param: BatchName}
		}
	}
	return ConstantValues(&open)
}

// BatchName is what a leading dimension that an input fixes is called once it is open.
const BatchName = "batch"

// ConstantValues returns, by name, every value that inference knows without any
// size bound: what importer.WithFold takes. The Transpose of a floating initialiser
// that has other readers stays computed, so that tied weights remain one.
func ConstantValues(m *ir.Model) (map[string]*ir.Tensor, error) {
	f, err := InferModel(m, nil)
	if err != nil {
		return nil, err
	}
	out := map[string]*ir.Tensor{}
	for name, fact := range f.Values {
		if fact.Const != nil {
			out[name] = fact.Const
		}
	}
	index := ir.NewIndex(m.Graph)
	for _, n := range m.Graph.Nodes {
		if t := index.Init(n.Input(0)); n.OpType == "Transpose" && n.Domain == "" && t != nil && t.DType.IsFloat() && len(index.Consumers(t.Name)) > 1 {
			delete(out, n.Output(0))
		}
	}
	return out, nil
}
