package ops

import "github.com/entangle-nas/entangle/ir"

// ConstantValues returns, by name, every value that inference knows without any
// size bound: what importer.WithFold takes.
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
	return out, nil
}
