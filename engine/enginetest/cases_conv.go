package enginetest

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// window draws a geometry, and input sizes with at least one output.
func window(r *rng.Stream, spatial, maxKernel int) (w prim.Window, in, kernel, out []int) {
	kernel = sizes(r, spatial, 1, maxKernel)
	w = prim.Window{Strides: sizes(r, spatial, 1, 3), Dilations: sizes(r, spatial, 1, 2), PadLo: sizes(r, spatial, 0, 2), PadHi: sizes(r, spatial, 0, 2)}
	for i, k := range kernel {
		n := max(1, w.Dilations[i]*(k-1)+1-w.PadLo[i]-w.PadHi[i]) + r.IntN(5)
		in = append(in, n)
		out = append(out, w.OutSize(i, n, k))
	}
	return w, in, kernel, out
}

// convolution returns the three primitives on one geometry.
func convolution(r *rng.Stream, label string, w prim.Window, n, groups, cg, mg int, in, kernel, out []int) []Case {
	c := prim.Conv{Window: w, Groups: groups}
	x := append([]int{n, groups * cg}, in...)
	k := append([]int{groups * mg, cg}, kernel...)
	g := append([]int{n, groups * mg}, out...)
	taps := prim.Prod(kernel)
	return []Case{
		{Name: "conv/" + label, In: []*prim.Tensor{normal(r, x...), normal(r, k...)}, Make: apply(c), Smooth: true, Terms: cg * taps},
		{Name: "conv_input_grad/" + label, In: []*prim.Tensor{normal(r, g...), normal(r, k...)}, Make: apply(prim.ConvInputGrad{Conv: c, In: in}), Smooth: true, Terms: mg * taps},
		{Name: "conv_weight_grad/" + label, In: []*prim.Tensor{normal(r, x...), normal(r, g...)}, Make: apply(prim.ConvWeightGrad{Conv: c, Kernel: kernel}), Smooth: true, Terms: n * prim.Prod(out)},
	}
}

func convCases(r *rng.Stream) []Case {
	var cases []Case
	for i := range 24 {
		spatial := 1 + i%3
		w, in, kernel, out := window(r, spatial, 3)
		groups, cg, mg := between(r, 1, 3), between(r, 1, 3), between(r, 1, 3)
		if i%4 == 3 {
			groups, cg, mg = between(r, 2, 5), 1, 1
		}
		cases = append(cases, convolution(r, fmt.Sprintf("%dd_g%d", spatial, groups), w, between(r, 1, 3), groups, cg, mg, in, kernel, out)...)
	}
	square := func(label string, n, groups, cg, mg, size, kernel, stride, pad int) {
		w := prim.UnitWindow(pad, pad)
		w.Strides = []int{stride, stride}
		o := w.OutSize(0, size, kernel)
		for _, c := range convolution(r, label, w, n, groups, cg, mg, []int{size, size}, []int{kernel, kernel}, []int{o, o}) {
			c.Smooth = false
			cases = append(cases, c)
		}
	}
	square("3x3", 3, 1, 19, 33, 17, 3, 1, 1)
	square("3x3_stride2", 2, 1, 16, 32, 16, 3, 2, 1)
	square("1x1", 3, 1, 40, 24, 9, 1, 1, 0)
	square("1x1_stride2", 2, 1, 16, 32, 15, 1, 2, 0)
	square("7x7_stem", 2, 1, 3, 20, 35, 7, 2, 3)
	square("depthwise3", 2, 35, 1, 1, 18, 3, 1, 1)
	square("depthwise3_stride2", 2, 24, 1, 1, 19, 3, 2, 1)
	square("depthwise5", 2, 9, 1, 1, 33, 5, 1, 2)
	square("grouped", 2, 4, 8, 12, 11, 3, 1, 1)
	square("one_pixel", 5, 1, 64, 10, 1, 1, 1, 0)
	return cases
}

func poolCases(r *rng.Stream) []Case {
	var cases []Case
	for i := range 15 {
		spatial := 1 + i%3
		w, in, kernel, out := window(r, spatial, 3)
		p := prim.Pool{Window: w, Kernel: kernel}
		n, c := between(r, 1, 3), between(r, 1, 4)
		x, g := append([]int{n, c}, in...), append([]int{n, c}, out...)
		label := fmt.Sprintf("%dd", spatial)
		padOnly := overPadded(w, kernel)
		cases = append(cases,
			Case{Name: "maxpool/" + label, In: []*prim.Tensor{spread(r, x...)}, Make: apply(prim.MaxPool{Pool: p}), Smooth: !padOnly},
			Case{Name: "maxpool_ties/" + label, In: []*prim.Tensor{integers(r, 0, 2, x...).Cast(prim.F64)}, Make: apply(prim.MaxPool{Pool: p})},
			Case{Name: "maxpool_index/" + label, In: []*prim.Tensor{integers(r, 0, 3, x...).Cast(prim.F64)}, Make: apply(prim.MaxPoolIndex{Pool: p})},
			Case{Name: "maxpool_int/" + label, In: []*prim.Tensor{integers(r, -9, 9, x...)}, Make: apply(prim.MaxPool{Pool: p})},
			Case{Name: "maxpool_grad/" + label, In: []*prim.Tensor{spread(r, x...), normal(r, g...)}, Make: apply(prim.MaxPoolGrad{Pool: p}), Smooth: true, Terms: prim.Prod(kernel)},
			Case{Name: "maxpool_grad_ties/" + label, In: []*prim.Tensor{integers(r, 0, 2, x...).Cast(prim.F64), normal(r, g...)}, Make: apply(prim.MaxPoolGrad{Pool: p}), Terms: prim.Prod(kernel)},
			Case{Name: "sumpool/" + label, In: []*prim.Tensor{normal(r, x...)}, Make: apply(prim.SumPool{Pool: p}), Smooth: true, Terms: prim.Prod(kernel)},
			Case{Name: "sumpool_grad/" + label, In: []*prim.Tensor{normal(r, g...)}, Make: apply(prim.SumPoolGrad{Pool: p, In: in}), Smooth: true, Terms: prim.Prod(kernel)},
		)
	}
	return cases
}

// overPadded reports a geometry in which a window may hold padding only.
func overPadded(w prim.Window, kernel []int) bool {
	for i, k := range kernel {
		if span := w.Dilations[i]*(k-1) + 1; w.PadLo[i] >= span || w.PadHi[i] >= span || w.Dilations[i] > 1 {
			return true
		}
	}
	return false
}
