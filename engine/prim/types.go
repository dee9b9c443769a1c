package prim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/internal/half"
)

// DType is the element type of a program value. Every ONNX integer type
// computes as I64; float16 and bfloat16 compute as F32. F16 and BF16 only store: maps
// and reductions read them, maps write them, rounding to the nearest, ties to even.
type DType uint8

// Element types.
const (
	F32 DType = iota
	F64
	I64
	Bool
	F16
	BF16
)

// String returns "f32", "f64", "i64", "bool", "f16" or "bf16".
func (d DType) String() string {
	if d > BF16 {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return [...]string{"f32", "f64", "i64", "bool", "f16", "bf16"}[d]
}

// Float reports whether d is F32, F64, F16 or BF16.
func (d DType) Float() bool { return d != I64 && d != Bool }

// Half reports whether d is F16 or BF16.
func (d DType) Half() bool { return d == F16 || d == BF16 }

// Size returns the bytes of one element.
func (d DType) Size() int { return [...]int{4, 8, 8, 1, 2, 2}[d] }

// Type is the type of a program value: sizes are always known. Rank 0 is a scalar.
type Type struct {
	DType DType
	Shape []int
}

// Len returns the number of elements.
func (t Type) Len() int { return Prod(t.Shape) }

// Bytes returns the storage size.
func (t Type) Bytes() int { return t.Len() * t.DType.Size() }

// Equal reports equal dtype and shape.
func (t Type) Equal(o Type) bool { return t.DType == o.DType && slices.Equal(t.Shape, o.Shape) }

// Check reports a negative size, or more elements than memory can hold.
func (t Type) Check() error {
	n, limit := 1, math.MaxInt/64
	for _, s := range t.Shape {
		if s < 0 || (s > 0 && n > limit/s) {
			return fmt.Errorf("shape %v: want sizes ≥ 0 whose product fits in memory", t.Shape)
		}
		n *= max(s, 1)
	}
	return nil
}

// String prints for example "f32[64 3 32 32]".
func (t Type) String() string { return fmt.Sprintf("%s%v", t.DType, t.Shape) }

// Prod returns the product of sizes, 1 for none.
func Prod(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// Tensor is a host array, row-major. Exactly the slice that DType names is used.
type Tensor struct {
	Type
	F32 []float32
	F64 []float64
	I64 []int64
	B   []bool
	U16 []uint16 // the bits of F16 and BF16
}

// NewTensor returns zeros of type t.
func NewTensor(t Type) *Tensor {
	x := &Tensor{Type: Type{t.DType, slices.Clone(t.Shape)}}
	switch n := t.Len(); t.DType {
	case F32:
		x.F32 = make([]float32, n)
	case F64:
		x.F64 = make([]float64, n)
	case I64:
		x.I64 = make([]int64, n)
	case Bool:
		x.B = make([]bool, n)
	case F16, BF16:
		x.U16 = make([]uint16, n)
	}
	return x
}

// F32Tensor wraps data, which must hold the product of shape elements.
func F32Tensor(data []float32, shape ...int) *Tensor {
	return &Tensor{Type: Type{F32, shape}, F32: data}
}

// F64Tensor wraps data.
func F64Tensor(data []float64, shape ...int) *Tensor {
	return &Tensor{Type: Type{F64, shape}, F64: data}
}

// I64Tensor wraps data.
func I64Tensor(data []int64, shape ...int) *Tensor {
	return &Tensor{Type: Type{I64, shape}, I64: data}
}

// Span returns positions lo to hi of the leading axis; it shares t's storage.
func (t *Tensor) Span(lo, hi int) *Tensor {
	if len(t.Shape) == 0 || lo < 0 || lo > hi || hi > t.Shape[0] {
		panic(fmt.Sprintf("BUG: prim: positions %d to %d of %s", lo, hi, t.Type))
	}
	r := &Tensor{Type: Type{t.DType, slices.Clone(t.Shape)}}
	r.Shape[0] = hi - lo
	row := Prod(t.Shape[1:])
	lo, hi = lo*row, hi*row
	switch t.DType {
	case F32:
		r.F32 = t.F32[lo:hi]
	case F64:
		r.F64 = t.F64[lo:hi]
	case I64:
		r.I64 = t.I64[lo:hi]
	case Bool:
		r.B = t.B[lo:hi]
	case F16, BF16:
		r.U16 = t.U16[lo:hi]
	}
	return r
}

// Take returns a copy with the given positions of each axis; nil, or the end of the list, is
// all of them.
func (t *Tensor) Take(kept [][]int) *Tensor {
	r := t
	for axis, k := range kept {
		if k == nil {
			continue
		}
		shape := slices.Clone(r.Shape)
		shape[axis] = len(k)
		out := NewTensor(Type{r.DType, shape})
		n, inner := r.Shape[axis], Prod(shape[axis+1:])
		for o := range Prod(shape[:axis]) {
			for i, p := range k {
				from, to := (o*n+p)*inner, (o*len(k)+i)*inner
				switch r.DType {
				case F32:
					copy(out.F32[to:to+inner], r.F32[from:])
				case F64:
					copy(out.F64[to:to+inner], r.F64[from:])
				case I64:
					copy(out.I64[to:to+inner], r.I64[from:])
				case Bool:
					copy(out.B[to:to+inner], r.B[from:])
				case F16, BF16:
					copy(out.U16[to:to+inner], r.U16[from:])
				}
			}
		}
		r = out
	}
	return r
}

// Check reports a missing tensor, or one whose storage does not fit its type.
func (t *Tensor) Check() error {
	if t == nil {
		return errors.New("prim: tensor: want a tensor, got nothing")
	}
	if t.DType > BF16 {
		return fmt.Errorf("prim: tensor: dtype: want f32, f64, i64, bool, f16 or bf16, got %d", uint8(t.DType))
	}
	if err := t.Type.Check(); err != nil {
		return fmt.Errorf("prim: tensor: %w", err)
	}
	if n := [...]int{len(t.F32), len(t.F64), len(t.I64), len(t.B), len(t.U16), len(t.U16)}[t.DType]; n != t.Len() {
		return fmt.Errorf("prim: tensor %s: want %d elements, got %d", t.Type, t.Len(), n)
	}
	return nil
}

// Cast returns a copy converted to d: floats truncate toward zero when cast to
// I64 (see ToInt), anything non-zero is true, true is 1.
func (t *Tensor) Cast(d DType) *Tensor {
	out := NewTensor(Type{d, t.Shape})
	for i := range out.Len() {
		switch d {
		case F32:
			if t.DType == F32 {
				out.F32[i] = t.F32[i]
			} else {
				out.F32[i] = float32(t.Float(i))
			}
		case F64:
			out.F64[i] = t.Float(i)
		case I64:
			out.I64[i] = t.Int(i)
		case Bool:
			if t.DType.Float() {
				out.B[i] = t.Float(i) != 0
			} else {
				out.B[i] = t.Int(i) != 0
			}
		case F16:
			out.U16[i] = half.Float16(t.Float(i))
		case BF16:
			out.U16[i] = half.BFloat16(t.Float(i))
		}
	}
	return out
}

// Float returns element i as float64.
func (t *Tensor) Float(i int) float64 {
	switch t.DType {
	case F32:
		return float64(t.F32[i])
	case F64:
		return t.F64[i]
	case I64:
		return float64(t.I64[i])
	case F16:
		return float64(half.FromFloat16(t.U16[i]))
	case BF16:
		return float64(half.FromBFloat16(t.U16[i]))
	}
	if t.B[i] {
		return 1
	}
	return 0
}

// Int returns element i as int64.
func (t *Tensor) Int(i int) int64 {
	switch t.DType {
	case I64:
		return t.I64[i]
	case Bool:
		if t.B[i] {
			return 1
		}
		return 0
	}
	return ToInt(t.Float(i))
}
