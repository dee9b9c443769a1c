package hloeval

import (
	"slices"
	"strconv"
	"strings"
)

func dotGeneral(o *op, in []*Tensor) *Tensor {
	x, y := in[0], in[1]
	r := o.record("dot_dimension_numbers", "dot")
	o.precision()
	xb, yb := o.axesOf(r, "lhs_batching_dimensions"), o.axesOf(r, "rhs_batching_dimensions")
	xc, yc := o.axesOf(r, "lhs_contracting_dimensions"), o.axesOf(r, "rhs_contracting_dimensions")
	if len(r) != 4 || x.Elem != y.Elem || len(xb) != len(yb) || len(xc) != len(yc) {
		fail("dot_general: got %v and %v with %v", x.Type, y.Type, r)
	}
	xf, yf := free(x, xb, xc), free(y, yb, yc)
	xs, ys := strides(x.Shape), strides(y.Shape)
	var shape, depth, xo, yo, xk, yk []int
	for i, a := range xb {
		if x.Shape[a] != y.Shape[yb[i]] {
			fail("dot_general: batch sizes of %v and %v differ", x.Shape, y.Shape)
		}
		shape, xo, yo = append(shape, x.Shape[a]), append(xo, xs[a]), append(yo, ys[yb[i]])
	}
	for _, a := range xf {
		shape, xo, yo = append(shape, x.Shape[a]), append(xo, xs[a]), append(yo, 0)
	}
	for _, a := range yf {
		shape, xo, yo = append(shape, y.Shape[a]), append(xo, 0), append(yo, ys[a])
	}
	for i, a := range xc {
		if x.Shape[a] != y.Shape[yc[i]] {
			fail("dot_general: contracted sizes of %v and %v differ", x.Shape, y.Shape)
		}
		depth, xk, yk = append(depth, x.Shape[a]), append(xk, xs[a]), append(yk, ys[yc[i]])
	}
	var xAt, yAt []int
	each(depth, func(_ int, k []int) { xAt, yAt = append(xAt, dot(k, xk)), append(yAt, dot(k, yk)) })
	out := New(Type{o.out.Elem, shape})
	each(shape, func(at int, index []int) {
		i, j := dot(index, xo), dot(index, yo)
		if !x.Float() {
			sum := int64(0)
			for k := range xAt {
				sum += x.I[i+xAt[k]] * y.I[j+yAt[k]]
			}
			out.setI(at, sum)
			return
		}
		sum := 0.0
		for k := range xAt {
			sum += x.F[i+xAt[k]] * y.F[j+yAt[k]]
		}
		out.setF(at, sum)
	})
	return out
}

// free lists the axes that are neither batch nor contracted.
func free(x *Tensor, batch, contract []int) []int {
	var out []int
	used := append(slices.Clone(batch), contract...)
	for i, a := range used {
		if a < 0 || a >= len(x.Shape) || slices.Contains(used[:i], a) {
			fail("dot_general: want different axes of %v, got %v", x.Shape, used)
		}
	}
	for a := range x.Shape {
		if !slices.Contains(used, a) {
			out = append(out, a)
		}
	}
	return out
}

// layoutOf finds the two named axes and the spatial ones of an operand of a convolution.
func layoutOf(text, first, second string, rank int) (a, b int, spatial []int) {
	names := strings.Split(strings.Trim(text, "[]"), ", ")
	if len(names) != rank {
		fail("convolution: dimension_numbers: want %d axes, got %q", rank, text)
	}
	find := func(n string) int {
		i := slices.Index(names, n)
		if i < 0 {
			fail("convolution: dimension_numbers: no %q in %q", n, text)
		}
		return i
	}
	for k := range rank - 2 {
		spatial = append(spatial, find(strconv.Itoa(k)))
	}
	return find(first), find(second), spatial
}

func convolution(o *op, in []*Tensor) *Tensor {
	x, w := in[0], in[1]
	rank := len(x.Shape)
	n := rank - 2
	body, ok := strings.CutPrefix(o.attrs["dimension_numbers"], "#stablehlo.conv<")
	left, output, ok2 := strings.Cut(strings.TrimSuffix(body, ">"), "->")
	input, kernel, ok3 := strings.Cut(left, "]x[")
	if !ok || !ok2 || !ok3 || x.Elem != w.Elem || len(w.Shape) != rank || !x.Float() {
		fail("convolution: got %v and %v with %s", x.Type, w.Type, o.attrs["dimension_numbers"])
	}
	o.precision()
	b, f, xs := layoutOf(input, "b", "f", rank)
	oc, ic, ws := layoutOf(kernel, "o", "i", rank)
	ob, of, os := layoutOf(output, "b", "f", rank)
	stride, lhs, rhs := o.perAxis("window_strides", n), o.perAxis("lhs_dilation", n), o.perAxis("rhs_dilation", n)
	lo, hi := o.padding("padding", n)
	fg, bg := o.integer("feature_group_count"), o.integer("batch_group_count")
	if o.attrs["window_reversal"] != "array<i1: "+strings.Join(slices.Repeat([]string{"false"}, n), ", ")+">" {
		fail("convolution: window_reversal: got %s", o.attrs["window_reversal"])
	}
	features, inputs := w.Shape[oc], w.Shape[ic]
	if fg < 1 || bg < 1 || (fg > 1 && bg > 1) || x.Shape[f] != inputs*fg || x.Shape[b]%bg != 0 || features%fg != 0 || features%bg != 0 {
		fail("convolution: %d feature and %d batch groups of %v and %v", fg, bg, x.Shape, w.Shape)
	}
	shape := make([]int, rank)
	shape[ob], shape[of] = x.Shape[b]/bg, features
	positions, taps := make([]int, n), make([]int, n)
	for i := range n {
		dilated := 0
		if x.Shape[xs[i]] > 0 {
			dilated = (x.Shape[xs[i]]-1)*lhs[i] + 1
		}
		window := (w.Shape[ws[i]]-1)*rhs[i] + 1
		span := lo[i] + dilated + hi[i]
		if span >= window && stride[i] > 0 {
			positions[i] = (span-window)/stride[i] + 1
		}
		shape[os[i]], taps[i] = positions[i], w.Shape[ws[i]]
	}
	out := New(Type{o.out.Elem, shape})
	xStride, wStride, oStride := strides(x.Shape), strides(w.Shape), strides(shape)
	each(positions, func(_ int, p []int) {
		var xAt, wAt []int
		each(taps, func(_ int, k []int) {
			i, j := 0, 0
			for a := range n {
				at := p[a]*stride[a] + k[a]*rhs[a] - lo[a]
				if at < 0 || at%lhs[a] != 0 || at/lhs[a] >= x.Shape[xs[a]] {
					return
				}
				i += at / lhs[a] * xStride[xs[a]]
				j += k[a] * wStride[ws[a]]
			}
			xAt, wAt = append(xAt, i), append(wAt, j)
		})
		at := 0
		for a := range n {
			at += p[a] * oStride[os[a]]
		}
		for img := range shape[ob] {
			for ch := range features {
				xi := (ch/(features/bg)*shape[ob]+img)*xStride[b] + ch/(features/fg)*inputs*xStride[f]
				wi := ch * wStride[oc]
				sum := 0.0
				for range inputs {
					for t := range xAt {
						sum += x.F[xi+xAt[t]] * w.F[wi+wAt[t]]
					}
					xi += xStride[f]
					wi += wStride[ic]
				}
				out.setF(at+img*oStride[ob]+ch*oStride[of], sum)
			}
		}
	})
	return out
}
