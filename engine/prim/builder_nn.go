package prim

import (
	"fmt"
	"slices"
)

// Unary applies an operation of one operand.
func (b *Builder) Unary(c Code, x ID) ID { return b.Map(Op(c, A(0)), x) }

// Binary applies an operation of two operands with NumPy broadcasting.
func (b *Builder) Binary(c Code, x, y ID) ID { return b.Map(Op(c, A(0), A(1)), x, y) }

// Compare applies a comparison of two operands of one dtype and returns Bool.
func (b *Builder) Compare(c Code, x, y ID) ID {
	d := b.Type(x).DType
	if d == Bool {
		d = I64
	}
	return b.MapAs(d, Bool, Op(c, A(0), A(1)), x, y)
}

// Where returns x where cond is not zero, else y, in the dtype of x.
func (b *Builder) Where(cond, x, y ID) ID {
	d := b.Type(x).DType
	c := d
	if c == Bool {
		c = I64
	}
	return b.MapAs(c, d, Op(Select, A(0), A(1), A(2)), cond, x, y)
}

// Clip returns min(max(x, lo), hi).
func (b *Builder) Clip(x ID, lo, hi float64) ID {
	return b.Map(Op(Min, Op(Max, A(0), L(lo)), L(hi)), x)
}

// StopGrad returns x cut off from the gradient.
func (b *Builder) StopGrad(x ID) ID { return b.Add(StopGrad{}, x) }

// Mean averages x over axes, keeping them with size 1.
func (b *Builder) Mean(x ID, axes ...int) ID {
	if b.err != nil {
		return Invalid
	}
	n := 1
	for _, a := range axes {
		if a < 0 || a >= len(b.Shape(x)) {
			return b.Fail(fmt.Errorf("prim: mean: axis %d: want an axis of %v", a, b.Shape(x)))
		}
		n *= b.Shape(x)[a]
	}
	return b.Map(Op(Mul, A(0), L(1/float64(n))), b.Sum(x, axes...))
}

// MaxOver takes the maximum of x over axes, keeping them with size 1.
func (b *Builder) MaxOver(x ID, axes ...int) ID { return b.Reduce(ReduceMax, axes, A(0), x) }

// Softmax returns exp(x) / Σ exp(x) along axes, shifted by the maximum.
func (b *Builder) Softmax(x ID, axes ...int) ID {
	m := b.StopGrad(b.MaxOver(x, axes...))
	e := b.Map(Op(Exp, Op(Sub, A(0), A(1))), x, m)
	return b.Over(e, b.Sum(e, axes...))
}

// LogSoftmax returns x - log Σ exp(x) along axes, shifted by the maximum.
func (b *Builder) LogSoftmax(x ID, axes ...int) ID {
	m := b.StopGrad(b.MaxOver(x, axes...))
	s := b.Reduce(ReduceSum, axes, Op(Exp, Op(Sub, A(0), A(1))), x, m)
	return b.Map(Op(Sub, Op(Sub, A(0), A(1)), Op(Log, A(2))), x, m, s)
}

// Concat joins values along axis.
func (b *Builder) Concat(axis int, in ...ID) ID {
	if len(in) == 1 {
		return in[0]
	}
	return b.Add(Concat{Axis: axis}, in...)
}

// Slice takes size elements from start on, step apart, per axis.
func (b *Builder) Slice(x ID, start, size, step []int) ID {
	return b.Add(Slice{Start: slices.Clone(start), Size: slices.Clone(size), Step: slices.Clone(step)}, x)
}

// SliceAxis takes elements lo ≤ i < hi along one axis.
func (b *Builder) SliceAxis(x ID, axis, lo, hi int) ID {
	if b.err != nil {
		return Invalid
	}
	s := b.Shape(x)
	if axis < 0 || axis >= len(s) || lo > hi {
		return b.Fail(fmt.Errorf("prim: slice: axis %d from %d to %d: want an axis of %v and an ascending range", axis, lo, hi, s))
	}
	if lo == 0 && hi == s[axis] {
		return x
	}
	p := Slice{Start: make([]int, len(s)), Size: slices.Clone(s), Step: onesLike(s)}
	p.Start[axis], p.Size[axis] = lo, hi-lo
	return b.Add(p, x)
}

// Pad puts value around x, lo before and hi after, per axis.
func (b *Builder) Pad(x ID, lo, hi []int, value float64) ID {
	return b.Add(Pad{Lo: slices.Clone(lo), Hi: slices.Clone(hi), Interior: make([]int, len(lo)), Value: value}, x)
}

// Gather takes slices of x along axis by an I64 index.
func (b *Builder) Gather(x, index ID, axis int) ID { return b.Add(Gather{Axis: axis}, x, index) }

// Full returns a tensor of equal elements.
func (b *Builder) Full(t Type, v float64) ID {
	c := wideOf(t.DType)
	if c == Bool {
		c = I64
	}
	return b.Add(Map{Expr: E(L(v)), Compute: c, Out: t.DType, Shape: slices.Clone(t.Shape)})
}
