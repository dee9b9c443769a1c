package prim

import "math"

// argmax fills, per output, the plane position of the window's first maximum (a
// NaN counts as maximum), -1 where the window is all padding. x is one plane.
func argmax[T scalar](x []T, at []int, taps [][]run, stride int) {
	for i := range at {
		at[i] = -1
	}
	for _, rows := range taps {
		for _, row := range rows {
			for j := range row.n {
				i, o := row.in+j*stride, row.out+j
				v := x[i]
				if b := at[o]; b < 0 || v > x[b] || (v != v && x[b] == x[b]) {
					at[o] = i
				}
			}
		}
	}
}

// eachMax calls f for every plane with the positions that argmax gives.
func (p Pool) eachMax(x *Tensor, out []int, f func(plane int, at []int)) {
	in := Prod(x.Shape[2:])
	taps := p.Window.runs(x.Shape[2:], p.Kernel, out[2:])
	stride := p.Strides[len(p.Strides)-1]
	parallel(out[0]*out[1], func(i int) {
		at := make([]int, Prod(out[2:]))
		if x.DType == I64 {
			argmax(x.I64[i*in:(i+1)*in], at, taps, stride)
		} else {
			argmax(x.F64[i*in:(i+1)*in], at, taps, stride)
		}
		f(i, at)
	})
}

// Eval takes the maxima.
func (p MaxPool) Eval(in []*Tensor, out Type) (*Tensor, error) {
	x, r := in[0], NewTensor(Storage(out))
	n := Prod(x.Shape[2:])
	p.eachMax(x, out.Shape, func(plane int, at []int) {
		for o, i := range at {
			o += plane * len(at)
			switch {
			case x.DType == I64 && i < 0:
				r.I64[o] = math.MinInt64
			case x.DType == I64:
				r.I64[o] = x.I64[plane*n+i]
			case i < 0:
				r.F64[o] = math.Inf(-1)
			default:
				r.F64[o] = x.F64[plane*n+i]
			}
		}
	})
	return r, nil
}

// VJP is MaxPoolGrad.
func (p MaxPool) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	if !b.Type(in[0]).DType.Float() {
		return invalid(1), nil
	}
	return []ID{b.Add(MaxPoolGrad(p), in[0], grad)}, b.err
}

// Eval finds the maxima.
func (p MaxPoolIndex) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r := NewTensor(out)
	p.eachMax(in[0], out.Shape, func(plane int, at []int) {
		for o, i := range at {
			r.I64[plane*len(at)+o] = int64(i)
		}
	})
	return r, nil
}

// VJP gives no gradient.
func (MaxPoolIndex) VJP(*Builder, []ID, ID, ID) ([]ID, error) { return invalid(1), nil }

// Eval adds every gradient to the first maximum of its window.
func (p MaxPoolGrad) Eval(in []*Tensor, out Type) (*Tensor, error) {
	r, g := NewTensor(Storage(out)), in[1]
	n := Prod(out.Shape[2:])
	p.eachMax(in[0], g.Shape, func(plane int, at []int) {
		for o, i := range at {
			if i >= 0 {
				r.F64[plane*n+i] += g.F64[plane*len(at)+o]
			}
		}
	})
	return r, nil
}

// VJP takes, in the gradient operand, the elements at the maxima; x gets none.
func (p MaxPoolGrad) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	xs, gs := b.Shape(in[0]), b.Shape(in[1])
	plane := Prod(xs[2:])
	base := NewTensor(Type{I64, append([]int{xs[0], xs[1]}, onesLike(xs[2:])...)})
	for i := range base.I64 {
		base.I64[i] = int64(i * plane)
	}
	at := b.Add(MaxPoolIndex(p), in[0])
	flat := b.Map(Op(Add, Op(Max, A(0), L(0)), A(1)), at, b.Const(base))
	picked := b.Add(Gather{Axis: 0}, b.Reshape(grad, Prod(xs)), flat)
	d := b.Type(in[1]).DType
	return []ID{Invalid, b.Add(Map{Expr: E(Op(Select, Op(Lt, A(0), L(0)), L(0), A(1))), Compute: d, Out: d, Shape: gs}, at, picked)}, b.err
}

func onesLike(s []int) []int {
	out := make([]int, len(s))
	for i := range out {
		out[i] = 1
	}
	return out
}

// Eval adds up the windows.
func (p SumPool) Eval(in []*Tensor, out Type) (*Tensor, error) {
	x, r := in[0], NewTensor(Storage(out))
	n, no := Prod(x.Shape[2:]), Prod(out.Shape[2:])
	taps := p.Window.runs(x.Shape[2:], p.Kernel, out.Shape[2:])
	stride := p.Strides[len(p.Strides)-1]
	parallel(out.Shape[0]*out.Shape[1], func(i int) {
		xp, y := x.F64[i*n:(i+1)*n], r.F64[i*no:(i+1)*no]
		for _, rows := range taps {
			for _, row := range rows {
				for j := range row.n {
					y[row.out+j] += xp[row.in+j*stride]
				}
			}
		}
	})
	return r, nil
}

// VJP is SumPoolGrad.
func (p SumPool) VJP(b *Builder, in []ID, _, grad ID) ([]ID, error) {
	return []ID{b.Add(SumPoolGrad{Pool: p.Pool, In: b.Shape(in[0])[2:]}, grad)}, b.err
}

// Eval spreads every gradient over its window.
func (p SumPoolGrad) Eval(in []*Tensor, out Type) (*Tensor, error) {
	g, r := in[0], NewTensor(Storage(out))
	n, no := Prod(out.Shape[2:]), Prod(g.Shape[2:])
	taps := p.Window.runs(out.Shape[2:], p.Kernel, g.Shape[2:])
	stride := p.Strides[len(p.Strides)-1]
	parallel(out.Shape[0]*out.Shape[1], func(i int) {
		xp, gp := r.F64[i*n:(i+1)*n], g.F64[i*no:(i+1)*no]
		for _, rows := range taps {
			for _, row := range rows {
				for j := range row.n {
					xp[row.in+j*stride] += gp[row.out+j]
				}
			}
		}
	})
	return r, nil
}

// VJP is SumPool.
func (p SumPoolGrad) VJP(b *Builder, _ []ID, _, grad ID) ([]ID, error) {
	return []ID{b.Add(SumPool{Pool: p.Pool}, grad)}, b.err
}
