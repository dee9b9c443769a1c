package cpu

import (
	"unsafe"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/half"
)

// widen converts 16-bit numbers of dtype d.
func (k *kernels) widen(dst []float32, src []uint16, d prim.DType) {
	vector, one := k.fromF16, half.FromFloat16
	if d == prim.BF16 {
		vector, one = k.fromBF16, half.FromBFloat16
	}
	n := len(src) &^ 7
	if n > 0 {
		vector(n, &dst[0], &src[0])
	}
	for i := n; i < len(src); i++ {
		dst[i] = one(src[i])
	}
}

// narrow rounds numbers to 16 bits of dtype d.
func (k *kernels) narrow(dst []uint16, src []float32, d prim.DType) {
	vector, one := k.toF16, half.Float16
	if d == prim.BF16 {
		vector, one = k.toBF16, half.BFloat16
	}
	n := len(src) &^ 7
	if n > 0 {
		vector(n, &dst[0], &src[0])
	}
	for i := n; i < len(src); i++ {
		dst[i] = one(float64(src[i]))
	}
}

func portableWiden(one func(uint16) float32) func(n int, dst *float32, src *uint16) {
	return func(n int, dst *float32, src *uint16) {
		d := slice(dst, n)
		for i, h := range unsafe.Slice(src, n) {
			d[i] = one(h)
		}
	}
}

func portableNarrow(one func(float64) uint16) func(n int, dst *uint16, src *float32) {
	return func(n int, dst *uint16, src *float32) {
		d := unsafe.Slice(dst, n)
		for i, v := range slice(src, n) {
			d[i] = one(float64(v))
		}
	}
}
