package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opShape() *Op {
	return &Op{
		Name: "Shape", Since: 1,
		Doc: "y = the sizes of x from axis start to end. Versions 1, 13, 15, 19, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			d := s.In[0].Type.Shape
			clamp := func(x int) int {
				if x < 0 {
					x += len(d)
				}
				return min(max(x, 0), len(d))
			}
			lo, hi := clamp(s.Node.Int("start", 0)), clamp(s.Node.Int("end", len(d)))
			d = d[min(lo, hi):hi]
			f := tensorFact(ir.Int64, []ir.Dim{{Size: len(d)}})
			elems := make([]Elem, len(d))
			v := make([]int64, len(d))
			for i, x := range d {
				elems[i] = Elem{Value: x.Size, Known: x.Known(), Param: x.Param}
				v[i] = int64(x.Size)
			}
			if allKnown(elems) {
				f.Const = ir.NewInt64(s.Node.Output(0), []int{len(d)}, v)
			} else {
				f.Partial = elems
			}
			return []Fact{f}, nil
		},
		Lower: lowerKnown,
		Axes:  axesSizes,
	}
}

func opSize() *Op {
	return &Op{
		Name: "Size", Since: 1,
		Doc: "y = the number of elements of x. Versions 1, 13, 19, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			f := tensorFact(ir.Int64, []ir.Dim{})
			if d := productDim(s.In[0].Type.Shape); d.Known() {
				f.Const = ir.NewInt64(s.Node.Output(0), nil, []int64{int64(d.Size)})
			} else {
				f.Partial = []Elem{{Param: d.Param}}
			}
			return []Fact{f}, nil
		},
		Lower: lowerKnown,
		Axes:  axesSizes,
	}
}

// lowerKnown makes constants of outputs that inference knows.
func lowerKnown(l *Lowering) ([]prim.ID, error) {
	out := make([]prim.ID, len(l.Out))
	for k, f := range l.Out {
		if f.Const == nil {
			return nil, l.Errorf("lower", "output %d: want a value that is known when the program is built", k)
		}
		v, err := HostTensor(f.Const, l.Float)
		if err != nil {
			return nil, l.Errorf("lower", "output %d: %w", k, err)
		}
		out[k] = l.B.Const(v)
	}
	return out, nil
}

// axesSizes declares the axes of operators that only read sizes: inputs may be
// cut, since the sizes are read anew.
func axesSizes(s *Site, a *Axes) {
	for i := range s.In[0].Type.Shape {
		a.free(In(0, i))
	}
	a.fixAll(s.Out[0], outRef(0), "sizes, one per axis")
}

func opRange() *Op {
	return &Op{
		Name: "Range", Since: 11,
		Doc: "y[i] = start + i·delta below limit. Version 11.",
		Infer: func(s *Site) ([]Fact, error) {
			n, _, _, err := rangeOf(s)
			if err != nil {
				return nil, err
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, []ir.Dim{{Size: n}})}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			n, start, delta, err := rangeOf(l.Site)
			if err != nil {
				return nil, err
			}
			if n < 0 {
				return nil, l.Errorf("lower", "start, limit, delta: want constants")
			}
			if err := l.fits("range", n); err != nil {
				return nil, err
			}
			t := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{n}})
			for i := range t.F64 {
				t.F64[i] = start + float64(i)*delta
			}
			return []prim.ID{l.B.Const(t.Cast(l.DType(l.Out[0].Type.Elem)))}, nil
		},
		Axes: func(s *Site, a *Axes) {
			a.fixAll(s.Out[0], outRef(0), "numbers of a range")
		},
	}
}

// rangeOf returns the number of elements of Range (-1 when not known), its start and step.
func rangeOf(s *Site) (n int, start, delta float64, err error) {
	if err := s.inputs("ops", 3, 3); err != nil {
		return 0, 0, 0, err
	}
	var v [3]float64
	for i := range v {
		c := s.In[i].Const
		if c == nil {
			return -1, 0, 0, nil
		}
		x, err := c.Float64s()
		if err != nil || len(x) != 1 {
			return 0, 0, 0, s.Errorf("ops", "input %d: want one number, got %s", i, c.Type())
		}
		v[i] = x[0]
	}
	count := 0.0
	if v[2] != 0 {
		count = (v[1] - v[0]) / v[2]
	}
	if v[2] == 0 || count != count || count > 1<<31 {
		return 0, 0, 0, s.Errorf("ops", "range: want a step other than 0 and at most 2³¹ numbers, got start %v, limit %v, delta %v", v[0], v[1], v[2])
	}
	n = int(max(0, count))
	if float64(n) < count {
		n++
	}
	return n, v[0], v[2], nil
}
