package stablehlo

import (
	"fmt"
	"slices"
	"strings"
)

// Unary applies an elementwise operation of one operand, for example "exponential".
func (f *Func) Unary(name string, x Value) Value {
	return f.op("stablehlo."+name, []Value{x}, nil, nil, x.Type)
}

// Erf applies the error function.
func (f *Func) Erf(x Value) Value { return f.op("chlo.erf", []Value{x}, nil, nil, x.Type) }

// Barrier passes the first operand once all of them are computed; no rewriting looks
// through it.
func (f *Func) Barrier(in []Value) Value {
	if len(in) == 1 {
		return f.op("stablehlo.optimization_barrier", in, nil, nil, in[0].Type)
	}
	types := make([]string, len(in))
	for i, v := range in {
		types[i] = v.Type.String()
	}
	name := fmt.Sprintf("%%%d", f.next)
	f.next++
	fmt.Fprintf(&f.body, "%s%s:%d = ", f.indent, name, len(in))
	f.write("stablehlo.optimization_barrier", in, nil, nil, "("+strings.Join(types, ", ")+")")
	return Value{in[0].Type, name + "#0"}
}

// Binary applies an elementwise operation of two operands of one type.
func (f *Func) Binary(name string, x, y Value) Value {
	if !x.Type.Equal(y.Type) {
		panic(fmt.Sprintf("BUG: stablehlo: %s: operands %s and %s", name, x.Type, y.Type))
	}
	return f.op("stablehlo."+name, []Value{x, y}, nil, nil, x.Type)
}

// Compare compares two operands of one type: EQ, NE, GE, GT, LE or LT.
func (f *Func) Compare(direction string, x, y Value) Value {
	if !x.Type.Equal(y.Type) {
		panic(fmt.Sprintf("BUG: stablehlo: compare: operands %s and %s", x.Type, y.Type))
	}
	kind := "SIGNED"
	switch {
	case x.Type.Elem.Float():
		kind = "FLOAT"
	case x.Type.Elem == I1:
		kind = "UNSIGNED"
	}
	return f.op("stablehlo.compare", []Value{x, y}, []attr{
		{"comparison_direction", "#stablehlo<comparison_direction " + direction + ">"},
		{"compare_type", "#stablehlo<comparison_type " + kind + ">"},
	}, nil, x.Type.with(I1))
}

// Select takes elements of x where cond is true, else of y.
func (f *Func) Select(cond, x, y Value) Value {
	if !x.Type.Equal(y.Type) || cond.Type.Elem != I1 || !slices.Equal(cond.Type.Shape, x.Type.Shape) {
		panic(fmt.Sprintf("BUG: stablehlo: select: operands %s, %s and %s", cond.Type, x.Type, y.Type))
	}
	return f.op("stablehlo.select", []Value{cond, x, y}, nil, nil, x.Type)
}

// Convert changes the element type; it returns x itself when nothing changes.
func (f *Func) Convert(x Value, e Elem) Value {
	if x.Type.Elem == e {
		return x
	}
	return f.op("stablehlo.convert", []Value{x}, nil, nil, x.Type.with(e))
}

// Broadcast repeats x to shape: axis i of x becomes axis dims[i], and has its size
// or 1. It returns x itself when nothing changes.
func (f *Func) Broadcast(x Value, shape, dims []int) Value {
	if slices.Equal(x.Type.Shape, shape) {
		return x
	}
	return f.op("stablehlo.broadcast_in_dim", []Value{x}, []attr{{"broadcast_dimensions", array(dims)}}, nil, Type{x.Type.Elem, slices.Clone(shape)})
}

// Reshape reads the elements as shape; it returns x itself when nothing changes.
func (f *Func) Reshape(x Value, shape []int) Value {
	if slices.Equal(x.Type.Shape, shape) {
		return x
	}
	return f.op("stablehlo.reshape", []Value{x}, nil, nil, Type{x.Type.Elem, slices.Clone(shape)})
}

// Transpose permutes axes; it returns x itself for the identity.
func (f *Func) Transpose(x Value, perm []int) Value {
	shape, moved := make([]int, len(perm)), false
	for i, p := range perm {
		shape[i] = x.Type.Shape[p]
		moved = moved || i != p
	}
	if !moved {
		return x
	}
	return f.op("stablehlo.transpose", []Value{x}, []attr{{"permutation", array(perm)}}, nil, Type{x.Type.Elem, shape})
}

// Slice takes size elements from start on, step apart, per axis.
func (f *Func) Slice(x Value, start, size, step []int) Value {
	from, limit := slices.Clone(start), make([]int, len(start))
	for i, n := range size {
		if n == 0 {
			from[i] = min(from[i], x.Type.Shape[i])
			limit[i] = from[i]
			continue
		}
		limit[i] = from[i] + (n-1)*step[i] + 1
	}
	return f.op("stablehlo.slice", []Value{x}, []attr{{"start_indices", array(from)}, {"limit_indices", array(limit)}, {"strides", array(step)}}, nil, Type{x.Type.Elem, slices.Clone(size)})
}

// Pad puts value around x (lo before, hi after; negative ones cut) and interior
// times between neighbours.
func (f *Func) Pad(x, value Value, lo, hi, interior []int) Value {
	shape := make([]int, len(lo))
	for i, n := range x.Type.Shape {
		shape[i] = lo[i] + n + max(n-1, 0)*interior[i] + hi[i]
	}
	return f.op("stablehlo.pad", []Value{x, value}, []attr{{"edge_padding_low", array(lo)}, {"edge_padding_high", array(hi)}, {"interior_padding", array(interior)}}, nil, Type{x.Type.Elem, shape})
}

// Concat joins operands along axis.
func (f *Func) Concat(axis int, in ...Value) Value {
	shape := slices.Clone(in[0].Type.Shape)
	for _, v := range in[1:] {
		shape[axis] += v.Type.Shape[axis]
	}
	return f.op("stablehlo.concatenate", in, []attr{{"dimension", integer(axis)}}, nil, Type{in[0].Type.Elem, shape})
}

// Reverse flips the order along axes.
func (f *Func) Reverse(x Value, axes []int) Value {
	return f.op("stablehlo.reverse", []Value{x}, []attr{{"dimensions", array(axes)}}, nil, x.Type)
}

// Iota counts from 0 along an axis.
func (f *Func) Iota(t Type, axis int) Value {
	return f.op("stablehlo.iota", nil, []attr{{"iota_dimension", integer(axis)}}, nil, t)
}

// Reduce folds x over axes, which it drops, with "add", "multiply", "maximum", "minimum" or "or".
func (f *Func) Reduce(fold string, x, init Value, axes []int) Value {
	var shape []int
	for i, n := range x.Type.Shape {
		if !slices.Contains(axes, i) {
			shape = append(shape, n)
		}
	}
	return f.op("stablehlo.reduce", []Value{x, init}, []attr{{"dimensions", array(axes)}}, []string{f.region(fold, x.Type.Elem)}, Type{x.Type.Elem, shape})
}

// Window is the geometry of ReduceWindow: one entry per axis of its operand.
type Window struct {
	Size, Strides, Dilations, PadLo, PadHi []int
}

// ReduceWindow folds every window of x; padding holds init. out is the result's shape.
func (f *Func) ReduceWindow(fold string, x, init Value, w Window, out []int) Value {
	ones := slices.Repeat([]int{1}, len(w.Size))
	return f.op("stablehlo.reduce_window", []Value{x, init}, []attr{
		{"window_dimensions", array(w.Size)}, {"window_strides", array(w.Strides)}, {"base_dilations", array(ones)},
		{"window_dilations", array(w.Dilations)}, {"padding", pairs(w.PadLo, w.PadHi)},
	}, []string{f.region(fold, x.Type.Elem)}, Type{x.Type.Elem, slices.Clone(out)})
}

// Precision is how exactly products of F32 operands are computed.
type Precision string

// Precisions.
const (
	Default Precision = "DEFAULT" // what the device is fastest with: TF32 on GPUs that have it
	Highest Precision = "HIGHEST" // float32
)

func (p Precision) attr() attr {
	return attr{"precision_config", fmt.Sprintf("[#stablehlo<precision %s>, #stablehlo<precision %s>]", p, p)}
}

// DotGeneral multiplies x and y: batch axes are paired, contracting axes are summed
// over. The result has the batch axes, the rest of x, the rest of y.
func (f *Func) DotGeneral(x, y Value, xBatch, yBatch, xContract, yContract []int, p Precision) Value {
	var shape []int
	for _, a := range xBatch {
		shape = append(shape, x.Type.Shape[a])
	}
	for i, n := range x.Type.Shape {
		if !slices.Contains(xBatch, i) && !slices.Contains(xContract, i) {
			shape = append(shape, n)
		}
	}
	for i, n := range y.Type.Shape {
		if !slices.Contains(yBatch, i) && !slices.Contains(yContract, i) {
			shape = append(shape, n)
		}
	}
	numbers := fmt.Sprintf("#stablehlo.dot<lhs_batching_dimensions = %s, rhs_batching_dimensions = %s, lhs_contracting_dimensions = %s, rhs_contracting_dimensions = %s>",
		list(xBatch), list(yBatch), list(xContract), list(yContract))
	return f.op("stablehlo.dot_general", []Value{x, y}, []attr{{"dot_dimension_numbers", numbers}, p.attr()}, nil, Type{x.Type.Elem, shape})
}

// Conv is a convolution's geometry. Axes names the axes of input, kernel and result
// in order, "b", "f", "i", "o" or the number of a spatial axis.
type Conv struct {
	Strides, PadLo, PadHi, InputDilation, KernelDilation []int
	FeatureGroups, BatchGroups                           int
	Input, Kernel, Output                                []string
	Precision                                            Precision
}

// Convolution correlates x with the kernel. out is the result's shape.
func (f *Func) Convolution(x, kernel Value, c Conv, out []int) Value {
	axes := func(s []string) string { return "[" + strings.Join(s, ", ") + "]" }
	flags := slices.Repeat([]string{"false"}, len(c.Strides))
	return f.op("stablehlo.convolution", []Value{x, kernel}, []attr{
		{"window_strides", array(c.Strides)}, {"padding", pairs(c.PadLo, c.PadHi)},
		{"lhs_dilation", array(c.InputDilation)}, {"rhs_dilation", array(c.KernelDilation)},
		{"window_reversal", "array<i1: " + strings.Join(flags, ", ") + ">"},
		{"dimension_numbers", fmt.Sprintf("#stablehlo.conv<%sx%s->%s>", axes(c.Input), axes(c.Kernel), axes(c.Output))},
		{"feature_group_count", integer(c.FeatureGroups)}, {"batch_group_count", integer(c.BatchGroups)}, c.Precision.attr(),
	}, nil, Type{x.Type.Elem, slices.Clone(out)})
}

// Take picks slices of x along axis by an index: the result has the shape
// x[:axis] + index + x[axis+1:]. What an index out of range gives is not defined.
func (f *Func) Take(x, index Value, axis int) Value {
	rank, r := len(x.Type.Shape), len(index.Type.Shape)
	sizes := slices.Clone(x.Type.Shape)
	sizes[axis] = 1
	var offset, out []int
	for i := range rank {
		switch {
		case i < axis:
			offset = append(offset, i)
			out = append(out, x.Type.Shape[i])
		case i == axis:
			out = append(out, index.Type.Shape...)
		default:
			offset = append(offset, i+r-1)
			out = append(out, x.Type.Shape[i])
		}
	}
	numbers := fmt.Sprintf("#stablehlo.gather<offset_dims = %s, collapsed_slice_dims = [%d], start_index_map = [%d], index_vector_dim = %d>", list(offset), axis, axis, r)
	return f.op("stablehlo.gather", []Value{x, index}, []attr{{"dimension_numbers", numbers}, {"slice_sizes", array(sizes)}, {"indices_are_sorted", "false"}}, nil, Type{x.Type.Elem, out})
}

// Scatter folds updates, of the shape that Take gives, into x along axis.
func (f *Func) Scatter(fold string, x, index, updates Value, axis int) Value {
	r := len(index.Type.Shape)
	var window []int
	for i := range x.Type.Shape {
		switch {
		case i < axis:
			window = append(window, i)
		case i > axis:
			window = append(window, i+r-1)
		}
	}
	numbers := fmt.Sprintf("#stablehlo.scatter<update_window_dims = %s, inserted_window_dims = [%d], scatter_dims_to_operand_dims = [%d], index_vector_dim = %d>", list(window), axis, axis, r)
	return f.op("stablehlo.scatter", []Value{x, index, updates}, []attr{{"scatter_dimension_numbers", numbers}, {"indices_are_sorted", "false"}, {"unique_indices", "false"}},
		[]string{f.region(fold, x.Type.Elem)}, x.Type)
}
