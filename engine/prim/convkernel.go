package prim

// UnitWindow returns strides and dilations of 1 with the given symmetric pads,
// one per spatial axis.
func UnitWindow(pads ...int) Window {
	var w Window
	for _, p := range pads {
		w.Strides = append(w.Strides, 1)
		w.Dilations = append(w.Dilations, 1)
		w.PadLo = append(w.PadLo, p)
		w.PadHi = append(w.PadHi, p)
	}
	return w
}

// run is a row of outputs that one kernel tap reads: out+j reads in+j·stride of
// the last axis, for j < n. Positions are within one plane.
type run struct{ in, out, n int }

// runs lists, for every tap of the kernel in row-major order, the rows of output
// positions whose input position is not padding.
func (w Window) runs(in, kernel, out []int) [][]run {
	last := len(in) - 1
	is, os := strides(in), strides(out)
	taps := make([][]run, Prod(kernel))
	tap, row := make([]int, len(in)), make([]int, last)
	for t := range taps {
		unravel(tap, kernel, t)
		shift := tap[last]*w.Dilations[last] - w.PadLo[last]
		s := w.Strides[last]
		lo := 0
		if shift < 0 {
			lo = (-shift + s - 1) / s
		}
		hi := out[last]
		if room := in[last] - 1 - shift; room < 0 {
			hi = 0
		} else {
			hi = min(hi, room/s+1)
		}
		if lo >= hi {
			continue
		}
		clear(row)
	rows:
		for range Prod(out[:last]) {
			r := run{in: shift + lo*s, out: lo, n: hi - lo}
			inside := true
			for a, o := range row {
				i := o*w.Strides[a] + tap[a]*w.Dilations[a] - w.PadLo[a]
				if i < 0 || i >= in[a] {
					inside = false
					break
				}
				r.in += i * is[a]
				r.out += o * os[a]
			}
			advance(row, out[:last])
			if !inside {
				continue rows
			}
			taps[t] = append(taps[t], r)
		}
	}
	return taps
}

// geometry is what the three kernels of a convolution share.
type geometry struct {
	n, c, m, cg, mg  int // batch, channels, filters; per group
	plane, outPlane  int
	taps, lastStride int
	runs             [][]run
}

// geometry takes the shapes of input, kernel and result.
func (c Conv) geometry(x, w, g []int) geometry {
	return geometry{
		n: x[0], c: x[1], m: w[0], cg: w[1], mg: w[0] / c.Groups,
		plane: Prod(x[2:]), outPlane: Prod(g[2:]),
		taps: Prod(w[2:]), lastStride: c.Strides[len(c.Strides)-1],
		runs: c.Window.runs(x[2:], w[2:], g[2:]),
	}
}

// Eval computes the cross-correlation tap by tap.
func (c Conv) Eval(in []*Tensor, out Type) (*Tensor, error) {
	x, w, r := in[0].F64, in[1].F64, NewTensor(Storage(out))
	k := c.geometry(in[0].Shape, in[1].Shape, out.Shape)
	parallel(k.n*k.m, func(i int) {
		n, m := i/k.m, i%k.m
		y := r.F64[i*k.outPlane:][:k.outPlane]
		for cg := range k.cg {
			xp := x[(n*k.c+m/k.mg*k.cg+cg)*k.plane:][:k.plane]
			for t, rows := range k.runs {
				v := w[(m*k.cg+cg)*k.taps+t]
				for _, row := range rows {
					yr := y[row.out:][:row.n]
					for j := range yr {
						yr[j] += v * xp[row.in+j*k.lastStride]
					}
				}
			}
		}
	})
	return r, nil
}

// VJP is ConvInputGrad and ConvWeightGrad.
func (c Conv) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x, w := b.Shape(in[0]), b.Shape(in[1])
	return []ID{
		b.Add(ConvInputGrad{Conv: c, In: x[2:]}, grad, in[1]),
		b.Add(ConvWeightGrad{Conv: c, Kernel: w[2:]}, in[0], grad),
	}, b.err
}

// Eval spreads every gradient over the inputs that it read.
func (c ConvInputGrad) Eval(in []*Tensor, out Type) (*Tensor, error) {
	g, w, r := in[0].F64, in[1].F64, NewTensor(Storage(out))
	k := c.Conv.geometry(out.Shape, in[1].Shape, in[0].Shape)
	parallel(k.n*k.c, func(i int) {
		n, ch := i/k.c, i%k.c
		xp := r.F64[i*k.plane:][:k.plane]
		for mg := range k.mg {
			m := ch/k.cg*k.mg + mg
			gp := g[(n*k.m+m)*k.outPlane:][:k.outPlane]
			for t, rows := range k.runs {
				v := w[(m*k.cg+ch%k.cg)*k.taps+t]
				for _, row := range rows {
					for j, gv := range gp[row.out:][:row.n] {
						xp[row.in+j*k.lastStride] += v * gv
					}
				}
			}
		}
	})
	return r, nil
}

// VJP is Conv in the gradient operand and ConvWeightGrad in the kernel.
func (c ConvInputGrad) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	w := b.Shape(in[1])
	return []ID{
		b.Add(c.Conv, grad, in[1]),
		b.Add(ConvWeightGrad{Conv: c.Conv, Kernel: w[2:]}, grad, in[0]),
	}, b.err
}

// Eval correlates inputs and gradients tap by tap.
func (c ConvWeightGrad) Eval(in []*Tensor, out Type) (*Tensor, error) {
	x, g, r := in[0].F64, in[1].F64, NewTensor(Storage(out))
	k := c.Conv.geometry(in[0].Shape, out.Shape, in[1].Shape)
	parallel(k.m*k.cg, func(i int) {
		m, cg := i/k.cg, i%k.cg
		for n := range k.n {
			xp := x[(n*k.c+m/k.mg*k.cg+cg)*k.plane:][:k.plane]
			gp := g[(n*k.m+m)*k.outPlane:][:k.outPlane]
			for t, rows := range k.runs {
				acc := 0.0
				for _, row := range rows {
					for j, gv := range gp[row.out:][:row.n] {
						acc += gv * xp[row.in+j*k.lastStride]
					}
				}
				r.F64[i*k.taps+t] += acc
			}
		}
	})
	return r, nil
}

// VJP is ConvInputGrad in the input and Conv in the gradient operand.
func (c ConvWeightGrad) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x := b.Shape(in[0])
	return []ID{
		b.Add(ConvInputGrad{Conv: c.Conv, In: x[2:]}, in[1], grad),
		b.Add(c.Conv, in[0], grad),
	}, b.err
}
