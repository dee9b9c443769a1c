package prim

import "slices"

// sumTo adds x up over the axes along which shape has size 1 and x has not.
func (b *Builder) sumTo(x ID, shape []int) ID {
	if b.err != nil || slices.Equal(b.Shape(x), shape) {
		return x
	}
	var axes []int
	for i, n := range b.Shape(x) {
		if shape[i] == 1 && n != 1 {
			axes = append(axes, i)
		}
	}
	return b.Sum(x, axes...)
}

// domainGrad returns the gradient of an operand of type t of an expression over
// the domain shape: e, an expression of in in compute type c, summed over the
// axes along which the operand is broadcast.
func (b *Builder) domainGrad(e *X, c DType, in []ID, shape []int, t Type) ID {
	expr, in := compact(E(e).Simplify(c), in)
	if slices.Equal(t.Shape, shape) {
		if len(expr) == 1 && expr[0].Code == Arg && b.Type(in[0]).Equal(t) {
			return in[0]
		}
		return b.Add(Map{Expr: expr, Compute: c, Out: t.DType, Shape: shape}, in...)
	}
	var axes []int
	for i, n := range t.Shape {
		if n == 1 && shape[i] != 1 {
			axes = append(axes, i)
		}
	}
	return b.Cast(b.Add(Reduce{Expr: expr, Op: ReduceSum, Axes: axes, Compute: c, Shape: shape}, in...), t.DType)
}

// compact drops the operands that e does not use and renumbers the rest; equal
// operands become one.
func compact(e Expr, in []ID) (Expr, []ID) {
	var kept []ID
	e = slices.Clone(e)
	for i := range e {
		if e[i].Code != Arg {
			continue
		}
		id := in[e[i].Index]
		k := slices.Index(kept, id)
		if k < 0 {
			k = len(kept)
			kept = append(kept, id)
		}
		e[i].Index = k
	}
	return E(e.X()), kept
}

// Compact returns e over the operands it uses, each once, and those operands.
func Compact(e Expr, in []ID) (Expr, []ID) { return compact(e, in) }

// invalid returns n times "no gradient".
func invalid(n int) []ID { return slices.Repeat([]ID{Invalid}, n) }

// exprGrads returns, for each derivative d[i] of an expression over the domain
// shape with respect to in[i] (nil is zero), the gradient g · d[i], where g is an
// expression of in too.
func (b *Builder) exprGrads(d []*X, c DType, in []ID, g *X, shape []int) []ID {
	out := invalid(len(d))
	for i, x := range d {
		if x != nil {
			out[i] = b.domainGrad(scaleDiff(g, x), c, in, shape, b.Type(in[i]))
		}
	}
	return out
}
