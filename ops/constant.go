package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

func opConstant() *Op {
	return &Op{
		Name: "Constant", Since: 1,
		Doc: "y = the value in the attribute. Versions 1, 9, 11, 12, 13, 19, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			t, err := constantValue(s.Node)
			if err != nil {
				return nil, s.Errorf("infer", "%w", err)
			}
			return []Fact{{Type: t.Type(), Const: t, Weight: true}}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			t, err := constantValue(l.Node)
			if err != nil {
				return nil, l.Errorf("lower", "%w", err)
			}
			v, err := HostTensor(t, l.Float)
			if err != nil {
				return nil, l.Errorf("lower", "%w", err)
			}
			return []prim.ID{l.B.Const(v)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			for i := range s.Out[0].Type.Shape {
				a.free(Out(0, i))
			}
		},
		Cut: func(c *Cut) error {
			if !c.KeepO[0].Changed() {
				return nil
			}
			t, err := constantValue(c.Node)
			if err != nil {
				return c.Errorf("cut", "%w", err)
			}
			t, err = Take(t, c.KeepO[0])
			if err != nil {
				return c.Errorf("cut", "%w", err)
			}
			c.Node.Attrs = []ir.Attr{ir.TensorAttr("value", t)}
			return nil
		},
	}
}

func constantValue(n *ir.Node) (*ir.Tensor, error) {
	for i := range n.Attrs {
		a := &n.Attrs[i]
		switch a.Name {
		case "value":
			if a.T != nil {
				return a.T, a.T.Check()
			}
		case "value_float":
			return ir.NewFloat32("", nil, []float32{a.F}), nil
		case "value_floats":
			return ir.NewFloat32("", []int{len(a.Floats)}, a.Floats), nil
		case "value_int":
			return ir.NewInt64("", nil, []int64{a.I}), nil
		case "value_ints":
			return ir.NewInt64("", []int{len(a.Ints)}, a.Ints), nil
		case "value_string":
			return &ir.Tensor{DType: ir.String, Strings: [][]byte{a.S}}, nil
		case "value_strings":
			return &ir.Tensor{DType: ir.String, Dims: []int{len(a.Strings)}, Strings: a.Strings}, nil
		}
	}
	return nil, errNoValue
}

func opIdentity() *Op {
	return &Op{
		Name: "Identity", Since: 1, Moves: 1,
		Doc: "y = x. Versions 1, 13, 14, 16, 19, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			return []Fact{{Type: s.In[0].Type.Clone(), Const: s.In[0].Const, Partial: s.In[0].Partial}}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) { return []prim.ID{l.In[0]}, nil },
		Axes:  func(s *Site, a *Axes) { a.tieAll(s, 0, 0, Carried) },
	}
}

func opConstantOfShape() *Op {
	return &Op{
		Name: "ConstantOfShape", Since: 9,
		Doc: "y = value everywhere, of the sizes in the input. Versions 9, 20, 21.",
		Infer: func(s *Site) ([]Fact, error) {
			v, err := fillValue(s)
			if err != nil {
				return nil, err
			}
			d, ok, err := shapeDims(s, 0)
			if err != nil {
				return nil, err
			}
			if !ok {
				return []Fact{unrankedFact(v.DType)}, nil
			}
			return []Fact{tensorFact(v.DType, d)}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			t, err := fillValue(l.Site)
			if err != nil {
				return nil, err
			}
			v, err := HostTensor(t, l.Float)
			if err != nil {
				return nil, l.Errorf("lower", "%w", err)
			}
			v.Shape = nil
			return []prim.ID{l.B.Broadcast(l.B.Const(v), l.Out[0].Shape()...)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			freeShape(s, a, 0)
		},
		Cut: func(c *Cut) error { return cutShapeInput(c, 0) },
	}
}

func fillValue(s *Site) (*ir.Tensor, error) {
	if err := s.inputs("ops", 1, 1); err != nil {
		return nil, err
	}
	if a := s.Node.Attr("value"); a != nil && a.T != nil {
		if err := a.T.Check(); err != nil || a.T.Len() != 1 {
			return nil, s.Errorf("ops", "attribute \"value\": want one element, got %s", a.T.Type())
		}
		return a.T, nil
	}
	return ir.NewFloat32("", nil, []float32{0}), nil
}

// shapeDims reads input i as sizes; false when not even their number is known.
func shapeDims(s *Site, i int) ([]ir.Dim, bool, error) {
	e, ok := s.elems(i)
	if !ok {
		sh := s.Input(i).Shape()
		if len(sh) != 1 || sh[0] < 0 || sh[0] > 64 {
			return nil, false, nil
		}
		return unknownDims(sh[0]), true, nil
	}
	d := make([]ir.Dim, len(e))
	for k := range e {
		if d[k] = e[k].dim(); e[k].Known && e[k].Value < 0 {
			return nil, false, s.Errorf("infer", "input %d, entry %d: want a size ≥ 0, got %d", i, k, e[k].Value)
		}
	}
	return d, true, nil
}

// freeShape declares the axes of output 0 of an operator whose sizes are input
// i: free when they are known, since Cut can edit them.
func freeShape(s *Site, a *Axes, i int) {
	a.fixAll(s.Input(i), inRef(i), "sizes, one per axis")
	for k := range s.Out[0].Type.Shape {
		if s.Input(i).Const != nil {
			a.free(Out(0, k))
		} else {
			a.Fix(Out(0, k), "its size is computed")
		}
	}
}

// cutShapeInput edits the sizes of the last axes in input i to those of the cut output 0.
func cutShapeInput(c *Cut, i int) error {
	f := c.Input(i).Shape()
	off := len(c.Out[0].Type.Shape) - f[0]
	return cutSizes(c, i, func(k int) int { return off + k })
}

// cutSizes edits the sizes in input i, entry k of which is that of an axis of output 0, to
// those of the cut output: a constant of the model is written anew, to computed ones the
// difference is added, so that those of other axes stay computed.
func cutSizes(c *Cut, i int, axisOf func(k int) int) error {
	v, err := c.ConstInts(i)
	if err != nil {
		return err
	}
	now := v
	if e, ok := c.now(i); ok && len(e) == len(v) {
		now = make([]int, len(v))
		for k := range e {
			now[k] = e[k].Value
		}
	}
	want := append([]int{}, v...)
	for k := range v {
		if keep := c.KeepO[0].kept(axisOf(k)); keep != nil && v[k] > 1 {
			want[k] = len(keep)
		}
	}
	if slices.Equal(want, now) {
		return nil
	}
	var at [][2][]int
	for _, p := range c.At {
		then, ok := integersOf(c.Site, p.Now, i)
		if old, ok2 := integersOf(c.Site, p.In, i); ok && ok2 && len(then) == len(want) && len(old) == len(want) {
			d := make([]ir.Dim, len(old))
			for k := range d {
				d[k].Size = old[k]
			}
			base := make([]ir.Dim, len(v))
			keep := make(Positions, len(v))
			for k := range v {
				base[k].Size = v[k]
				if v[k] > 1 {
					keep[k] = c.KeepO[0].kept(axisOf(k))
				}
			}
			at = append(at, [2][]int{then, sizesOf(sizesAt(keep, base, d))})
		}
	}
	if c.In[i].Weight || !c.follow(i, now, want, at) {
		c.setInput(i, int64Tensor(ir.Int64, want))
	}
	return nil
}

func sizesOf(d []ir.Dim) []int {
	out := make([]int, len(d))
	for i := range d {
		out[i] = d[i].Size
	}
	return out
}
