package hloeval

import "slices"

func reduce(o *op, in []*Tensor) *Tensor {
	x, init := in[0], in[1]
	axes := o.array("dimensions")
	if init.Elem != x.Elem || len(init.Shape) != 0 {
		fail("reduce: want a scalar %s, got %v", x.Elem, init.Type)
	}
	var shape []int
	for i, a := range axes {
		if a < 0 || a >= len(x.Shape) || slices.Contains(axes[:i], a) {
			fail("reduce: want different axes of %v, got %v", x.Shape, axes)
		}
	}
	for i, n := range x.Shape {
		if !slices.Contains(axes, i) {
			shape = append(shape, n)
		}
	}
	out := New(Type{x.Elem, shape})
	for i := range out.Len() {
		out.copyFrom(i, init, 0)
	}
	kept := strides(shape)
	to := make([]int, len(x.Shape))
	k := 0
	for i := range x.Shape {
		if !slices.Contains(axes, i) {
			to[i] = kept[k]
			k++
		}
	}
	fold := o.fold(x.Elem)
	each(x.Shape, func(at int, index []int) { fold(out, dot(index, to), x, at) })
	return rounded(out)
}

func reduceWindow(o *op, in []*Tensor) *Tensor {
	x, init := in[0], in[1]
	rank := len(x.Shape)
	size, stride := o.perAxis("window_dimensions", rank), o.perAxis("window_strides", rank)
	base, dilation := o.perAxis("base_dilations", rank), o.perAxis("window_dilations", rank)
	lo, hi := o.padding("padding", rank)
	if init.Elem != x.Elem || len(init.Shape) != 0 {
		fail("reduce_window: want a scalar %s, got %v", x.Elem, init.Type)
	}
	shape := make([]int, rank)
	for i, n := range x.Shape {
		if size[i] < 1 || stride[i] < 1 || base[i] < 1 || dilation[i] < 1 {
			fail("reduce_window: axis %d: want positive sizes", i)
		}
		span := lo[i] + max(0, (n-1)*base[i]+1) + hi[i]
		if window := (size[i]-1)*dilation[i] + 1; span >= window {
			shape[i] = (span-window)/stride[i] + 1
		}
	}
	out := New(Type{x.Elem, shape})
	from := strides(x.Shape)
	fold := o.fold(x.Elem)
	each(shape, func(at int, index []int) {
		out.copyFrom(at, init, 0)
		each(size, func(_ int, w []int) {
			j := 0
			for a := range rank {
				i := index[a]*stride[a] + w[a]*dilation[a] - lo[a]
				if i < 0 || i%base[a] != 0 || i/base[a] >= x.Shape[a] {
					fold(out, at, init, 0)
					return
				}
				j += i / base[a] * from[a]
			}
			fold(out, at, x, j)
		})
	})
	return rounded(out)
}

// slots splits the axes of a gathered array into those of the slice and the rest.
func slots(rank int, offset []int) (window, batch []int) {
	for a := range rank {
		if slices.Contains(offset, a) {
			window = append(window, a)
		} else {
			batch = append(batch, a)
		}
	}
	return window, batch
}

func at1(o *op, r map[string]string, name string) int {
	v := o.numbers(name, r[name])
	if len(v) != 1 {
		fail("%s: %s: want a number, got %q", o.name, name, r[name])
	}
	return v[0]
}

// gather evaluates gathers of one index component whose index vector is implicit.
func gather(o *op, in []*Tensor) *Tensor {
	x, index := in[0], in[1]
	r := o.record("dimension_numbers", "gather")
	o.flag("indices_are_sorted")
	offset, collapsed, mapped := o.axesOf(r, "offset_dims"), o.axesOf(r, "collapsed_slice_dims"), o.axesOf(r, "start_index_map")
	sizes := o.perAxis("slice_sizes", len(x.Shape))
	if len(r) != 4 || at1(o, r, "index_vector_dim") != len(index.Shape) || len(mapped) != 1 || index.Float() || len(offset)+len(collapsed) != len(x.Shape) || !slices.IsSorted(offset) {
		fail("gather: got %v", r)
	}
	var window []int
	for a, n := range sizes {
		if slices.Contains(collapsed, a) {
			if n != 1 {
				fail("gather: slice_sizes: want 1 along collapsed axis %d, got %d", a, n)
			}
			continue
		}
		window = append(window, a)
	}
	rank := len(index.Shape) + len(offset)
	offsets, batch := slots(rank, offset)
	if len(offsets) != len(window) || len(batch) != len(index.Shape) {
		fail("gather: offset_dims: got %v for rank %d", offset, rank)
	}
	shape := make([]int, rank)
	for i, a := range offsets {
		shape[a] = sizes[window[i]]
	}
	for i, a := range batch {
		shape[a] = index.Shape[i]
	}
	out := New(Type{x.Elem, shape})
	from, is := strides(x.Shape), strides(index.Shape)
	each(shape, func(at int, k []int) {
		p := 0
		for i, a := range batch {
			p += k[a] * is[i]
		}
		start := min(max(index.I[p], 0), int64(x.Shape[mapped[0]]-sizes[mapped[0]]))
		j := int(start) * from[mapped[0]]
		for i, a := range offsets {
			j += k[a] * from[window[i]]
		}
		out.copyFrom(at, x, j)
	})
	return out
}

// scatter evaluates scatters of one index component whose index vector is implicit.
func scatter(o *op, in []*Tensor) *Tensor {
	x, index, updates := in[0], in[1], in[2]
	r := o.record("scatter_dimension_numbers", "scatter")
	o.flag("indices_are_sorted")
	o.flag("unique_indices")
	offset, inserted, mapped := o.axesOf(r, "update_window_dims"), o.axesOf(r, "inserted_window_dims"), o.axesOf(r, "scatter_dims_to_operand_dims")
	if len(r) != 4 || at1(o, r, "index_vector_dim") != len(index.Shape) || len(mapped) != 1 || index.Float() || len(offset)+len(inserted) != len(x.Shape) || updates.Elem != x.Elem || !slices.IsSorted(offset) {
		fail("scatter: got %v", r)
	}
	offsets, batch := slots(len(updates.Shape), offset)
	var window []int
	for a := range x.Shape {
		if !slices.Contains(inserted, a) {
			window = append(window, a)
		}
	}
	if len(batch) != len(index.Shape) || len(offsets) != len(window) {
		fail("scatter: update_window_dims: got %v for %v", offset, updates.Shape)
	}
	for i, a := range offsets {
		if updates.Shape[a] > x.Shape[window[i]] {
			fail("scatter: updates %v do not fit %v", updates.Shape, x.Shape)
		}
	}
	out := &Tensor{x.Type, slices.Clone(x.F), slices.Clone(x.I)}
	to, is := strides(x.Shape), strides(index.Shape)
	fold := o.fold(x.Elem)
	each(updates.Shape, func(at int, k []int) {
		p := 0
		for i, a := range batch {
			if updates.Shape[a] != index.Shape[i] {
				fail("scatter: updates %v do not fit the index %v", updates.Shape, index.Shape)
			}
			p += k[a] * is[i]
		}
		start := index.I[p]
		if start < 0 || start >= int64(x.Shape[mapped[0]]) {
			return
		}
		j := int(start) * to[mapped[0]]
		for i, a := range offsets {
			j += k[a] * to[window[i]]
		}
		fold(out, j, updates, at)
	})
	return rounded(out)
}
