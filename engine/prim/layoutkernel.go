package prim

import "slices"

// copyTensor returns a copy of x with another type of equal element count.
func copyTensor(x *Tensor, t Type) *Tensor {
	return &Tensor{Type: Storage(Type{t.DType, slices.Clone(t.Shape)}), F32: slices.Clone(x.F32), F64: slices.Clone(x.F64), I64: slices.Clone(x.I64), B: slices.Clone(x.B)}
}

// floatOnly returns no gradient unless the operand is a float.
func floatOnly(b *Builder, x ID, grad func() ID) ([]ID, error) {
	if !b.Type(x).DType.Float() {
		return invalid(1), nil
	}
	return []ID{grad()}, b.err
}

// Eval copies the elements.
func (Reshape) Eval(in []*Tensor, out Type) (*Tensor, error) { return copyTensor(in[0], out), nil }

// VJP reshapes back.
func (Reshape) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	return floatOnly(b, in[0], func() ID { return b.Reshape(grad, b.Shape(in[0])...) })
}

// Eval moves the elements.
func (t Transpose) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	move(r, view{0, strides(out.Shape)}, in[0], view{0, permuted(strides(in[0].Shape), t.Perm)}, out.Shape)
	return r, nil
}

// Inverse returns the permutation that undoes t.
func (t Transpose) Inverse() []int {
	inv := make([]int, len(t.Perm))
	for i, p := range t.Perm {
		inv[p] = i
	}
	return inv
}

// VJP permutes back.
func (t Transpose) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	return floatOnly(b, in[0], func() ID { return b.Transpose(grad, t.Inverse()...) })
}

// spaced returns the view of a row-major array of that shape which starts at lo
// and steps by step.
func spaced(shape, lo, step []int) view {
	v := view{0, strides(shape)}
	for a := range shape {
		v.offset += lo[a] * v.stride[a]
		v.stride[a] *= step[a]
	}
	return v
}

// Eval copies the selected elements.
func (s Slice) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	move(r, view{0, strides(out.Shape)}, in[0], spaced(in[0].Shape, s.Start, s.Step), out.Shape)
	return r, nil
}

// VJP pads with zeros.
func (s Slice) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x := b.Shape(in[0])
	p := Pad{Lo: slices.Clone(s.Start), Hi: make([]int, len(x)), Interior: make([]int, len(x))}
	for a, n := range x {
		p.Interior[a] = s.Step[a] - 1
		if s.Size[a] == 0 {
			p.Lo[a], p.Hi[a] = 0, n
			continue
		}
		p.Hi[a] = n - 1 - (s.Start[a] + (s.Size[a]-1)*s.Step[a])
	}
	return floatOnly(b, in[0], func() ID { return b.Add(p, grad) })
}

// Eval fills and copies.
func (p Pad) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	switch {
	case p.Value == 0:
	case r.DType == F64:
		for i := range r.F64 {
			r.F64[i] = p.Value
		}
	case r.DType == I64:
		for i := range r.I64 {
			r.I64[i] = ToInt(p.Value)
		}
	case r.DType == Bool:
		for i := range r.B {
			r.B[i] = true
		}
	}
	step := make([]int, len(p.Interior))
	for a, n := range p.Interior {
		step[a] = n + 1
	}
	move(r, spaced(out.Shape, p.Lo, step), in[0], view{0, strides(in[0].Shape)}, in[0].Shape)
	return r, nil
}

// VJP slices the operand's elements.
func (p Pad) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	x := b.Shape(in[0])
	s := Slice{Start: p.Lo, Size: x, Step: make([]int, len(x))}
	for a := range x {
		s.Step[a] = p.Interior[a] + 1
	}
	return floatOnly(b, in[0], func() ID { return b.Add(s, grad) })
}

// Eval copies the operands one after the other.
func (c Concat) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(Storage(out))
	at := 0
	s := strides(out.Shape)
	for _, x := range in {
		move(r, view{at * s[c.Axis], s}, x, view{0, strides(x.Shape)}, x.Shape)
		at += x.Shape[c.Axis]
	}
	return r, nil
}

// VJP slices the gradient.
func (c Concat) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	out := invalid(len(in))
	if !b.Type(grad).DType.Float() {
		return out, nil
	}
	at := 0
	for i, x := range in {
		n := b.Shape(x)[c.Axis]
		out[i] = b.SliceAxis(grad, c.Axis, at, at+n)
		at += n
	}
	return out, b.err
}

// Eval copies from the far ends.
func (r Reverse) Eval(in []*Tensor, out Type) (*Tensor, error) {
	t := NewTensor(Storage(out))
	src := view{0, strides(out.Shape)}
	for a, n := range out.Shape {
		if slices.Contains(r.Axes, a) {
			src.offset += (n - 1) * src.stride[a]
			src.stride[a] = -src.stride[a]
		}
	}
	move(t, view{0, strides(out.Shape)}, in[0], src, out.Shape)
	return t, nil
}

// VJP reverses the gradient.
func (r Reverse) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	return floatOnly(b, in[0], func() ID { return b.Add(r, grad) })
}
