package hloeval

import (
	"slices"
	"strings"
)

func constant(o *op, _ []*Tensor) *Tensor {
	t, err := dense(o.attrs["value"])
	if err != nil {
		fail("constant: %v", err)
	}
	return t
}

// spread changes where a value lies, and not the value.
func spread(o *op, in []*Tensor) *Tensor {
	axes, ok := strings.CutPrefix(o.attrs["sharding"], "#sdy.sharding<@mesh, [")
	if !ok || !strings.HasSuffix(axes, "]>") || strings.Count(axes, "{") != len(in[0].Shape) {
		fail("sharding_constraint: want an entry for each axis of %v, got %s", in[0].Shape, o.attrs["sharding"])
	}
	return in[0]
}

func iota(o *op, _ []*Tensor) *Tensor {
	out, axis := New(o.out), o.integer("iota_dimension")
	if axis < 0 || axis >= len(out.Shape) {
		fail("iota: dimension %d of %v", axis, out.Shape)
	}
	each(out.Shape, func(at int, index []int) {
		if out.Float() {
			out.setF(at, float64(index[axis]))
		} else {
			out.setI(at, int64(index[axis]))
		}
	})
	return out
}

func broadcast(o *op, in []*Tensor) *Tensor {
	x := in[0]
	dims := o.perAxis("broadcast_dimensions", len(x.Shape))
	out := New(Type{x.Elem, o.out.Shape})
	from := strides(x.Shape)
	seen := map[int]bool{}
	for i, d := range dims {
		if d < 0 || d >= len(out.Shape) || seen[d] || (x.Shape[i] != 1 && x.Shape[i] != out.Shape[d]) {
			fail("broadcast_in_dim: %v by %v to %v", x.Shape, dims, out.Shape)
		}
		seen[d] = true
		if x.Shape[i] == 1 {
			from[i] = 0
		}
	}
	each(out.Shape, func(at int, index []int) {
		j := 0
		for i, d := range dims {
			j += index[d] * from[i]
		}
		out.copyFrom(at, x, j)
	})
	return out
}

func reshape(o *op, in []*Tensor) *Tensor {
	x := in[0]
	if x.Len() != o.out.Len() {
		fail("reshape: %v to %v", x.Shape, o.out.Shape)
	}
	return &Tensor{Type{x.Elem, o.out.Shape}, slices.Clone(x.F), slices.Clone(x.I)}
}

func transpose(o *op, in []*Tensor) *Tensor {
	x := in[0]
	perm := o.perAxis("permutation", len(x.Shape))
	sorted := slices.Clone(perm)
	slices.Sort(sorted)
	shape, from := make([]int, len(perm)), make([]int, len(perm))
	s := strides(x.Shape)
	for i, p := range perm {
		if sorted[i] != i {
			fail("transpose: want a permutation, got %v", perm)
		}
		shape[i], from[i] = x.Shape[p], s[p]
	}
	out := New(Type{x.Elem, shape})
	each(shape, func(at int, index []int) { out.copyFrom(at, x, dot(index, from)) })
	return out
}

func slice(o *op, in []*Tensor) *Tensor {
	x := in[0]
	rank := len(x.Shape)
	start, limit, step := o.perAxis("start_indices", rank), o.perAxis("limit_indices", rank), o.perAxis("strides", rank)
	shape := make([]int, rank)
	for i, n := range x.Shape {
		if start[i] < 0 || start[i] > limit[i] || limit[i] > n || step[i] < 1 {
			fail("slice: axis %d of size %d: %d to %d by %d", i, n, start[i], limit[i], step[i])
		}
		shape[i] = (limit[i] - start[i] + step[i] - 1) / step[i]
	}
	out := New(Type{x.Elem, shape})
	from := strides(x.Shape)
	each(shape, func(at int, index []int) {
		j := 0
		for a, i := range index {
			j += (start[a] + i*step[a]) * from[a]
		}
		out.copyFrom(at, x, j)
	})
	return out
}

func pad(o *op, in []*Tensor) *Tensor {
	x, value := in[0], in[1]
	rank := len(x.Shape)
	lo, hi, interior := o.perAxis("edge_padding_low", rank), o.perAxis("edge_padding_high", rank), o.perAxis("interior_padding", rank)
	if value.Elem != x.Elem || len(value.Shape) != 0 {
		fail("pad: want a scalar %s, got %v", x.Elem, value.Type)
	}
	shape := make([]int, rank)
	for i, n := range x.Shape {
		shape[i] = lo[i] + n + max(n-1, 0)*interior[i] + hi[i]
		if interior[i] < 0 || shape[i] < 0 {
			fail("pad: axis %d: got %d, %d, %d", i, lo[i], hi[i], interior[i])
		}
	}
	out := New(Type{x.Elem, shape})
	for i := range out.Len() {
		out.copyFrom(i, value, 0)
	}
	to := strides(shape)
	each(x.Shape, func(at int, index []int) {
		j := 0
		for a, i := range index {
			k := lo[a] + i*(interior[a]+1)
			if k < 0 || k >= shape[a] {
				return
			}
			j += k * to[a]
		}
		out.copyFrom(j, x, at)
	})
	return out
}

func concatenate(o *op, in []*Tensor) *Tensor {
	axis := o.integer("dimension")
	shape := slices.Clone(in[0].Shape)
	if axis < 0 || axis >= len(shape) {
		fail("concatenate: dimension %d of %v", axis, shape)
	}
	for _, x := range in[1:] {
		for i, n := range x.Shape {
			if x.Elem != in[0].Elem || len(x.Shape) != len(shape) || (i != axis && n != shape[i]) {
				fail("concatenate: got %v and %v", in[0].Type, x.Type)
			}
		}
		shape[axis] += x.Shape[axis]
	}
	out := New(Type{in[0].Elem, shape})
	to := strides(shape)
	offset := 0
	for _, x := range in {
		each(x.Shape, func(at int, index []int) { out.copyFrom(dot(index, to)+offset*to[axis], x, at) })
		offset += x.Shape[axis]
	}
	return out
}

func reverse(o *op, in []*Tensor) *Tensor {
	x := in[0]
	axes := o.array("dimensions")
	for i, a := range axes {
		if a < 0 || a >= len(x.Shape) || slices.Contains(axes[:i], a) {
			fail("reverse: want different axes of %v, got %v", x.Shape, axes)
		}
	}
	out := New(x.Type)
	from := strides(x.Shape)
	each(x.Shape, func(at int, index []int) {
		j := 0
		for a, i := range index {
			if slices.Contains(axes, a) {
				i = x.Shape[a] - 1 - i
			}
			j += i * from[a]
		}
		out.copyFrom(at, x, j)
	})
	return out
}
