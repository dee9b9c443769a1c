package prim

import (
	"fmt"
	"slices"
)

// MatMul is the batched matrix product of a [..., m, k] and b [..., k, n], with
// the last two axes of a (b) swapped first when TransA (TransB). Both operands
// have the same rank ≥ 2; leading axes are equal, or 1 in one operand (broadcast).
type MatMul struct {
	TransA, TransB bool
}

// Name returns "matmul".
func (MatMul) Name() string { return "matmul" }

// Infer checks the operands and returns [..., m, n].
func (mm MatMul) Infer(in []Type) (Type, error) {
	if len(in) != 2 || in[0].DType != in[1].DType || in[0].DType == Bool || len(in[0].Shape) < 2 || len(in[0].Shape) != len(in[1].Shape) {
		return Type{}, fmt.Errorf("matmul: want two operands of one numeric dtype and one rank ≥ 2, got %v", in)
	}
	r := len(in[0].Shape)
	out := slices.Clone(in[0].Shape)
	for i := range r - 2 {
		x, y := in[0].Shape[i], in[1].Shape[i]
		if x != y && x != 1 && y != 1 {
			return Type{}, fmt.Errorf("matmul: leading sizes: want equal or 1, got %v and %v", in[0].Shape, in[1].Shape)
		}
		if x == 1 {
			out[i] = y
		}
	}
	m, k := in[0].Shape[r-2], in[0].Shape[r-1]
	if mm.TransA {
		m, k = k, m
	}
	k2, n := in[1].Shape[r-2], in[1].Shape[r-1]
	if mm.TransB {
		k2, n = n, k2
	}
	if k != k2 {
		return Type{}, fmt.Errorf("matmul: inner sizes: want equal, got %d and %d (%v, %v, transposed %t, %t)", k, k2, in[0].Shape, in[1].Shape, mm.TransA, mm.TransB)
	}
	out[r-2], out[r-1] = m, n
	return Type{in[0].DType, out}, nil
}

// Eval multiplies with a plain triple loop.
func (mm MatMul) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	if out.DType == I64 {
		mm.eval(in, out, r, func(c []int64, a *Tensor, i int, row *Tensor, at, step int) {
			v := a.I64[i]
			for j := range c {
				c[j] += v * row.I64[at+j*step]
			}
		}, nil)
		return r, nil
	}
	mm.eval(in, out, r, nil, func(c []float64, a *Tensor, i int, row *Tensor, at, step int) {
		v := a.F64[i]
		if step == 1 {
			for j, w := range row.F64[at : at+len(c)] {
				c[j] += v * w
			}
			return
		}
		for j := range c {
			c[j] += v * row.F64[at+j*step]
		}
	})
	return r, nil
}

// eval adds up row multiples with the one of the two given functions.
func (mm MatMul) eval(in []*Tensor, out Type, r *Tensor, ints func([]int64, *Tensor, int, *Tensor, int, int), floats func([]float64, *Tensor, int, *Tensor, int, int)) {
	rank := len(out.Shape)
	m, n := out.Shape[rank-2], out.Shape[rank-1]
	a, b := in[0], in[1]
	k, ai, ak := a.Shape[rank-1], a.Shape[rank-1], 1
	if mm.TransA {
		k, ai, ak = a.Shape[rank-2], 1, a.Shape[rank-1]
	}
	bk, bj := b.Shape[rank-1], 1
	if mm.TransB {
		bk, bj = 1, b.Shape[rank-1]
	}
	batch := out.Shape[:rank-2]
	as, bs := broadcastStrides(a.Shape)[:rank-2], broadcastStrides(b.Shape)[:rank-2]
	parallel(Prod(batch)*m, func(row int) {
		index := make([]int, rank-2)
		unravel(index, batch, row/m)
		a0, b0 := row%m*ai, 0
		for x, i := range index {
			a0 += i * as[x]
			b0 += i * bs[x]
		}
		for p := range k {
			if ints != nil {
				ints(r.I64[row*n:(row+1)*n], a, a0+p*ak, b, b0+p*bk, bj)
			} else {
				floats(r.F64[row*n:(row+1)*n], a, a0+p*ak, b, b0+p*bk, bj)
			}
		}
	})
}

// VJP is two products with the gradient; a broadcast operand gets the sum over
// the batch, as one product where the layout allows.
func (mm MatMul) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x, y := in[0], in[1]
	if !b.Type(x).DType.Float() {
		return invalid(2), nil
	}
	xs, ys := b.Shape(x), b.Shape(y)
	r := len(xs)
	if lead := Prod(xs[:r-2]); !mm.TransA && lead > 1 && Prod(ys[:r-2]) == 1 {
		flat := func(id ID) ID {
			s := b.Shape(id)
			return b.Reshape(id, lead*s[r-2], s[r-1])
		}
		fy, fg := b.Reshape(y, ys[r-2:]...), flat(grad)
		d, err := mm.VJP(b, []ID{flat(x), fy}, Invalid, fg)
		if err != nil {
			return nil, err
		}
		return []ID{b.Reshape(d[0], xs...), b.Reshape(d[1], ys...)}, b.err
	}
	var dx, dy ID
	if mm.TransA {
		dx = b.MatMul(y, grad, mm.TransB, true)
	} else {
		dx = b.MatMul(grad, y, false, !mm.TransB)
	}
	if mm.TransB {
		dy = b.MatMul(grad, x, true, mm.TransA)
	} else {
		dy = b.MatMul(x, grad, !mm.TransA, false)
	}
	return []ID{b.sumTo(dx, xs), b.sumTo(dy, ys)}, b.err
}
