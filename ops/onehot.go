package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opOneHot() *Op {
	return &Op{
		Name: "OneHot", Since: 9,
		Doc: "y[.., k, ..] = values[1] where the index is k (negative ones count from the end), values[0] elsewhere. Versions 9, 11.",
		Infer: func(s *Site) ([]Fact, error) {
			axis, depth, err := oneHotOf(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			out := append(append(append([]ir.Dim{}, d[:axis]...), ir.Dim{Size: depth}), d[axis:]...)
			return []Fact{tensorFact(s.In[2].Type.Elem, out)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axis, depth, err := oneHotOf(l.Site)
			if err != nil {
				return nil, err
			}
			if depth < 0 {
				return nil, l.Errorf("lower", "depth: want a constant")
			}
			b := l.B
			x := b.Shape(l.In[0])
			shape := append(append(append([]int{}, x[:axis]...), 1), x[axis:]...)
			classes := ones(len(shape))
			classes[axis] = depth
			k := prim.NewTensor(prim.Type{DType: prim.I64, Shape: classes})
			for i := range k.I64 {
				k.I64[i] = int64(i)
			}
			index := wrapIndex(b, b.Reshape(b.Cast(l.In[0], prim.I64), shape...), depth)
			d := b.Type(l.In[2]).DType
			c := d
			if d == prim.Bool {
				c = prim.I64
			}
			off := b.Reshape(sliceAxis(b, l.In[2], 0, 0, 1), ones(len(shape))...)
			on := b.Reshape(sliceAxis(b, l.In[2], 0, 1, 1), ones(len(shape))...)
			e := prim.Op(prim.Select, prim.Op(prim.Eq, prim.A(0), prim.A(1)), prim.A(2), prim.A(3))
			return []prim.ID{b.MapAs(c, d, e, index, b.Const(k), on, off)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, _, err := oneHotOf(s)
			if err != nil {
				return
			}
			for i := range s.In[0].Type.Shape {
				if i < axis {
					a.Tie(Carried, In(0, i), Out(0, i))
				} else {
					a.Tie(Carried, In(0, i), Out(0, i+1))
				}
			}
			a.Fix(Out(0, axis), "classes of a one-hot code")
			a.fixAll(s.In[2], inRef(2), "off and on value")
		},
	}
}

// oneHotOf returns the new axis and the number of classes (-1 when not known).
func oneHotOf(s *Site) (axis, depth int, err error) {
	if err := s.inputs("ops", 3, 3); err != nil {
		return 0, 0, err
	}
	if axis, err = s.normAxis("ops", s.Node.Int("axis", -1), len(s.In[0].Type.Shape)+1); err != nil {
		return 0, 0, err
	}
	if s.In[1].Const == nil {
		return axis, -1, nil
	}
	v, err := s.In[1].Const.Float64s()
	if err != nil || len(v) != 1 || !(v[0] >= 1 && v[0] < 1<<31) {
		return 0, 0, s.Errorf("ops", "depth: want one number in [1, 2³¹), got %s %v", s.In[1].Const.Type(), v)
	}
	if sh := s.In[2].Shape(); len(sh) != 1 || sh[0] >= 0 && sh[0] != 2 {
		return 0, 0, s.Errorf("ops", "values: want [off, on], got %s", s.In[2].Type)
	}
	return axis, int(v[0]), nil
}

func opEyeLike() *Op {
	return &Op{
		Name: "EyeLike", Since: 9,
		Doc: "y = ones on diagonal k of a matrix of the sizes of x, zeros elsewhere. Versions 9, 22.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			if r := len(s.In[0].Type.Shape); r != 2 {
				return nil, s.Errorf("infer", "input 0: want rank 2, got %d", r)
			}
			return []Fact{tensorFact(ir.DType(s.Node.Int("dtype", int(s.In[0].Type.Elem))), s.dimsOf(0))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.fits("diagonal matrix", l.Out[0].Shape()...); err != nil {
				return nil, err
			}
			sh, k := l.Out[0].Shape(), l.Node.Int("k", 0)
			t := prim.NewTensor(prim.Type{DType: prim.I64, Shape: sh})
			for i := range sh[0] {
				if j := i + k; j >= 0 && j < sh[1] {
					t.I64[i*sh[1]+j] = 1
				}
			}
			d, err := ProgramDType(l.Out[0].Type.Elem, l.Float)
			if err != nil {
				return nil, l.Errorf("lower", "attribute \"dtype\": %w", err)
			}
			return []prim.ID{l.B.Const(t.Cast(d))}, nil
		},
		Axes: func(s *Site, a *Axes) {
			a.fixAll(s.In[0], inRef(0), "rows and columns of a diagonal matrix")
			a.fixAll(s.Out[0], outRef(0), "rows and columns of a diagonal matrix")
		},
	}
}

func opTrilu() *Op {
	return &Op{
		Name: "Trilu", Since: 14,
		Doc: "y = x on and above (upper) or below diagonal k of the last two axes, 0 elsewhere. Version 14.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 2); err != nil {
				return nil, err
			}
			if r := len(s.In[0].Type.Shape); r < 2 {
				return nil, s.Errorf("infer", "input 0: want rank ≥ 2, got %d", r)
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, s.dimsOf(0))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.B
			sh := b.Shape(l.In[0])
			r := len(sh)
			shape := ones(r)
			shape[r-2], shape[r-1] = sh[r-2], sh[r-1]
			if err := l.fits("triangle", shape...); err != nil {
				return nil, err
			}
			diff := prim.NewTensor(prim.Type{DType: prim.I64, Shape: shape})
			for i := range diff.I64 {
				diff.I64[i] = int64(i%sh[r-1] - i/sh[r-1])
			}
			k := b.Scalar(prim.I64, 0)
			if l.Input(1).Present() {
				k = b.Reshape(l.In[1], ones(r)...)
			}
			d := b.Type(l.In[0]).DType
			c := d
			if d == prim.Bool {
				c = prim.I64
			}
			inside := prim.Op(prim.Le, prim.A(1), prim.A(0))
			if l.Node.Int("upper", 1) == 0 {
				inside = prim.Op(prim.Le, prim.A(0), prim.A(1))
			}
			return []prim.ID{b.MapAs(c, d, prim.Op(prim.Select, inside, prim.A(2), prim.L(0)), b.Const(diff), k, l.In[0])}, nil
		},
		Axes: func(s *Site, a *Axes) {
			r := len(s.In[0].Type.Shape)
			for i := range r {
				if i < r-2 {
					a.Tie(Carried, In(0, i), Out(0, i))
				} else {
					a.Fix(In(0, i), "rows and columns of a triangle")
					a.Fix(Out(0, i), "rows and columns of a triangle")
				}
			}
		},
	}
}
