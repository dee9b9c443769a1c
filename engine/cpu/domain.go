package cpu

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/half"
)

// axis is one axis of a domain after neighbours that all operands walk alike
// have been merged.
type axis struct {
	size    int
	reduced bool
	stride  []int // per operand, 0 for broadcast
}

// collapse merges the axes of shape for row-major operands in and marks the reduced ones.
// There is always at least one axis.
func collapse(shape []int, in []prim.Type, reduced []int) []axis {
	strides := make([][]int, len(in))
	for i, t := range in {
		strides[i] = rowMajor(t.Shape)
		for k, n := range t.Shape {
			if n == 1 {
				strides[i][k] = 0
			}
		}
	}
	return collapseStrides(shape, strides, reduced)
}

// collapseStrides is collapse for operands of any strides, 0 for broadcast.
func collapseStrides(shape []int, strides [][]int, reduced []int) []axis {
	is := make([]bool, len(shape))
	for _, a := range reduced {
		is[a] = true
	}
	var out []axis
	for k, n := range shape {
		if n == 1 {
			continue
		}
		a := axis{size: n, reduced: is[k], stride: make([]int, len(strides))}
		for i := range strides {
			a.stride[i] = strides[i][k]
		}
		if len(out) > 0 {
			last := &out[len(out)-1]
			merge := last.reduced == a.reduced
			for i := range strides {
				merge = merge && last.stride[i] == a.stride[i]*n
			}
			if merge {
				last.size *= n
				last.stride = a.stride
				continue
			}
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		out = append(out, axis{size: 1, stride: make([]int, len(strides))})
	}
	return out
}

// walk sets off to the operand offsets of flat index i over axes.
func walk(axes []axis, i int, off []int) {
	clear(off)
	for k := len(axes) - 1; k >= 0; k-- {
		a := &axes[k]
		at := i % a.size
		i /= a.size
		for j, s := range a.stride {
			off[j] += at * s
		}
	}
}

func count(axes []axis) int {
	n := 1
	for _, a := range axes {
		n *= a.size
	}
	return n
}

// source reads elements of an operand of any dtype as float32.
type source struct {
	v    view
	f    []float32 // of F32 operands
	k    *kernels  // for F16 and BF16 operands
	full bool      // all axes have their row-major stride
}

func sourceOf(v view) source {
	s := source{v: v}
	if v.typ.DType == prim.F32 {
		s.f = v.f32()
	}
	return s
}

// load copies n elements from offset off, step 0 or 1, to dst.
func (s *source) load(dst []float32, off, step, n int) {
	dst = dst[:n]
	if step == 0 {
		var x float32
		if s.f != nil {
			x = s.f[off]
		} else {
			x = s.element(off)
		}
		for i := range dst {
			dst[i] = x
		}
		return
	}
	switch s.v.typ.DType {
	case prim.F32:
		copy(dst, s.f[off:])
	case prim.F64:
		for i, x := range s.v.f64()[off : off+n] {
			dst[i] = float32(x)
		}
	case prim.I64:
		for i, x := range s.v.i64()[off : off+n] {
			dst[i] = float32(x)
		}
	case prim.Bool:
		for i, x := range s.v.bools()[off : off+n] {
			dst[i] = truth(x)
		}
	case prim.F16, prim.BF16:
		s.k.widen(dst, s.v.u16()[off:off+n], s.v.typ.DType)
	}
}

func (s *source) element(off int) float32 {
	switch s.v.typ.DType {
	case prim.F32:
		return s.f[off]
	case prim.F64:
		return float32(s.v.f64()[off])
	case prim.I64:
		return float32(s.v.i64()[off])
	case prim.F16:
		return half.FromFloat16(s.v.u16()[off])
	case prim.BF16:
		return half.FromBFloat16(s.v.u16()[off])
	}
	return truth(s.v.bools()[off])
}
