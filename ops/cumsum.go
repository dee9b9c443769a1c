package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

func opCumSum() *Op {
	return &Op{
		Name: "CumSum", Since: 11,
		Doc: "y[i] = the sum of x up to i along axis, without x[i] when exclusive, from the end when reverse. Versions 11, 14.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, s.dimsOf(0))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.B
			shape := b.Shape(l.In[0])
			axis, err := cumAxis(l.Site)
			if err != nil {
				return nil, err
			}
			n := shape[axis]
			exclusive, reverse := l.Node.Int("exclusive", 0) != 0, l.Node.Int("reverse", 0) != 0
			if err := l.fits("matrix of sums", n, n); err != nil {
				return nil, err
			}
			m := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{1, n, n}})
			for i := range n {
				for j := range n {
					before := j < i
					if reverse {
						before = j > i
					}
					if before || i == j && !exclusive {
						m.F64[i*n+j] = 1
					}
				}
			}
			outer, inner := prim.Prod(shape[:axis]), prim.Prod(shape[axis+1:])
			x := b.Reshape(l.In[0], outer, n, inner)
			return []prim.ID{b.Reshape(b.MatMul(b.Const(m.Cast(b.Type(x).DType)), x, false, false), shape...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, err := cumAxis(s)
			for i := range s.In[0].Type.Shape {
				if err != nil || i == axis {
					a.Fix(In(0, i), "positions are summed up in order")
					a.Fix(Out(0, i), "positions are summed up in order")
				} else {
					a.Tie(Carried, In(0, i), Out(0, i))
				}
			}
		},
	}
}

func cumAxis(s *Site) (int, error) {
	v, err := s.ConstInts(1)
	if err != nil {
		return 0, err
	}
	if len(v) != 1 {
		return 0, s.Errorf("ops", "axis: want one number, got %d", len(v))
	}
	return s.normAxis("ops", v[0], len(s.In[0].Type.Shape))
}
