package ops

import "github.com/entangle-nas/entangle/ir"

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
