package prim

import (
	"fmt"
	"slices"
)

// Reshape reads the elements in row-major order as Shape.
type Reshape struct {
	Shape []int
}

// Name returns "reshape".
func (Reshape) Name() string { return "reshape" }

// Infer checks the element count.
func (r Reshape) Infer(in []Type) (Type, error) {
	if len(in) != 1 || in[0].Len() != Prod(r.Shape) {
		return Type{}, fmt.Errorf("reshape: want one operand of %d elements for %v, got %v", Prod(r.Shape), r.Shape, in)
	}
	return Type{in[0].DType, r.Shape}, nil
}

// Transpose permutes axes: result axis i is operand axis Perm[i].
type Transpose struct {
	Perm []int
}

// Name returns "transpose".
func (Transpose) Name() string { return "transpose" }

// Infer permutes the shape.
func (t Transpose) Infer(in []Type) (Type, error) {
	sorted := slices.Clone(t.Perm)
	slices.Sort(sorted)
	if len(in) != 1 || len(t.Perm) != len(in[0].Shape) {
		return Type{}, fmt.Errorf("transpose: want one operand of rank %d, got %v", len(t.Perm), in)
	}
	for i, p := range sorted {
		if p != i {
			return Type{}, fmt.Errorf("transpose: perm: want a permutation, got %v", t.Perm)
		}
	}
	out := make([]int, len(t.Perm))
	for i, p := range t.Perm {
		out[i] = in[0].Shape[p]
	}
	return Type{in[0].DType, out}, nil
}

// Slice takes, along every axis, Size elements from Start on, Step ≥ 1 apart.
type Slice struct {
	Start, Size, Step []int
}

// Name returns "slice".
func (Slice) Name() string { return "slice" }

// Infer checks the bounds.
func (s Slice) Infer(in []Type) (Type, error) {
	if len(in) != 1 || len(s.Start) != len(in[0].Shape) || len(s.Size) != len(s.Start) || len(s.Step) != len(s.Start) {
		return Type{}, fmt.Errorf("slice: want one operand and an entry per axis, got %v and %+v", in, s)
	}
	for i, n := range in[0].Shape {
		if s.Step[i] < 1 || s.Start[i] < 0 || s.Size[i] < 0 || (s.Size[i] > 0 && (s.Start[i] >= n || s.Size[i]-1 > (n-1-s.Start[i])/s.Step[i])) {
			return Type{}, fmt.Errorf("slice: axis %d of size %d: start %d, size %d, step %d is out of range", i, n, s.Start[i], s.Size[i], s.Step[i])
		}
	}
	return Type{in[0].DType, s.Size}, nil
}

// Pad puts Value around the operand (Lo before, Hi after) and Interior times
// between neighbours, per axis; all counts ≥ 0.
type Pad struct {
	Lo, Hi, Interior []int
	Value            float64
}

// Name returns "pad".
func (Pad) Name() string { return "pad" }

// Infer returns the padded shape.
func (p Pad) Infer(in []Type) (Type, error) {
	if len(in) != 1 || len(p.Lo) != len(in[0].Shape) || len(p.Hi) != len(p.Lo) || len(p.Interior) != len(p.Lo) {
		return Type{}, fmt.Errorf("pad: want one operand and an entry per axis, got %v and %+v", in, p)
	}
	out := make([]int, len(p.Lo))
	for i, n := range in[0].Shape {
		if p.Lo[i] < 0 || p.Hi[i] < 0 || p.Interior[i] < 0 {
			return Type{}, fmt.Errorf("pad: axis %d: want counts ≥ 0, got %d, %d, %d", i, p.Lo[i], p.Hi[i], p.Interior[i])
		}
		out[i] = p.Lo[i] + n + max(n-1, 0)*p.Interior[i] + p.Hi[i]
	}
	return Type{in[0].DType, out}, nil
}

// Concat joins its operands along Axis.
type Concat struct {
	Axis int
}

// Name returns "concat".
func (Concat) Name() string { return "concat" }

// Infer adds up the sizes along Axis.
func (c Concat) Infer(in []Type) (Type, error) {
	if len(in) == 0 || c.Axis < 0 || c.Axis >= len(in[0].Shape) {
		return Type{}, fmt.Errorf("concat: axis %d: want an axis of the operands, got %v", c.Axis, in)
	}
	out := slices.Clone(in[0].Shape)
	for _, t := range in[1:] {
		if t.DType != in[0].DType || len(t.Shape) != len(out) {
			return Type{}, fmt.Errorf("concat: want one dtype and rank, got %v", in)
		}
		for i, n := range t.Shape {
			if i != c.Axis && n != out[i] {
				return Type{}, fmt.Errorf("concat: axis %d: want equal sizes beside axis %d, got %v", i, c.Axis, in)
			}
		}
		out[c.Axis] += t.Shape[c.Axis]
	}
	return Type{in[0].DType, out}, nil
}

// Reverse flips the order along Axes.
type Reverse struct {
	Axes []int
}

// Name returns "reverse".
func (Reverse) Name() string { return "reverse" }

// Infer keeps the type.
func (r Reverse) Infer(in []Type) (Type, error) {
	if len(in) != 1 {
		return Type{}, fmt.Errorf("reverse: want 1 operand, got %d", len(in))
	}
	for _, a := range r.Axes {
		if a < 0 || a >= len(in[0].Shape) {
			return Type{}, fmt.Errorf("reverse: axis %d: want an axis of %v", a, in[0].Shape)
		}
	}
	return in[0], nil
}
