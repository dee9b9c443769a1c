package ops

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// reducedAxes returns the axes that a Reduce operator folds, ascending. They come
// from input 1 where the version has it, else from the attribute; none given means
// all, or with noop_with_empty_axes none. known is false when input 1 is computed.
func reducedAxes(s *Site) (axes []int, known bool, err error) {
	rank := s.In[0].Type.Rank()
	given := s.Node.Ints("axes", nil)
	if f := s.Input(1); f.Present() {
		if f.Const == nil {
			if sh := f.Shape(); len(sh) == 1 && sh[0] == 0 {
				return emptyAxes(s, rank), true, nil
			}
			return nil, false, nil
		}
		if given, err = s.ConstInts(1); err != nil {
			return nil, false, err
		}
	}
	if len(given) == 0 {
		return emptyAxes(s, rank), true, nil
	}
	for _, a := range given {
		if a, err = s.normAxis("infer", a, rank); err != nil {
			return nil, false, err
		}
		if !slices.Contains(axes, a) {
			axes = append(axes, a)
		}
	}
	slices.Sort(axes)
	return axes, true, nil
}

func emptyAxes(s *Site, rank int) []int {
	if s.Node.Int("noop_with_empty_axes", 0) != 0 {
		return nil
	}
	return axesFrom(0, rank)
}

// foldedDims returns the shape after folding axes.
func foldedDims(dims []ir.Dim, axes []int, keep bool) []ir.Dim {
	if !keep {
		return dropDims(dims, axes)
	}
	out := slices.Clone(dims)
	for _, a := range axes {
		out[a] = ir.Dim{Size: 1}
	}
	return out
}

// folding folds axes of a value whose positions have coefficients.
type folding func(b *prim.Builder, x prim.ID, axes []int, w weighing) prim.ID

// reduction is an operator that folds axes of input 0.
func reduction(name, doc string, fold folding) *Op {
	return &Op{
		Name: name, Since: 1, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 2); err != nil {
				return nil, err
			}
			x := s.In[0].Type
			axes, known, err := reducedAxes(s)
			if err != nil {
				return nil, err
			}
			keep := s.Node.Int("keepdims", 1) != 0
			switch {
			case known:
				return []Fact{tensorFact(x.Elem, foldedDims(x.Shape, axes, keep))}, nil
			case keep:
				return []Fact{tensorFact(x.Elem, unknownDims(len(x.Shape)))}, nil
			}
			return []Fact{unrankedFact(x.Elem)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			if axes, known, err := reducedAxes(s); known && err == nil {
				reason := "reduced over"
				if s.elem(0).IsFloat() {
					reason = ""
				}
				foldAxes(s, a, axes, s.Node.Int("keepdims", 1) != 0, reason)
			}
			if f := s.Input(1); f.Present() {
				a.fixAll(f, inRef(1), "axis numbers")
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			axes, known, err := reducedAxes(l.Site)
			if err != nil {
				return nil, err
			}
			if !known {
				return nil, l.Errorf("lower", "input 1 %q: want constant axes, got a computed value", l.Node.Input(1))
			}
			x := l.In[0]
			if l.B.Type(x).DType == prim.Bool {
				x = l.B.Cast(x, prim.I64)
			}
			w := l.weighing(0, axes)
			y := fold(l.B, x, axes, w)
			if w.mask == prim.Invalid {
				y = wrapped(l, y)
			}
			return one(l.B.Cast(l.B.Reshape(y, l.Out[0].Shape()...), l.DType(l.elem(0)))), nil
		},
	}
}

// foldAxes pins the folded axes of input 0, or without a reason weighs them, and carries
// the others to output 0.
func foldAxes(s *Site, a *Axes, axes []int, keep bool, reason string) {
	at := 0
	for n := range s.In[0].Type.Shape {
		if slices.Contains(axes, n) {
			if reason == "" {
				a.Weigh(In(0, n))
			} else {
				a.Normalise(In(0, n), reason)
			}
			if keep {
				at++
			}
			continue
		}
		for k := range s.Out {
			if s.Out[k].Present() {
				a.Tie(Carried, In(0, n), Out(k, at))
			}
		}
		at++
	}
}

// reductions lists the Reduce operators. Positions of coefficient 0 add nothing to a sum
// and are neither the largest nor the smallest.
func reductions() []*Op {
	x := prim.A(0)
	abs, square := prim.Op(prim.Abs, x), prim.Op(prim.Mul, x, x)
	return []*Op{
		reduction("ReduceSum", "Σx over axes; versions 1, 11, 13", sumOf(x)),
		reduction("ReduceMean", "mean over axes; versions 1, 11, 13, 18", func(b *prim.Builder, v prim.ID, axes []int, w weighing) prim.ID {
			if w.mask == prim.Invalid {
				return mean(b, v, axes)
			}
			return w.mean(b, axes, x, v)
		}),
		reduction("ReduceMax", "largest over axes; versions 1, 11, 12, 13, 18, 20", extreme(prim.ReduceMax, math.Inf(-1))),
		reduction("ReduceMin", "smallest over axes; versions 1, 11, 12, 13, 18, 20", extreme(prim.ReduceMin, math.Inf(1))),
		reduction("ReduceProd", "Πx over axes; versions 1, 11, 13, 18", extreme(prim.ReduceProd, 1)),
		reduction("ReduceL1", "Σ|x| over axes; versions 1, 11, 13, 18", sumOf(abs)),
		reduction("ReduceL2", "√Σx² over axes; versions 1, 11, 13, 18", func(b *prim.Builder, v prim.ID, axes []int, w weighing) prim.ID {
			return throughFloat(b, root(x, 2), w.sum(b, axes, square, v))
		}),
		reduction("ReduceSumSquare", "Σx² over axes; versions 1, 11, 13, 18", sumOf(square)),
		reduction("ReduceLogSum", "ln Σx over axes; versions 1, 11, 13, 18", func(b *prim.Builder, v prim.ID, axes []int, w weighing) prim.ID {
			return throughFloat(b, prim.Op(prim.Log, x), w.sum(b, axes, x, v))
		}),
		reduction("ReduceLogSumExp", "ln Σeˣ over axes; versions 1, 11, 13, 18", func(b *prim.Builder, v prim.ID, axes []int, w weighing) prim.ID {
			d := b.Type(v).DType
			if !d.Float() {
				v = b.Cast(v, prim.F64)
			}
			v = w.but(b, v, math.Inf(-1))
			m := finiteMax(b, v, axes)
			sum := w.sum(b, axes, prim.Op(prim.Exp, prim.Op(prim.Sub, prim.A(0), prim.A(1))), v, m)
			return b.Cast(b.Map(prim.Op(prim.Add, prim.Op(prim.Log, prim.A(0)), prim.A(1)), sum, m), d)
		}),
	}
}

// sumOf folds Σ m·e of the reduced value.
func sumOf(e *prim.X) folding {
	return func(b *prim.Builder, x prim.ID, axes []int, w weighing) prim.ID { return w.sum(b, axes, e, x) }
}

// extreme folds the positions whose coefficient is not 0; the others count as neutral.
func extreme(op prim.ReduceOp, neutral float64) folding {
	return func(b *prim.Builder, x prim.ID, axes []int, w weighing) prim.ID {
		return b.Reduce(op, axes, prim.A(0), w.but(b, x, neutral))
	}
}

// throughFloat evaluates e in F64 when x is an integer.
func throughFloat(b *prim.Builder, e *prim.X, x prim.ID) prim.ID {
	d := b.Type(x).DType
	if d.Float() {
		return b.Map(e, x)
	}
	return b.MapAs(prim.F64, d, e, x)
}

// finiteMax is the largest element over axes, without gradient, 0 where it is infinite.
func finiteMax(b *prim.Builder, x prim.ID, axes []int) prim.ID {
	m := b.Add(prim.StopGrad{}, b.Reduce(prim.ReduceMax, axes, prim.A(0), x))
	return b.Map(prim.Op(prim.Select, prim.Op(prim.IsInf, prim.A(0)), prim.L(0), prim.A(0)), m)
}

// argReduction gives positions of extreme elements along one axis.
func argReduction(name, doc string, smallest bool) *Op {
	return &Op{
		Name: name, Since: 1, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			x := s.In[0].Type.Shape
			axis, err := s.normAxis("infer", s.Node.Int("axis", 0), len(x))
			if err != nil {
				return nil, err
			}
			return []Fact{tensorFact(ir.Int64, foldedDims(x, []int{axis}, s.Node.Int("keepdims", 1) != 0))}, nil
		},
		Axes: func(s *Site, a *Axes) {
			if axis, err := s.normAxis("infer", s.Node.Int("axis", 0), s.In[0].Type.Rank()); err == nil {
				foldAxes(s, a, []int{axis}, s.Node.Int("keepdims", 1) != 0, "positions along the axis are the result")
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			x := l.In[0]
			axis, err := l.normAxis("lower", l.Node.Int("axis", 0), len(l.B.Shape(x)))
			if err != nil {
				return nil, err
			}
			y := l.B.Add(prim.ArgReduce{Axis: axis, Min: smallest, Last: l.Node.Int("select_last_index", 0) != 0}, x)
			return one(l.B.Reshape(y, l.Out[0].Shape()...)), nil
		},
	}
}

// argReductions lists ArgMax and ArgMin.
func argReductions() []*Op {
	return []*Op{
		argReduction("ArgMax", "position of the largest element along axis; versions 1, 11, 12, 13", false),
		argReduction("ArgMin", "position of the smallest element along axis; versions 1, 11, 12, 13", true),
	}
}
