package prim

import "math"

// Diff returns the derivative of the expression with respect to operand k as an
// expression of the same operands, nil where it is zero everywhere. Steps
// (comparisons, rounding, Sign) have derivative zero. Where Max and Min meet a
// tie, the second argument takes the derivative, or the constant one, so that
// max(x, 0) has 0 at 0.
func (e Expr) Diff(k int) *X { return e.diff(k, nil) }

// diff is Diff with the expression's own value, where the derivative uses it,
// written as value; nil spells it out.
func (e Expr) diff(k int, value *X) *X {
	v := make([]*X, len(e))
	d := make([]*X, len(e))
	for i, in := range e {
		switch in.Code {
		case Arg:
			v[i] = A(in.Index)
			if in.Index == k {
				d[i] = L(1)
			}
		case Lit:
			v[i] = L(in.Value)
		default:
			n := in.Code.Arity()
			refs := []int{in.A, in.B, in.C}[:n]
			var a, da [3]*X
			for j, r := range refs {
				a[j], da[j] = v[r], d[r]
			}
			v[i] = Simple(F64, in.Code, a[:n]...)
			if i == len(e)-1 && value != nil {
				v[i] = value
			}
			if da[0] != nil || da[1] != nil || da[2] != nil {
				d[i] = diffOp(in.Code, v[i], a, da)
			}
		}
	}
	return d[len(d)-1]
}

// scaleDiff returns g · d, keeping a selection on the outside: where the
// selection takes zero the product is zero even if g is not finite.
func scaleDiff(g, d *X) *X {
	if d.ins.Code == Select && (d.args[1].is(0) || d.args[2].is(0)) {
		return Simple(F64, Select, d.args[0], scaleDiff(g, d.args[1]), scaleDiff(g, d.args[2]))
	}
	if d.is(0) {
		return d
	}
	return mul(g, d)
}

func mul(x, y *X) *X { return Simple(F64, Mul, x, y) }
func div(x, y *X) *X { return Simple(F64, Div, x, y) }
func sub(x, y *X) *X { return Simple(F64, Sub, x, y) }
func neg(x *X) *X    { return Simple(F64, Neg, x) }

// mulD returns x · d for a derivative that may be nil (zero).
func mulD(x, d *X) *X {
	if d == nil {
		return nil
	}
	return scaleDiff(x, d)
}

func addD(x, y *X) *X {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	return Simple(F64, Add, x, y)
}

func negD(d *X) *X {
	if d == nil {
		return nil
	}
	return neg(d)
}

func selectD(c, x, y *X) *X {
	if x == nil {
		x = L(0)
	}
	if y == nil {
		y = L(0)
	}
	return Simple(F64, Select, c, x, y)
}

// diffOp is the chain rule for one operation: v its value, a its operands, da
// their derivatives (nil is zero), at least one of them set.
func diffOp(c Code, v *X, a, da [3]*X) *X {
	switch c {
	case Add:
		return addD(da[0], da[1])
	case Sub:
		return addD(da[0], negD(da[1]))
	case Mul:
		return addD(mulD(a[1], da[0]), mulD(a[0], da[1]))
	case Div:
		var d *X
		if da[0] != nil {
			d = div(da[0], a[1])
		}
		if da[1] != nil {
			d = addD(d, negD(mulD(div(v, a[1]), da[1])))
		}
		return d
	case Max:
		return diffExtreme(v, a, da, func(x, y *X) *X { return Op(Lt, y, x) })
	case Min:
		return diffExtreme(v, a, da, func(x, y *X) *X { return Op(Lt, x, y) })
	case Pow:
		return addD(mulD(powBase(a), da[0]), mulD(powExponent(v, a), da[1]))
	case Mod:
		return addD(da[0], negD(mulD(Op(Floor, div(a[0], a[1])), da[1])))
	case FMod:
		q := div(a[0], a[1])
		return addD(da[0], negD(mulD(Op(Select, Op(Lt, q, L(0)), Op(Ceil, q), Op(Floor, q)), da[1])))
	case Select:
		if da[1] == nil && da[2] == nil {
			return nil
		}
		return selectD(a[0], da[1], da[2])
	case Neg:
		return negD(da[0])
	}
	if slope := slope(c, a[0], v); slope != nil {
		return mulD(slope, da[0])
	}
	return nil
}

// diffExtreme serves Max and Min; wins says that its first argument is strictly
// the extreme. A bound, being constant, is compared with the value instead of the
// operand, which is equivalent and needs the value only.
func diffExtreme(v *X, a, da [3]*X, wins func(x, y *X) *X) *X {
	if a[0].ins.Code == Lit {
		a[0], a[1], da[0], da[1] = a[1], a[0], da[1], da[0]
	}
	if a[1].ins.Code == Lit {
		return selectD(wins(v, a[1]), da[0], da[1])
	}
	return selectD(wins(a[0], a[1]), da[0], da[1])
}

func powBase(a [3]*X) *X {
	if n, ok := a[1].lit(); ok {
		if n == 0 {
			return L(0)
		}
		return mul(L(n), Simple(F64, Pow, a[0], L(n-1)))
	}
	d := Op(Mul, a[1], Op(Pow, a[0], Op(Sub, a[1], L(1))))
	return Op(Select, Op(Eq, a[1], L(0)), L(0), d)
}

func powExponent(v *X, a [3]*X) *X {
	return Op(Select, Op(Eq, a[0], L(0)), L(0), mul(v, Simple(F64, Log, a[0])))
}

// slope returns the derivative of a unary operation at x, whose value is v; nil
// for steps.
func slope(c Code, x, v *X) *X {
	sq := func(x *X) *X { return Simple(F64, Mul, x, x) }
	switch c {
	case Abs:
		return Op(Sign, x)
	case Sqrt:
		return div(L(0.5), v)
	case Rsqrt:
		return mul(L(-0.5), mul(v, sq(v)))
	case Recip:
		return neg(sq(v))
	case Exp:
		return v
	case Log:
		return Simple(F64, Recip, x)
	case Log1p:
		return Simple(F64, Recip, Op(Add, L(1), x))
	case Tanh:
		return sub(L(1), sq(v))
	case Sigmoid:
		return mul(v, sub(L(1), v))
	case Erf:
		return mul(L(2/math.Sqrt(math.Pi)), Op(Exp, neg(sq(x))))
	case Sin:
		return Op(Cos, x)
	case Cos:
		return neg(Op(Sin, x))
	case Tan:
		return Op(Add, L(1), sq(v))
	case Asin:
		return Op(Rsqrt, sub(L(1), sq(x)))
	case Acos:
		return neg(Op(Rsqrt, sub(L(1), sq(x))))
	case Atan:
		return Op(Recip, Op(Add, L(1), sq(x)))
	case Sinh:
		return Op(Cosh, x)
	case Cosh:
		return Op(Sinh, x)
	case Asinh:
		return Op(Rsqrt, Op(Add, sq(x), L(1)))
	case Acosh:
		return Op(Rsqrt, sub(sq(x), L(1)))
	case Atanh:
		return Op(Recip, sub(L(1), sq(x)))
	}
	return nil
}
