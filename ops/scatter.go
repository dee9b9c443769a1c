package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

func opScatterElements() *Op {
	return scatterElements("ScatterElements", 11, "y = x with y[.., indices[.., i, ..], ..] = (or +=) updates[.., i, ..] along axis; distinct indices, or reduction add, mul, max, min. Versions 11, 13, 16, 18.")
}

func opScatter() *Op {
	return scatterElements("Scatter", 9, "ScatterElements before opset 11. Version 9.")
}

func scatterElements(name string, since int, doc string) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 3, 3); err != nil {
				return nil, err
			}
			if _, err := s.normAxis("infer", s.Node.Int("axis", 0), len(s.In[0].Type.Shape)); err != nil {
				return nil, err
			}
			if x, i := len(s.In[0].Type.Shape), len(s.In[1].Type.Shape); x != i || i != len(s.In[2].Type.Shape) {
				return nil, s.Errorf("infer", "indices and updates: want rank %d, got %d and %d", x, i, len(s.In[2].Type.Shape))
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, s.dimsOf(0))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.B
			x := b.Shape(l.In[0])
			axis, err := l.normAxis("lower", l.Node.Int("axis", 0), len(x))
			if err != nil {
				return nil, err
			}
			for k, n := range b.Shape(l.In[1]) {
				if n != b.Shape(l.In[2])[k] || k != axis && n > x[k] {
					return nil, l.Errorf("lower", "axis %d: want indices and updates of one size, at most %d, got %v and %v", k, x[k], b.Shape(l.In[1]), b.Shape(l.In[2]))
				}
			}
			index, err := l.index(1, x[axis])
			if err != nil {
				return nil, err
			}
			if err := l.fits("indices", b.Shape(l.In[1])...); err != nil {
				return nil, err
			}
			flat := flatIndex(b, x, index, axis)
			n := prim.Prod(b.Shape(l.In[2]))
			y, err := scatterFlat(l, prim.Prod(x), 1, b.Reshape(flat, n), b.Reshape(l.In[2], n, 1))
			return []prim.ID{y}, err
		},
		Axes: func(s *Site, a *Axes) {
			axis, err := s.normAxis("ops", s.Node.Int("axis", 0), len(s.In[0].Type.Shape))
			for k, d := range s.In[0].Type.Shape {
				i := s.In[1].Type.Shape[k]
				if err != nil || k == axis || !sameDim(d, i) {
					a.Fix(In(0, k), "positions are chosen by an index")
					a.Fix(Out(0, k), "positions are chosen by an index")
					a.Fix(In(1, k), "positions are chosen by an index")
					a.Fix(In(2, k), "positions are chosen by an index")
					continue
				}
				a.Tie(Carried, In(0, k), Out(0, k))
				a.Tie(Carried, In(1, k), Out(0, k))
				a.Tie(Carried, In(2, k), Out(0, k))
			}
		},
	}
}

func opScatterND() *Op {
	return &Op{
		Name: "ScatterND", Since: 11,
		Doc: "y = x with y[indices[i, :]] = (or +=) updates[i]; distinct indices, or reduction add, mul, max, min. Versions 11, 13, 16, 18.",
		Infer: func(s *Site) ([]Fact, error) {
			if _, err := scatterDepth(s); err != nil {
				return nil, err
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, s.dimsOf(0))}, nil
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			depth, err := scatterDepth(l.Site)
			if err != nil {
				return nil, err
			}
			b := l.B
			x, ix := b.Shape(l.In[0]), b.Shape(l.In[1])
			rows, tail := prim.Prod(ix[:len(ix)-1]), prim.Prod(x[depth:])
			flat := flatCoordinates(b, b.Reshape(l.In[1], rows, depth), x[:depth])
			if prim.Prod(b.Shape(l.In[2])) != rows*tail {
				return nil, l.Errorf("lower", "updates: want %d elements for indices %v into %v, got %v", rows*tail, ix, x, b.Shape(l.In[2]))
			}
			y, err := scatterFlat(l, prim.Prod(x[:depth]), tail, b.Reshape(flat, rows), b.Reshape(l.In[2], rows, tail))
			return []prim.ID{y}, err
		},
		Axes: func(s *Site, a *Axes) {
			depth, err := scatterDepth(s)
			if err != nil || depth < 0 {
				return
			}
			q := len(s.In[1].Type.Shape)
			for k := range s.In[0].Type.Shape {
				if k < depth {
					a.Fix(In(0, k), "positions are chosen by an index")
					a.Fix(Out(0, k), "positions are chosen by an index")
					continue
				}
				a.Tie(Carried, In(0, k), Out(0, k))
				a.Tie(Carried, In(2, q-1+k-depth), Out(0, k))
			}
			for k := range q - 1 {
				a.Fix(In(1, k), "every update is written")
				a.Fix(In(2, k), "every update is written")
			}
			a.Fix(In(1, q-1), "coordinates of an index")
		},
	}
}

// scatterDepth returns the number of indexed axes of ScatterND, -1 when not known.
func scatterDepth(s *Site) (int, error) {
	if err := s.inputs("ops", 3, 3); err != nil {
		return 0, err
	}
	r, q := len(s.In[0].Type.Shape), len(s.In[1].Type.Shape)
	if q < 1 {
		return 0, s.Errorf("ops", "indices: want rank ≥ 1, got 0")
	}
	depth := s.In[1].Type.Shape[q-1].Size
	if depth == 0 || depth > r {
		return 0, s.Errorf("ops", "indices: want a last axis of 1 to %d coordinates, got %d", r, depth)
	}
	if u := len(s.In[2].Type.Shape); depth > 0 && u != q-1+r-depth {
		return 0, s.Errorf("ops", "updates: want rank %d, got %d", q-1+r-depth, u)
	}
	return depth, nil
}

// scatterFlat writes rows of updates [u, tail] into input 0 seen as [size, tail].
func scatterFlat(l *Lowering, size, tail int, index, updates prim.ID) (prim.ID, error) {
	b := l.B
	shape, d := b.Shape(l.In[0]), b.Type(l.In[0]).DType
	x := b.Reshape(l.In[0], size, tail)
	if d == prim.Bool {
		x, updates = b.Cast(x, prim.I64), b.Cast(updates, prim.I64)
	}
	sum := prim.Invalid
	if r := l.Node.Str("reduction", "none"); r == "add" || r == "none" {
		sum = b.Add(prim.ScatterAdd{Axis: 0, Size: size}, index, updates)
	}
	switch r := l.Node.Str("reduction", "none"); r {
	case "add":
		x = b.Plus(x, sum)
	case "none":
		one := b.Broadcast(b.Scalar(prim.I64, 1), prim.Prod(b.Shape(index)), 1)
		hit := b.Add(prim.ScatterAdd{Axis: 0, Size: size}, index, one)
		c := b.Type(x).DType
		x = b.MapAs(c, c, prim.Op(prim.Select, prim.A(0), prim.A(1), prim.A(2)), hit, sum, x)
	case "mul", "max", "min":
		var err error
		if x, err = scatterFold(l, r, x, index, updates); err != nil {
			return prim.Invalid, err
		}
	default:
		return prim.Invalid, l.Errorf("lower", "attribute \"reduction\": want none, add, mul, max or min, got %q", r)
	}
	return b.Reshape(b.Cast(x, d), shape...), nil
}

// maxScatterPairs bounds the pairs of position and update that scatterFold looks at.
const maxScatterPairs = 1 << 26

// scatterFold folds into every row of x [size, tail] the rows of updates [u, tail] whose index names it.
func scatterFold(l *Lowering, fold string, x, index, updates prim.ID) (prim.ID, error) {
	b := l.B
	shape := b.Shape(x)
	size, tail, u := shape[0], shape[1], b.Shape(index)[0]
	if size > 0 && tail > 0 && u > maxScatterPairs/size/tail {
		return prim.Invalid, l.Errorf("lower", "reduction %q: want at most %d pairs of position and update, got %d positions and %d updates", fold, maxScatterPairs, size*tail, u)
	}
	d := b.Type(x).DType
	rows := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{size, 1, 1}})
	for i := range rows.I64 {
		rows.I64[i] = int64(i)
	}
	op, join, neutral := prim.ReduceProd, prim.Mul, prim.L(1)
	own := b.Reshape(x, size, 1, tail)
	operands := []prim.ID{b.Reshape(updates, 1, u, tail), b.Cast(b.Const(rows), d), b.Cast(b.Reshape(index, 1, u, 1), d)}
	if fold != "mul" {
		op, join = prim.ReduceMax, prim.Max
		if fold == "min" {
			op, join = prim.ReduceMin, prim.Min
		}
		neutral = prim.A(3)
		operands = append(operands, own)
	}
	hit := prim.Op(prim.Select, prim.Op(prim.Eq, prim.A(1), prim.A(2)), prim.A(0), neutral)
	folded := b.Reduce(op, []int{1}, hit, operands...)
	return b.Reshape(b.Map(prim.Op(join, prim.A(0), prim.A(1)), own, folded), size, tail), nil
}

// flatCoordinates turns rows of coordinates [rows, len(shape)] into row-major offsets [rows, 1].
func flatCoordinates(b *prim.Builder, coords prim.ID, shape []int) prim.ID {
	rows := b.Shape(coords)[0]
	flat := b.Const(prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{rows, 1}}))
	stride := 1
	for k := len(shape) - 1; k >= 0; k-- {
		flat = b.Plus(flat, b.Scale(wrapIndex(b, sliceAxis(b, coords, 1, k, 1), shape[k]), float64(stride)))
		stride *= shape[k]
	}
	return flat
}
