package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// weighing holds the coefficients m of the positions that statistics are taken over.
// At a vertex m is 0 or 1, and the statistics are those of the network without the
// positions of coefficient 0:
//
//	mean = Σ m·x / Σ m,  var = Σ m·(x-mean)² / Σ m
//
// The zero-coefficient case aside, plain statistics are those with m = 1.
type weighing struct {
	mask  prim.ID // broadcasts to x; prim.Invalid: all positions count fully
	total prim.ID // Σ m over the axes, one element of x's rank; prim.Invalid with mask
	count float64 // number of positions, at least 1
}

// plainWeighing counts all positions along axes of a shape fully.
func plainWeighing(shape, axes []int) weighing {
	return weighing{mask: prim.Invalid, total: prim.Invalid, count: float64(max(extent(shape, axes), 1))}
}

// weighingBy weighs one axis of a value by coefficients, which may be prim.Invalid.
func (l *Lowering) weighingBy(m prim.ID, shape []int, axis int) weighing {
	w := plainWeighing(shape, []int{axis})
	if m != prim.Invalid {
		along := slices.Repeat([]int{1}, len(shape))
		along[axis] = shape[axis]
		w.mask = l.B.Reshape(m, along...)
		w.total = l.B.Sum(w.mask, axis)
	}
	return w
}

// weighing returns the coefficients of input i along axes; several axes multiply.
func (l *Lowering) weighing(i int, axes []int) weighing {
	b, shape := l.B, l.B.Shape(l.In[i])
	w := plainWeighing(shape, axes)
	if l.AxisMask == nil {
		return w
	}
	rest := 1.0
	for _, a := range axes {
		m := l.AxisMask(i, a)
		if m == prim.Invalid {
			rest *= float64(shape[a])
			continue
		}
		along := slices.Repeat([]int{1}, len(shape))
		along[a] = shape[a]
		if m = b.Reshape(m, along...); w.mask != prim.Invalid {
			m = b.Times(w.mask, m)
		}
		w.mask = m
	}
	if w.mask != prim.Invalid {
		w.total = b.Scale(b.Sum(w.mask, axes...), rest)
	}
	return w
}

// sum folds Σ m·e over axes, where e is an expression of the operands.
func (w weighing) sum(b *prim.Builder, axes []int, e *prim.X, in ...prim.ID) prim.ID {
	if w.mask == prim.Invalid {
		return b.Reduce(prim.ReduceSum, axes, e, in...)
	}
	return b.Reduce(prim.ReduceSum, axes, prim.Op(prim.Mul, e, prim.A(len(in))), append(slices.Clone(in), w.mask)...)
}

// mean folds Σ m·e / Σ m over axes.
func (w weighing) mean(b *prim.Builder, axes []int, e *prim.X, in ...prim.ID) prim.ID {
	sum := w.sum(b, axes, e, in...)
	if w.mask == prim.Invalid {
		return b.Map(prim.Op(prim.Div, prim.A(0), prim.L(w.count)), sum)
	}
	return b.Over(sum, w.total)
}

// but is x with neutral in place of the positions of coefficient 0.
func (w weighing) but(b *prim.Builder, x prim.ID, neutral float64) prim.ID {
	if w.mask == prim.Invalid {
		return x
	}
	return b.Map(prim.Op(prim.Select, prim.Op(prim.Eq, prim.A(1), prim.L(0)), prim.L(neutral), prim.A(0)), x, w.mask)
}

// weighAxes carries input 0 to output 0; statistics over the given axes are weighted.
func weighAxes(s *Site, a *Axes, axes []int) {
	carryAxes(s, a)
	for _, n := range axes {
		a.Weigh(In(0, n))
	}
}
