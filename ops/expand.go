package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opExpand() *Op {
	return &Op{
		Name: "Expand", Since: 8, Moves: 1,
		Doc: "y = x broadcast against the target sizes, both ways. Versions 8, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			t, ok, err := shapeDims(s, 1)
			if err != nil {
				return nil, err
			}
			if !ok {
				return []Fact{unrankedFact(s.In[0].Type.Elem)}, nil
			}
			d, err := broadcastDims(s.In[0].Type.Shape, t)
			if err != nil {
				return nil, s.Errorf("infer", "%w", err)
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			return []prim.ID{l.B.Broadcast(l.In[0], l.Out[0].Shape()...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			x, y := s.In[0].Type.Shape, s.Out[0].Type.Shape
			off := len(y) - len(x)
			for j := range y {
				switch {
				case j >= off && sameDim(x[j-off], y[j]):
					a.Tie(Carried, In(0, j-off), Out(0, j))
				case y[j].Size == 1:
				case s.Input(1).Const != nil && y[j].Known():
					a.free(Out(0, j))
				default:
					a.Fix(Out(0, j), "its size is computed")
				}
			}
			a.fixAll(s.Input(1), inRef(1), "target sizes, one per axis")
		},
		Cut: func(c *Cut) error { return cutShapeInput(c, 1) },
	}
}

func opTile() *Op {
	return &Op{
		Name: "Tile", Since: 6, Moves: 1,
		Doc: "y = x repeated repeats[i] times along axis i. Versions 6, 13.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			rep, err := repeatsOf(s)
			if err != nil {
				return nil, err
			}
			d := s.dimsOf(0)
			for i := range d {
				switch {
				case rep == nil || !d[i].Known() && rep[i] != 1:
					d[i] = ir.Dim{Size: -1}
				case d[i].Known():
					d[i].Size *= rep[i]
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, d)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			rep, err := repeatsOf(l.Site)
			if err != nil {
				return nil, err
			}
			if rep == nil {
				return nil, l.Errorf("lower", "repeats: want constants")
			}
			x := l.In[0]
			shape := l.B.Shape(x)
			var split, wide, out []int
			for i, n := range shape {
				split, wide, out = append(split, 1, n), append(wide, rep[i], n), append(out, rep[i]*n)
			}
			y := l.B.Broadcast(l.B.Reshape(x, split...), wide...)
			return []prim.ID{l.B.Reshape(y, out...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			rep, err := repeatsOf(s)
			for i, d := range s.In[0].Type.Shape {
				switch {
				case err != nil || rep == nil || rep[i] != 1 && !d.Known():
					a.Fix(In(0, i), "repeats are not known")
					a.Fix(Out(0, i), "repeats are not known")
				case rep[i] == 1:
					a.Tie(Carried, In(0, i), Out(0, i))
				case d.Size == 1:
					a.free(Out(0, i))
				default:
					var pa, pb []int
					for k := range d.Size * rep[i] {
						pa, pb = append(pa, k%d.Size), append(pb, k)
					}
					a.TiePairs(Carried, In(0, i), Out(0, i), pa, pb)
				}
			}
			a.fixAll(s.Input(1), inRef(1), "repeats, one per axis")
		},
		Cut: cutTile,
	}
}

// cutTile keeps the repeats, but those of an axis of size 1 become the positions that stay.
func cutTile(c *Cut) error {
	x := c.In[0].Shape()
	rep, err := c.ConstInts(1)
	if err != nil {
		return err
	}
	want, now := slices.Clone(rep), rep
	if e, ok := c.now(1); ok && allKnown(e) {
		now = nil
		for _, k := range e {
			now = append(now, k.Value)
		}
	}
	for i := range rep {
		if x[i] == 1 {
			want[i] = c.KeepO[0].Len(i, rep[i])
		}
	}
	if slices.Equal(want, now) {
		return nil
	}
	if c.In[1].Weight {
		c.setInput(1, int64Tensor(ir.Int64, want))
		return nil
	}
	for i := range want {
		want[i] -= now[i]
	}
	c.AddConst(1, int64Tensor(ir.Int64, want))
	return nil
}

// repeatsOf returns one count per axis, nil when they are not known.
func repeatsOf(s *Site) ([]int, error) {
	if s.Input(1).Const == nil {
		return nil, nil
	}
	rep, err := s.ConstInts(1)
	if err != nil {
		return nil, err
	}
	if len(rep) != len(s.In[0].Type.Shape) {
		return nil, s.Errorf("ops", "repeats: want %d counts, got %d", len(s.In[0].Type.Shape), len(rep))
	}
	for i, r := range rep {
		if r < 0 || r > 1<<31 {
			return nil, s.Errorf("ops", "repeats: axis %d: want a count in [0, 2³¹], got %d", i, r)
		}
	}
	return rep, nil
}
