package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// maxRankPairs bounds the pairs of elements that TopK compares.
const maxRankPairs = 1 << 28

func opTopK() *Op {
	return &Op{
		Name: "TopK", Since: 1,
		Doc: "the k largest (or smallest) elements along axis, in order, and their positions; equal ones by position. Versions 1, 10, 11, 24.",
		Infer: func(s *Site) ([]Fact, error) {
			axis, k, err := topKOf(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			if k >= 0 && d[axis].Known() && k > d[axis].Size {
				return nil, s.Errorf("infer", "k: want at most the %d positions of axis %d, got %d", d[axis].Size, axis, k)
			}
			d[axis] = ir.Dim{Size: k}
			return []Fact{tensorFact(s.In[0].Type.Elem, d), tensorFact(ir.Int64, append([]ir.Dim{}, d...))}, nil
		},
		Lower: lowerTopK,
		Axes: func(s *Site, a *Axes) {
			axis, _, err := topKOf(s)
			for i := range s.In[0].Type.Shape {
				for k := range s.Node.Outputs {
					if s.Node.Outputs[k] == "" {
						continue
					}
					if err != nil || i == axis {
						a.Fix(In(0, i), "its positions are ranked")
						a.Fix(Out(k, i), "its positions are ranked")
					} else {
						a.Tie(Carried, In(0, i), Out(k, i))
					}
				}
			}
			a.fixAll(s.Input(1), inRef(1), "the number k")
		},
	}
}

// topKOf returns the axis and k (-1 when not known).
func topKOf(s *Site) (axis, k int, err error) {
	if err := s.inputs("ops", 1, 2); err != nil {
		return 0, 0, err
	}
	if axis, err = s.normAxis("ops", s.Node.Int("axis", -1), len(s.In[0].Type.Shape)); err != nil {
		return 0, 0, err
	}
	if s.Opset < 10 {
		k = s.Node.Int("k", 0)
	} else {
		if s.Input(1).Const == nil {
			return axis, -1, nil
		}
		v, err := s.ConstInts(1)
		if err != nil {
			return 0, 0, err
		}
		if len(v) != 1 {
			return 0, 0, s.Errorf("ops", "k: want one number, got %d", len(v))
		}
		k = v[0]
	}
	if k < 1 {
		return 0, 0, s.Errorf("ops", "k: want a number ≥ 1, got %d", k)
	}
	return axis, k, nil
}

// lowerTopK ranks every element by counting the elements before it, then sums
// over the axis with everything masked but the element of each rank.
func lowerTopK(l *Lowering) ([]prim.ID, error) {
	axis, k, err := topKOf(l.Site)
	if err != nil {
		return nil, err
	}
	if k < 0 {
		return nil, l.Errorf("lower", "k: want a constant")
	}
	b := l.B
	shape := b.Shape(l.In[0])
	n, outer, inner := shape[axis], prim.Prod(shape[:axis]), prim.Prod(shape[axis+1:])
	if outer*inner > 0 && n > 0 && n > maxRankPairs/n/max(1, outer*inner) {
		return nil, l.Errorf("lower", "axis %d: want at most %d pairs of elements to rank, got %d positions of %v", axis, maxRankPairs, n, shape)
	}
	d := b.Type(l.In[0]).DType
	count := func(n int, shape ...int) prim.ID {
		t := prim.NewTensor(prim.Type{DType: prim.I64, Shape: shape})
		for i := range n {
			t.I64[i] = int64(i)
		}
		return b.Const(t.Cast(d))
	}
	i, j := b.Reshape(l.In[0], outer, n, 1, inner), b.Reshape(l.In[0], outer, 1, n, inner)
	first, second := prim.A(0), prim.A(1)
	if l.Node.Int("largest", 1) == 0 {
		first, second = second, first
	}
	before := prim.Op(prim.Or, prim.Op(prim.Lt, first, second),
		prim.Op(prim.And, prim.Op(prim.Eq, prim.A(0), prim.A(1)), prim.Op(prim.Lt, prim.A(3), prim.A(2))))
	rank := b.Reduce(prim.ReduceSum, []int{2}, before, i, j, count(n, 1, n, 1, 1), count(n, 1, 1, n, 1))
	rank = b.Reshape(rank, outer, 1, n, inner)
	want := count(k, 1, k, 1, 1)
	pick := prim.Op(prim.Select, prim.Op(prim.Eq, prim.A(1), prim.A(2)), prim.A(0), prim.L(0))
	values := b.Reduce(prim.ReduceSum, []int{2}, pick, j, rank, want)
	at := b.Reduce(prim.ReduceSum, []int{2}, pick, count(n, 1, 1, n, 1), rank, want)
	out := append([]int{}, shape...)
	out[axis] = k
	return []prim.ID{b.Reshape(values, out...), b.Reshape(b.Cast(at, prim.I64), out...)}, nil
}
