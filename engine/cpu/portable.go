package cpu

import (
	"math"
	"unsafe"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/half"
)

func slice(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// after returns the address off bytes behind p.
func after(p *float32, off int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), off)) }

// portableKernels returns the kernels in Go.
func portableKernels() *kernels {
	k := &kernels{name: "portable", copy: portable1(func(a float32) float32 { return a })}
	for mr := 1; mr <= 6; mr++ {
		k.gemm[mr] = func(n int, a *float32, ra, ka int, b *float32, kb int, c *float32, ldc int, acc bool) {
			portableGemm(mr, n, a, ra, ka, b, kb, c, ldc, acc)
		}
	}
	for nv := 1; nv <= 3; nv++ {
		k.conv[nv] = func(n int, offs *int64, a *float32, p, o *[3]*float32, ostride, blocks int) {
			portableConv(nv, n, offs, a, p, o, ostride, blocks)
		}
	}
	k.wgrad, k.padRows = portableWgrad, portablePadRows
	k.unary = map[prim.Code]op1{
		prim.Neg: portable1(func(a float32) float32 { return -a }),
		prim.Abs: portable1(func(a float32) float32 { return math.Float32frombits(math.Float32bits(a) &^ (1 << 31)) }),
	}
	for _, c := range []prim.Code{
		prim.Sqrt, prim.Rsqrt, prim.Recip, prim.Floor, prim.Ceil, prim.Round, prim.Not,
		prim.Exp, prim.Log, prim.Tanh, prim.Sigmoid, prim.Erf,
	} {
		k.unary[c] = portable1(func(a float32) float32 { return float32(c.Float(float64(a), 0, 0)) })
	}
	k.binary = map[prim.Code]op2{
		prim.Add: portable2(func(a, b float32) float32 { return a + b }),
		prim.Sub: portable2(func(a, b float32) float32 { return a - b }),
		prim.Mul: portable2(func(a, b float32) float32 { return a * b }),
		prim.Div: portable2(func(a, b float32) float32 { return a / b }),
		prim.Max: portable2(func(a, b float32) float32 { return max(a, b) }),
		prim.Min: portable2(func(a, b float32) float32 { return min(a, b) }),
		prim.Lt:  portable2(func(a, b float32) float32 { return truth(a < b) }),
		prim.Le:  portable2(func(a, b float32) float32 { return truth(a <= b) }),
		prim.Eq:  portable2(func(a, b float32) float32 { return truth(a == b) }),
		prim.Ne:  portable2(func(a, b float32) float32 { return truth(a != b) }),
		prim.And: portable2(func(a, b float32) float32 { return truth(a != 0 && b != 0) }),
		prim.Or:  portable2(func(a, b float32) float32 { return truth(a != 0 || b != 0) }),
		prim.Xor: portable2(func(a, b float32) float32 { return truth((a != 0) != (b != 0)) }),
	}
	fma := func(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
	k.fma = portable3(fma)
	k.fms = portable3(func(a, b, c float32) float32 { return fma(a, b, -c) })
	k.fnma = portable3(func(a, b, c float32) float32 { return fma(-a, b, c) })
	k.gate = portable3(func(a, b, c float32) float32 {
		if a < b {
			return c
		}
		return 0
	})
	k.sel = portable3(func(a, b, c float32) float32 {
		if a != 0 {
			return b
		}
		return c
	})
	k.sum = func(n int, a *float32) float32 {
		var s [8]float32
		for i, x := range slice(a, n) {
			s[i&7] += x
		}
		return (s[0] + s[4]) + (s[2] + s[6]) + ((s[1] + s[5]) + (s[3] + s[7]))
	}
	k.dot = func(n int, a, b *float32) float32 {
		var s [8]float32
		y := slice(b, n)
		for i, x := range slice(a, n) {
			s[i&7] += x * y[i]
		}
		return (s[0] + s[4]) + (s[2] + s[6]) + ((s[1] + s[5]) + (s[3] + s[7]))
	}
	k.max = func(n int, a *float32) float32 {
		m := float32(math.Inf(-1))
		for _, x := range slice(a, n) {
			m = max(m, x)
		}
		return m
	}
	k.min = func(n int, a *float32) float32 {
		m := float32(math.Inf(1))
		for _, x := range slice(a, n) {
			m = min(m, x)
		}
		return m
	}
	k.interleave, k.deinterleave = portableInterleave, portableDeinterleave
	k.depthwise = portableDepthwise
	for _, taps := range []int{1, 3, 5, 9} {
		k.depthwiseGrad[taps] = func(v int, offs *int64, g, x *float32, at *int64, out *float32) {
			portableDepthwiseGrad(taps, v, offs, g, x, at, out)
		}
	}
	k.fromF16, k.fromBF16 = portableWiden(half.FromFloat16), portableWiden(half.FromBFloat16)
	k.toF16, k.toBF16 = portableNarrow(half.Float16), portableNarrow(half.BFloat16)
	for nv := 1; nv <= 2; nv++ {
		k.copyRows[nv] = func(rows int, dst *float32, dstride int, src *float32, sstride int) {
			for r := range rows {
				copy(slice(after(dst, r*dstride), 8*nv), slice(after(src, r*sstride), 8*nv))
			}
		}
	}
	k.transpose8 = func(blocks int, dst *float32, dstride int, src *float32, sstride int) {
		for i := range 8 {
			for j, v := range slice(after(src, i*sstride), 8*blocks) {
				*after(dst, j*dstride+4*i) = v
			}
		}
	}
	k.fetch = func(int, *float32) {}
	k.toLanes, k.fromLanes = portableToLanes, portableFromLanes
	k.panelProducts, k.winograd = portablePanelProducts, portableWinograd()
	return k
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// lane returns the index of element i of an operand with step s.
func lane(i, s int) int { return i>>3*(s>>2) + i&7 }

func extent(n, s int) int { return lane(n-1, s)&^7 + 8 }

func portable1(f func(a float32) float32) op1 {
	return func(n int, dst, a *float32, sa int) {
		if n == 0 {
			return
		}
		x := slice(a, extent(n, sa))
		for i := range slice(dst, n) {
			slice(dst, n)[i] = f(x[lane(i, sa)])
		}
	}
}

func portable2(f func(a, b float32) float32) op2 {
	return func(n int, dst, a, b *float32, sa, sb int) {
		if n == 0 {
			return
		}
		x, y, d := slice(a, extent(n, sa)), slice(b, extent(n, sb)), slice(dst, n)
		for i := range d {
			d[i] = f(x[lane(i, sa)], y[lane(i, sb)])
		}
	}
}

func portable3(f func(a, b, c float32) float32) op3 {
	return func(n int, dst, a, b, c *float32, sa, sb, sc int) {
		if n == 0 {
			return
		}
		x, y, z, d := slice(a, extent(n, sa)), slice(b, extent(n, sb)), slice(c, extent(n, sc)), slice(dst, n)
		for i := range d {
			d[i] = f(x[lane(i, sa)], y[lane(i, sb)], z[lane(i, sc)])
		}
	}
}

func portableGemm(mr, n int, a *float32, ra, ka int, b *float32, kb int, c *float32, ldc int, acc bool) {
	var sum [6][16]float32
	for k := range n {
		row := (*[16]float32)(unsafe.Pointer(after(b, k*kb)))
		for i := range mr {
			s, v := &sum[i], *after(a, i*ra+k*ka)
			for j := range row {
				s[j] += v * row[j]
			}
		}
	}
	for i := range mr {
		z := slice(after(c, 4*i*ldc), 16)
		for j := range z {
			if acc {
				z[j] += sum[i][j]
			} else {
				z[j] = sum[i][j]
			}
		}
	}
}

func portableConv(nv, n int, offs *int64, a *float32, p, o *[3]*float32, ostride, blocks int) {
	off := unsafe.Slice(offs, n)
	w := slice(a, 4*n*blocks)
	for m := range blocks {
		for j := range nv {
			var sum [4][8]float32
			for k, d := range off {
				x := (*[8]float32)(unsafe.Pointer(after(p[j], int(d))))
				for i, v := range w[4*(m*n+k) : 4*(m*n+k)+4] {
					s := &sum[i]
					for t := range s {
						s[t] += v * x[t]
					}
				}
			}
			for i := range 4 {
				copy(slice(after(o[j], (4*m+i)*ostride), 8), sum[i][:])
			}
		}
	}
}

func portableWgrad(v int, offs *int64, g *float32, gstride int, x *float32, taps *int64, groups int, out *float32) {
	at, sums := unsafe.Slice(taps, 3*groups), slice(out, 12*groups)
	for i := range 4 {
		row := slice(after(g, i*gstride), 8*v)
		for q, t := range at {
			var s [8]float32
			for k, d := range unsafe.Slice(offs, v) {
				in := (*[8]float32)(unsafe.Pointer(after(x, int(d+t))))
				for j := range s {
					s[j] += row[8*k+j] * in[j]
				}
			}
			sums[q/3*12+3*i+q%3] += (s[0] + s[4]) + (s[2] + s[6]) + ((s[1] + s[5]) + (s[3] + s[7]))
		}
	}
}

func portableDepthwise(k int, offs *int64, w, x, o *float32, rows, xstride, ostride, cols int) {
	wt, off := slice(w, k), unsafe.Slice(offs, k)
	for y := range rows {
		row := slice(after(o, y*ostride), cols)
		clear(row)
		for t, v := range wt {
			in := slice(after(x, y*xstride+int(off[t])), cols)
			for c, u := range in {
				row[c] += v * u
			}
		}
	}
}

func portableDepthwiseGrad(n, v int, offs *int64, g, x *float32, taps *int64, out *float32) {
	grad, sums := slice(g, 8*v), slice(out, n)
	for k, t := range unsafe.Slice(taps, n) {
		sums[k] = 0
		for i, d := range unsafe.Slice(offs, v) {
			in := (*[8]float32)(unsafe.Pointer(after(x, int(d+t))))
			for j, u := range grad[8*i : 8*i+8] {
				sums[k] += u * in[j]
			}
		}
	}
}

func portablePadRows(rows int, dst *float32, dstride int, src *float32, sstride, n, lo int) {
	for r := range rows {
		d := slice(after(dst, r*dstride), lo+n+8)
		clear(d[:lo])
		copy(d[lo:], slice(after(src, r*sstride), n))
		clear(d[lo+n:])
	}
}
