package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// Vector primitives: dst[i] = f(a[i], …) for n elements. Each operand advances
// by its step in bytes per 8 elements: 32, or 0 to repeat its first 8. Operands
// are read in whole vectors of 8; dst is written exactly and may be an operand.
type (
	op1 = func(n int, dst, a *float32, sa int)
	op2 = func(n int, dst, a, b *float32, sa, sb int)
	op3 = func(n int, dst, a, b, c *float32, sa, sb, sc int)
)

// tileTransform sets dst = T·src·Tᵀ for n tiles of vectors of 8; strides are in bytes.
type tileTransform = func(n int, dst *float32, drow, dcol, dstep int, src *float32, srow, scol, sstep int)

// kernels is the table of inner loops of one kind of processor. The contracts
// of its members stand with the assembly's declarations.
type kernels struct {
	name                string
	gemm                [7]func(k int, a *float32, ra, ka int, b *float32, kb int, c *float32, ldc int, acc bool) // by rows, from 1
	conv                [4]func(k int, offs *int64, a *float32, p, o *[3]*float32, ostride, blocks int)           // by vectors, from 1
	wgrad               func(v int, offs *int64, grad *float32, gstride int, x *float32, taps *int64, groups int, out *float32)
	unary               map[prim.Code]op1
	binary              map[prim.Code]op2
	depthwise           func(k int, offs *int64, w, x, o *float32, rows, xstride, ostride, cols int)
	padRows             func(rows int, dst *float32, dstride int, src *float32, sstride, n, lo int)
	interleave          func(rows, n int, dst *float32, drow int, a *float32, arow int, b *float32, brow int)
	deinterleave        func(rows, evens, odds int, even, odd *float32, drow int, src *float32, srow int)
	depthwiseGrad       [10]func(v int, offs *int64, grad, x *float32, taps *int64, out *float32) // by taps: 1, 3, 5 and 9
	copyRows            [3]func(rows int, dst *float32, dstride int, src *float32, sstride int)   // by vectors, from 1
	transpose8          func(blocks int, dst *float32, dstride int, src *float32, sstride int)
	fetch               func(bytes int, p *float32)
	panelProducts       func(k, vectors, blocks int, a, x *float32, xrow int, o *float32, orow int)
	toLanes             func(rows int, dst *float32, drow int, src *float32, srow, splane, cols, lead, tail, ahead int)
	fromLanes           func(rows int, dst *float32, drow, dplane int, src *float32, srow, blocks int)
	winograd            [winogradTransforms]tileTransform
	fromF16, fromBF16   func(n int, dst *float32, src *uint16) // whole vectors of 8
	toF16, toBF16       func(n int, dst *uint16, src *float32) // whole vectors of 8
	copy                op1
	fma, fms, fnma, sel op3
	gate                op3 // c where a < b, else 0
	// Folds of n ≡ 0 (mod 8) elements.
	sum, max, min func(n int, a *float32) float32
	dot           func(n int, a, b *float32) float32
}
