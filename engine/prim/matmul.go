package prim

import (
	"fmt"
	"slices"
)

// MatMul is the batched matrix product of a [..., m, k] and b [..., k, n], with
// the last two axes of a (b) swapped first when TransA (TransB). Both operands
// have the same rank ≥ 2; leading axes are equal, or 1 in one operand (broadcast).
type MatMul struct {
	unfinished
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
