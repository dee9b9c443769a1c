package prim

import "fmt"

// Gather takes slices of x along Axis: the result has shape
// x.Shape[:Axis] + index.Shape + x.Shape[Axis+1:]. The index is I64 in
// [0, size); an index out of range is an error of the run.
type Gather struct {
	unfinished
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
	unfinished
	Axis, Size int
}

// Name returns "scatter_add".
func (ScatterAdd) Name() string { return "scatter_add" }

// Infer returns the scattered shape.
func (s ScatterAdd) Infer(in []Type) (Type, error) {
	if len(in) != 2 || in[0].DType != I64 || s.Axis < 0 || len(in[1].Shape) < s.Axis+len(in[0].Shape) {
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
