package lower

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

func (l *lowerer) reduced(r prim.Reduce, in []hlo.Value) hlo.Value {
	c := elemOf(r.Compute)
	x := l.spread(l.cast(l.expression(r.Expr, r.Compute, in, len(r.Shape)), c), r.Shape)
	if len(r.Axes) == 0 {
		return x
	}
	first := [...]float64{0, 1, math.Inf(-1), math.Inf(1)}[r.Op]
	init := l.literal(c, first)
	if c == hlo.I64 && r.Op == prim.ReduceMin {
		init = l.Integer(c, math.MaxInt64)
	}
	fold := [...]string{"add", "multiply", "maximum", "minimum"}[r.Op]
	shape := make([]int, len(r.Shape))
	copy(shape, r.Shape)
	for _, a := range r.Axes {
		shape[a] = 1
	}
	return l.Reshape(l.Reduce(fold, x, init, r.Axes), shape)
}

// argReduced finds the extreme and then the first or last position that has it; a NaN
// is the extreme where there is one.
func (l *lowerer) argReduced(r prim.ArgReduce, x hlo.Value) hlo.Value {
	if x.Type.Elem == hlo.I1 {
		x = l.Convert(x, hlo.I32)
	}
	e, axes := x.Type.Elem, []int{r.Axis}
	fold, first := "maximum", math.Inf(-1)
	if r.Min {
		fold, first = "minimum", math.Inf(1)
	}
	init := l.literal(e, first)
	switch {
	case e == hlo.I64 && r.Min:
		init = l.Integer(e, math.MaxInt64)
	case e == hlo.I32 && r.Min:
		init = l.literal(e, 1)
	case e == hlo.I32:
		init = l.literal(e, 0)
	}
	kept := make([]int, len(x.Type.Shape))
	copy(kept, x.Type.Shape)
	kept[r.Axis] = 1
	best := l.spread(l.Reshape(l.Reduce(fold, x, init, axes), kept), x.Type.Shape)
	hit := l.Compare("EQ", x, best)
	if e.Float() {
		hit = l.Binary("or", hit, l.Compare("NE", x, x))
		none := l.Compare("EQ", best, best)
		hit = l.Binary("and", hit, l.Binary("or", none, l.Compare("NE", x, x)))
	}
	t := hlo.Type{Elem: hlo.I64, Shape: x.Type.Shape}
	n := x.Type.Shape[r.Axis]
	pick, miss := "minimum", float64(n)
	if r.Last {
		pick, miss = "maximum", -1
	}
	at := l.Select(hit, l.Iota(t, r.Axis), l.full(t, miss))
	return l.Reshape(l.Reduce(pick, at, l.literal(hlo.I64, miss), axes), kept)
}
