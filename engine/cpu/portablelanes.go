package cpu

import (
	"math"
	"unsafe"
)

func portableToLanes(rows int, dst *float32, drow int, src *float32, srow, splane, cols, lead, tail, ahead int) {
	blocks := (cols + 7) / 8
	for y := range rows {
		d := slice(after(dst, y*drow), 8*max(lead+8*blocks, lead+cols+tail))
		clear(d[:8*lead])
		for i := range 8 {
			for x, v := range slice(after(src, y*srow+i*splane), 8*blocks) {
				d[8*(lead+x)+i] = v
			}
		}
		clear(d[8*(lead+cols):][:8*tail])
	}
}

func portableFromLanes(rows int, dst *float32, drow, dplane int, src *float32, srow, blocks int) {
	for y := range rows {
		s := slice(after(src, y*srow), 64*blocks)
		for i := range 8 {
			d := slice(after(dst, y*drow+i*dplane), 8*blocks)
			for x := range d {
				d[x] = s[8*x+i]
			}
		}
	}
}

func portablePanelProducts(k, vectors, blocks int, a, x *float32, xrow int, o *float32, orow int) {
	w := slice(a, 4*k*blocks)
	for m := range 4 * blocks {
		to := slice(after(o, m*orow), 8*vectors)
		clear(to)
		for j := range k {
			f := w[4*(m/4*k+j)+m%4]
			for t, v := range slice(after(x, j*xrow), 8*vectors) {
				to[t] += f * v
			}
		}
	}
}

func portableInterleave(rows, n int, dst *float32, drow int, a *float32, arow int, b *float32, brow int) {
	for y := range rows {
		d, p, q := slice(after(dst, y*drow), 2*n), slice(after(a, y*arow), n), slice(after(b, y*brow), n)
		for i := range p {
			d[2*i], d[2*i+1] = p[i], q[i]
		}
	}
}

func portableDeinterleave(rows, evens, odds int, even, odd *float32, drow int, src *float32, srow int) {
	for y := range rows {
		from := slice(after(src, y*srow), max(2*evens-1, 2*odds))
		d := slice(after(even, y*drow), evens)
		for i := range d {
			d[i] = from[2*i]
		}
		if odds > 0 {
			d = slice(after(odd, y*drow), odds)
			for i := range d {
				d[i] = from[2*i+1]
			}
		}
	}
}

// portableWinograd returns the transforms of Winograd's F(4×4, 3×3) with the points
// 0, ±a, ±b and ∞, a² = 1/2 and b² = 2.
func portableWinograd() [winogradTransforms]tileTransform {
	const a, b, c = math.Sqrt2 / 2, math.Sqrt2, 1. / 6
	const d = -4 * c
	return [winogradTransforms]tileTransform{
		winogradInputs: portableTransform([][]float32{
			{1, 0, -2.5, 0, 1, 0},
			{0, -2 * a, -2, a, 1, 0}, {0, 2 * a, -2, -a, 1, 0},
			{0, -b / 2, -.5, b, 1, 0}, {0, b / 2, -.5, -b, 1, 0},
			{0, 1, 0, -2.5, 0, 1},
		}),
		winogradOutputs: portableTransform([][]float32{
			{1, 1, 1, 1, 1, 0}, {0, a, -a, b, -b, 0}, {0, .5, .5, 2, 2, 0}, {0, a / 2, -a / 2, 2 * b, -2 * b, 1},
		}),
		winogradGrads: portableTransform([][]float32{
			{1, 0, 0, 0}, {1, a, .5, a / 2}, {1, -a, .5, -a / 2}, {1, b, 2, 2 * b}, {1, -b, 2, -2 * b}, {0, 0, 0, 1},
		}),
		winogradWeight: portableTransform([][]float32{
			{1, 0, 0}, {d, d * a, d / 2}, {d, -d * a, d / 2}, {c, c * b, 2 * c}, {c, -c * b, 2 * c}, {0, 0, 1},
		}),
		winogradWeightGrads: portableTransform([][]float32{
			{1, d, d, c, c, 0}, {0, d * a, -d * a, c * b, -c * b, 0}, {0, d / 2, d / 2, 2 * c, 2 * c, 1},
		}),
	}
}

// portableTransform returns the transform by the matrix t.
func portableTransform(t [][]float32) tileTransform {
	size, inputs := len(t), len(t[0])
	type vector = [8]float32
	return func(n int, dst *float32, drow, dcol, dstep int, src *float32, srow, scol, sstep int) {
		for tile := range n {
			var half [6][6]vector
			for i := range size {
				for j := range inputs {
					for k, w := range t[i] {
						if w == 0 {
							continue
						}
						x := (*vector)(unsafe.Pointer(after(src, tile*sstep+k*srow+j*scol)))
						for l, v := range x {
							half[i][j][l] += w * v
						}
					}
				}
			}
			for i := range size {
				for j := range size {
					var y vector
					for k, w := range t[j] {
						for l, v := range half[i][k] {
							y[l] += w * v
						}
					}
					*(*vector)(unsafe.Pointer(after(dst, tile*dstep+i*drow+j*dcol))) = y
				}
			}
		}
	}
}
