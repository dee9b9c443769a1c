package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opTranspose() *Op {
	return &Op{
		Name: "Transpose", Since: 1, Moves: 1,
		Doc: "axis i of y is axis perm[i] of x; without perm the axes are reversed. Versions 1, 13, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			perm, err := permOf(s)
			if err != nil {
				return nil, err
			}
			out := make([]ir.Dim, len(perm))
			for i, p := range perm {
				out[i] = s.In[0].Type.Shape[p]
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			perm, err := permOf(l.Site)
			if err != nil {
				return nil, err
			}
			return []prim.ID{l.B.Transpose(l.In[0], perm...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			perm, err := permOf(s)
			if err != nil {
				return
			}
			for i, p := range perm {
				a.Tie(Carried, In(0, p), Out(0, i))
			}
		},
	}
}

func permOf(s *Site) ([]int, error) {
	if err := s.inputs("ops", 1, 1); err != nil {
		return nil, err
	}
	r := len(s.In[0].Type.Shape)
	perm := s.Node.Ints("perm", nil)
	if perm == nil {
		for i := range r {
			perm = append(perm, r-1-i)
		}
	}
	sorted := slices.Clone(perm)
	slices.Sort(sorted)
	for i := range sorted {
		if len(perm) != r || sorted[i] != i {
			return nil, s.Errorf("ops", "perm: want a permutation of %d axes, got %v", r, perm)
		}
	}
	if len(perm) != r {
		return nil, s.Errorf("ops", "perm: want a permutation of %d axes, got %v", r, perm)
	}
	return perm, nil
}
