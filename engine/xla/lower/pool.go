package lower

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// window extends a pool's geometry by the two axes that it leaves alone.
func window(p prim.Pool) hlo.Window {
	return hlo.Window{
		Size: append(ones(2), p.Kernel...), Strides: append(ones(2), p.Strides...), Dilations: append(ones(2), p.Dilations...),
		PadLo: append([]int{0, 0}, p.PadLo...), PadHi: append([]int{0, 0}, p.PadHi...),
	}
}

func (l *lowerer) maxPool(p prim.Pool, x hlo.Value, out []int) hlo.Value {
	return l.ReduceWindow("maximum", x, l.literal(x.Type.Elem, math.Inf(-1)), window(p), out)
}

func (l *lowerer) sumPool(p prim.Pool, x hlo.Value, out []int) hlo.Value {
	return l.ReduceWindow("add", x, l.literal(x.Type.Elem, 0), window(p), out)
}

// sumPoolGrad sums, per input, the gradients of the windows that hold it.
func (l *lowerer) sumPoolGrad(p prim.SumPoolGrad, g hlo.Value, out []int) hlo.Value {
	w := window(p.Pool)
	rank := len(out)
	lo, hi, interior := make([]int, rank), make([]int, rank), make([]int, rank)
	for i := 2; i < rank; i++ {
		reach := w.Dilations[i] * (w.Size[i] - 1)
		lo[i] = reach - w.PadLo[i]
		hi[i] = out[i] - ((g.Type.Shape[i]-1)*w.Strides[i] + 1) - lo[i] + reach
		interior[i] = w.Strides[i] - 1
	}
	zero := l.literal(g.Type.Elem, 0)
	w.Strides, w.PadLo, w.PadHi = ones(rank), make([]int, rank), make([]int, rank)
	return l.ReduceWindow("add", l.Pad(g, zero, lo, hi, interior), zero, w, out)
}

// tap is one element of a pooling window.
type tap struct {
	offset []int     // within the window, dilated, per spatial axis
	at     hlo.Value // I32 [1, 1, O…]: the position that it reads in the plane, -1 for padding
}

// taps lists the elements of a window in row-major order.
func (l *lowerer) taps(p prim.Pool, in, out []int) []tap {
	plane, positions := in[2:], out[2:]
	var list []tap
	index := make([]int, len(plane))
	for range prim.Prod(p.Kernel) {
		t := tap{offset: make([]int, len(plane))}
		for a := range plane {
			t.offset[a] = index[a] * p.Dilations[a]
		}
		at := make([]int64, prim.Prod(positions))
		o := make([]int, len(plane))
		for k := range at {
			flat := 0
			for a := range plane {
				i := o[a]*p.Strides[a] + t.offset[a] - p.PadLo[a]
				if i < 0 || i >= plane[a] {
					flat = -1
					break
				}
				flat = flat*plane[a] + i
			}
			at[k] = int64(flat)
			step(o, positions)
		}
		t.at = l.Ints(hlo.Type{Elem: hlo.I32, Shape: append(ones(2), positions...)}, at)
		list = append(list, t)
		step(index, p.Kernel)
	}
	return list
}

// step advances a row-major index over shape.
func step(index, shape []int) {
	for a := len(index) - 1; a >= 0; a-- {
		if index[a]++; index[a] < shape[a] {
			return
		}
		index[a] = 0
	}
}

// maxIndex gives, as I32, the plane position of the first maximum of every window,
// -1 where it is all padding; a NaN counts as maximum.
func (l *lowerer) maxIndex(p prim.Pool, x hlo.Value, out []int) hlo.Value {
	rank := len(out)
	lo, hi := make([]int, rank), make([]int, rank)
	for a := range p.Kernel {
		// The padded size holds exactly the windows that there are.
		need := (out[a+2]-1)*p.Strides[a] + p.Dilations[a]*(p.Kernel[a]-1) + 1
		lo[a+2], hi[a+2] = p.PadLo[a], need-x.Type.Shape[a+2]-p.PadLo[a]
	}
	padded := l.Pad(x, l.literal(x.Type.Elem, 0), lo, hi, make([]int, rank))
	steps := append(ones(2), p.Strides...)
	var best, at hlo.Value
	for _, t := range l.taps(p, x.Type.Shape, out) {
		v := l.Slice(padded, append([]int{0, 0}, t.offset...), out, steps)
		i := l.spread(t.at, out)
		if !at.Valid() {
			best, at = v, i
			continue
		}
		none := l.full(i.Type, 0)
		more := l.Compare("GT", v, best)
		if x.Type.Elem.Float() {
			more = l.Binary("or", more, l.Binary("and", l.Compare("NE", v, v), l.Compare("EQ", best, best)))
		}
		take := l.Binary("and", l.Compare("GE", i, none), l.Binary("or", l.Compare("LT", at, none), more))
		best, at = l.Select(take, v, best), l.Select(take, i, at)
	}
	return at
}

// maxPoolGrad brings every gradient to the first maximum of its window: per tap, the
// gradients of the windows whose maximum it is are spread to the tap's inputs. The
// sum runs over taps in order, so that equal runs give equal bits.
func (l *lowerer) maxPoolGrad(p prim.Pool, x, g hlo.Value) hlo.Value {
	in, out := x.Type.Shape, g.Type.Shape
	at := l.maxIndex(p, x, out)
	zero := l.literal(g.Type.Elem, 0)
	rank := len(out)
	var sum hlo.Value
	for _, t := range l.taps(p, in, out) {
		own := l.Binary("and", l.Compare("EQ", at, l.spread(t.at, out)), l.Compare("GE", at, l.full(at.Type, 0)))
		v := l.Select(own, g, l.full(g.Type, 0))
		lo, hi, interior := make([]int, rank), make([]int, rank), make([]int, rank)
		for a := range p.Kernel {
			lo[a+2] = t.offset[a] - p.PadLo[a]
			interior[a+2] = p.Strides[a] - 1
			hi[a+2] = in[a+2] - ((out[a+2]-1)*p.Strides[a] + 1) - lo[a+2]
		}
		v = l.Pad(v, zero, lo, hi, slices.Clone(interior))
		if sum.Valid() {
			v = l.Binary("add", sum, v)
		}
		sum = v
	}
	return sum
}
