package lower

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// precision is how exactly the product that is being written is computed.
func (l *lowerer) precision() hlo.Precision {
	if l.large && (l.opt.Precision == TF32 || l.opt.Precision == BF16) {
		return hlo.Default
	}
	return hlo.Highest
}

// matmul pairs the leading axes that both operands have; one that only one of them
// has is an outer axis of that operand, so that nothing is repeated in memory.
func (l *lowerer) matmul(p prim.MatMul, x, y hlo.Value) hlo.Value {
	xs, ys := x.Type.Shape, y.Type.Shape
	lead := len(xs) - 2
	xm, xk, yk, yn := lead, lead+1, lead, lead+1
	if p.TransA {
		xm, xk = xk, xm
	}
	if p.TransB {
		yk, yn = yn, yk
	}
	out := append(slices.Clone(xs[:lead]), xs[xm], ys[yn])
	keepX, keepY := make([]bool, lead+2), make([]bool, lead+2)
	keepX[xm], keepX[xk], keepY[yk], keepY[yn] = true, true, true, true
	for i := range lead {
		out[i] = max(xs[i], ys[i])
		if xs[i] == 0 || ys[i] == 0 {
			out[i] = 0
		}
		keepX[i] = xs[i] != 1
		keepY[i] = ys[i] != 1
	}
	x, xAt := l.drop(x, keepX)
	y, yAt := l.drop(y, keepY)
	var xBatch, yBatch, order []int // order lists the axes of the result in the product's order
	for i := range lead {
		if keepX[i] && keepY[i] {
			xBatch, yBatch = append(xBatch, xAt[i]), append(yBatch, yAt[i])
			order = append(order, i)
		}
	}
	for i := range lead + 2 {
		switch {
		case i == xm:
			order = append(order, lead)
		case i < lead && keepX[i] && !keepY[i]:
			order = append(order, i)
		}
	}
	for i := range lead + 2 {
		switch {
		case i == yn:
			order = append(order, lead+1)
		case i < lead && keepY[i] && !keepX[i]:
			order = append(order, i)
		}
	}
	v := l.DotGeneral(x, y, xBatch, yBatch, []int{xAt[xk]}, []int{yAt[yk]}, l.precision())
	perm := make([]int, len(order))
	sorted := slices.Clone(order)
	slices.Sort(sorted)
	for i, axis := range sorted {
		perm[i] = slices.Index(order, axis)
	}
	return l.Reshape(l.Transpose(v, perm), out)
}

// drop removes the axes of size 1 that are not kept, and returns where the others are.
func (l *lowerer) drop(v hlo.Value, keep []bool) (hlo.Value, []int) {
	at := make([]int, len(keep))
	var shape []int
	for i, k := range keep {
		at[i] = len(shape)
		if k {
			shape = append(shape, v.Type.Shape[i])
		}
	}
	return l.Reshape(v, shape), at
}
