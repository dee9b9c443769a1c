package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opGather() *Op {
	return &Op{
		Name: "Gather", Since: 1, Moves: 1, Params: []int{0},
		Doc: "y = slices of x along axis at the indices (negative ones count from the end). Versions 1, 11, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			axis, err := gatherAxis(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			out := append(append(append([]ir.Dim{}, d[:axis]...), s.dimsOf(1)...), d[axis+1:]...)
			return []Fact{tensorFact(s.In[0].Type.Elem, out)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axis, err := gatherAxis(l.Site)
			if err != nil {
				return nil, err
			}
			index, err := l.index(1, l.B.Shape(l.In[0])[axis])
			if err != nil {
				return nil, err
			}
			return []prim.ID{l.B.Add(prim.Gather{Axis: axis}, l.In[0], index)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, err := gatherAxis(s)
			if err != nil {
				return
			}
			role := Carried
			if s.In[0].Weight {
				role = Born
			}
			r := len(s.In[1].Type.Shape)
			for i := range s.In[0].Type.Shape {
				if i < axis {
					a.Tie(role, In(0, i), Out(0, i))
				} else if i > axis {
					a.Tie(role, In(0, i), Out(0, i+r-1))
				}
			}
			index := gatherIndex(s, axis)
			if index != nil && r == 1 {
				at := make([]int, len(index))
				for k := range at {
					at[k] = k
				}
				a.TiePairs(role, In(0, axis), Out(0, axis), index, at)
				a.Fix(In(1, 0), "indices")
				return
			}
			a.Fix(In(0, axis), "positions are chosen by an index")
			for k := range r {
				a.Tie(Carried, In(1, k), Out(0, axis+k))
			}
		},
		Cut: func(c *Cut) error {
			axis, err := gatherAxis(c.Site)
			if err != nil {
				return err
			}
			index := gatherIndex(c.Site, axis)
			if len(c.In[1].Type.Shape) != 1 || index == nil || c.Keep[0].kept(axis) == nil && c.KeepO[0].kept(axis) == nil {
				return nil
			}
			rank := rankOf(c.Keep[0].kept(axis), c.In[0].Type.Shape[axis].Size)
			var out []int
			for k, p := range rankOf(c.KeepO[0].kept(axis), len(index)) {
				if p < 0 {
					continue
				}
				if rank[index[k]] < 0 {
					return c.Errorf("cut", "index %d: want a position that stays, got %d", k, index[k])
				}
				out = append(out, rank[index[k]])
			}
			c.setInput(1, int64Tensor(c.In[1].Type.Elem, out))
			return nil
		},
	}
}

func gatherAxis(s *Site) (int, error) {
	if err := s.inputs("ops", 2, 2); err != nil {
		return 0, err
	}
	if !s.In[1].Type.Elem.IsInt() {
		return 0, s.Errorf("ops", "input 1: want integer indices, got %s", s.In[1].Type.Elem)
	}
	return s.normAxis("ops", s.Node.Int("axis", 0), len(s.In[0].Type.Shape))
}

// gatherIndex returns the constant indices, all in range and ≥ 0; nil when they are not known.
func gatherIndex(s *Site, axis int) []int {
	if s.In[1].Const == nil || s.In[1].Const.Len() == 0 {
		return nil
	}
	v, err := s.ConstInts(1)
	n := s.In[0].Type.Shape[axis].Size
	if err != nil || n < 0 {
		return nil
	}
	out := make([]int, len(v))
	for k, p := range v {
		if p < 0 {
			p += n
		}
		if p < 0 || p >= n {
			return nil
		}
		out[k] = p
	}
	return out
}

// index returns input i as indices in [0, n), negative ones counted from the end;
// constant indices out of range are an error.
func (l *Lowering) index(i, n int) (prim.ID, error) {
	c := l.Input(i).Const
	if c == nil {
		return wrapIndex(l.B, l.In[i], n), nil
	}
	v, err := c.Int64s()
	if err != nil {
		return prim.Invalid, l.Errorf("lower", "input %d: %w", i, err)
	}
	for k := range v {
		if v[k] < 0 {
			v[k] += int64(n)
		}
		if v[k] < 0 || v[k] >= int64(n) {
			return prim.Invalid, l.Errorf("lower", "input %d, element %d: want an index in [-%d, %d), got one out of range", i, k, n, n)
		}
	}
	return l.B.Const(prim.I64Tensor(v, c.Dims...)), nil
}

// wrapIndex adds n to negative indices.
func wrapIndex(b *prim.Builder, x prim.ID, n int) prim.ID {
	e := prim.Op(prim.Select, prim.Op(prim.Lt, prim.A(0), prim.L(0)), prim.Op(prim.Add, prim.A(0), prim.L(float64(n))), prim.A(0))
	return b.Map(e, x)
}

func opGatherElements() *Op {
	return &Op{
		Name: "GatherElements", Since: 11, Moves: 1,
		Doc: "y[.., i, ..] = x[.., indices[.., i, ..], ..] along axis. Versions 11, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			if _, err := gatherAxis(s); err != nil {
				return nil, err
			}
			if r := len(s.In[1].Type.Shape); r != len(s.In[0].Type.Shape) {
				return nil, s.Errorf("infer", "input 1: want rank %d, got %d", len(s.In[0].Type.Shape), r)
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, s.dimsOf(1))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axis, err := gatherAxis(l.Site)
			if err != nil {
				return nil, err
			}
			x, out := l.B.Shape(l.In[0]), l.B.Shape(l.In[1])
			for k := range out {
				if k != axis && out[k] > x[k] {
					return nil, l.Errorf("lower", "input 1: axis %d: want a size of at most %d, got %d", k, x[k], out[k])
				}
			}
			if err := l.fits("indices", out...); err != nil {
				return nil, err
			}
			index, err := l.index(1, x[axis])
			if err != nil {
				return nil, err
			}
			return []prim.ID{flatGather(l.B, l.In[0], index, axis)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			axis, err := gatherAxis(s)
			if err != nil {
				return
			}
			for k, d := range s.In[0].Type.Shape {
				a.Tie(Carried, In(1, k), Out(0, k))
				if n := s.In[1].Type.Shape[k]; k == axis {
					a.Fix(In(0, k), "positions are chosen by an index")
				} else if sameDim(d, n) {
					a.Tie(Carried, In(0, k), Out(0, k))
				} else if n.Size != 1 || d.Size != 1 {
					a.Fix(In(0, k), "only leading positions are read")
					a.Fix(Out(0, k), "only leading positions are read")
				}
			}
		},
	}
}

// flatGather reads x, for every element of index (of x's rank), at the element's own
// position with the index put in along axis.
func flatGather(b *prim.Builder, x, index prim.ID, axis int) prim.ID {
	shape, out := b.Shape(x), b.Shape(index)
	flat := b.Reshape(flatIndex(b, shape, index, axis), prim.Prod(out))
	return b.Reshape(b.Add(prim.Gather{Axis: 0}, b.Reshape(x, prim.Prod(shape)), flat), out...)
}

// flatIndex returns, for every element of index, the row-major offset in shape of the
// element's own position with the index put in along axis.
func flatIndex(b *prim.Builder, shape []int, index prim.ID, axis int) prim.ID {
	e := prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(float64(prim.Prod(shape[axis+1:])))), prim.A(1))
	return b.Map(e, index, b.Const(offsets(shape, b.Shape(index), axis)))
}

// offsets returns, for every position of out, its row-major offset in shape, the coordinates along skip taken as 0.
func offsets(shape, out []int, skip int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.I64, Shape: out})
	stride := make([]int, len(shape))
	n := 1
	for k := len(shape) - 1; k >= 0; k-- {
		stride[k] = n
		n *= shape[k]
	}
	at := make([]int, len(out))
	for i := range t.I64 {
		for k := range at {
			if k != skip {
				t.I64[i] += int64(at[k] * stride[k])
			}
		}
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < out[k] {
				break
			}
			at[k] = 0
		}
	}
	return t
}
