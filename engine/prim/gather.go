package prim

import "fmt"

// Gather takes slices of x along Axis: the result has shape
// x.Shape[:Axis] + index.Shape + x.Shape[Axis+1:]. The index is I64 in
// [0, size); an index out of range is an error of the run.
type Gather struct {
	Axis int
}

// Name returns "gather".
func (Gather) Name() string { return "gather" }

// Infer returns the gathered shape.
func (g Gather) Infer(in []Type) (Type, error) {
	if len(in) != 2 || in[1].DType != I64 || g.Axis < 0 || g.Axis >= len(in[0].Shape) {
		return Type{}, fmt.Errorf("gather: axis %d: want data with that axis and an i64 index, got %v", g.Axis, in)
	}
	return Type{in[0].DType, gathered(in[0].Shape, in[1].Shape, g.Axis)}, nil
}

func gathered(x, index []int, axis int) []int {
	out := append([]int{}, x[:axis]...)
	out = append(out, index...)
	return append(out, x[axis+1:]...)
}

// ScatterAdd is the adjoint of Gather: operands are the I64 index and updates of
// the gathered shape; the result has size Size along Axis, zero where no index points.
type ScatterAdd struct {
	Axis, Size int
}

// Name returns "scatter_add".
func (ScatterAdd) Name() string { return "scatter_add" }

// Infer returns the scattered shape.
func (s ScatterAdd) Infer(in []Type) (Type, error) {
	if len(in) != 2 || in[0].DType != I64 || s.Axis < 0 || s.Axis > len(in[1].Shape)-len(in[0].Shape) {
		return Type{}, fmt.Errorf("scatter_add: axis %d: want an i64 index and updates of the gathered shape, got %v", s.Axis, in)
	}
	u, r := in[1].Shape, len(in[0].Shape)
	x := append([]int{}, u[:s.Axis]...)
	x = append(append(x, s.Size), u[s.Axis+r:]...)
	if want := gathered(x, in[0].Shape, s.Axis); fmt.Sprint(want) != fmt.Sprint(u) {
		return Type{}, fmt.Errorf("scatter_add: updates: want %v, got %v", want, u)
	}
	return Type{in[1].DType, x}, nil
}

// Eval copies slices.
func (g Gather) Eval(in []*Tensor, out Type) (*Tensor, error) {
	x, r := in[0], NewTensor(Storage(out))
	size, n, inner := x.Shape[g.Axis], in[1].Len(), Prod(x.Shape[g.Axis+1:])
	flat := view{0, []int{1}}
	for j, i := range in[1].I64 {
		if i < 0 || i >= int64(size) {
			return nil, fmt.Errorf("gather: index %d: want 0 ≤ index < %d, got %d", j, size, i)
		}
		for o := range Prod(x.Shape[:g.Axis]) {
			move(r, view{(o*n + j) * inner, flat.stride}, x, view{(o*size + int(i)) * inner, flat.stride}, []int{inner})
		}
	}
	return r, nil
}

// VJP is ScatterAdd in the data.
func (g Gather) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x := b.Type(in[0])
	if !x.DType.Float() {
		return invalid(2), nil
	}
	return []ID{b.Add(ScatterAdd{Axis: g.Axis, Size: x.Shape[g.Axis]}, in[1], grad), Invalid}, b.err
}

// Eval adds up slices in the order of the index.
func (s ScatterAdd) Eval(in []*Tensor, out Type) (*Tensor, error) {
	u, r := in[1], NewTensor(Storage(out))
	n, inner := in[0].Len(), Prod(out.Shape[s.Axis+1:])
	for j, i := range in[0].I64 {
		if i < 0 || i >= int64(s.Size) {
			return nil, fmt.Errorf("scatter_add: index %d: want 0 ≤ index < %d, got %d", j, s.Size, i)
		}
		for o := range Prod(out.Shape[:s.Axis]) {
			dst, src := (o*s.Size+int(i))*inner, (o*n+j)*inner
			for k := range inner {
				switch r.DType {
				case F64:
					r.F64[dst+k] += u.F64[src+k]
				case I64:
					r.I64[dst+k] += u.I64[src+k]
				case Bool:
					r.B[dst+k] = r.B[dst+k] || u.B[src+k]
				}
			}
		}
	}
	return r, nil
}

// VJP is Gather in the updates.
func (s ScatterAdd) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	if !b.Type(in[1]).DType.Float() {
		return invalid(2), nil
	}
	return []ID{Invalid, b.Add(Gather{Axis: s.Axis}, grad, in[0])}, b.err
}
