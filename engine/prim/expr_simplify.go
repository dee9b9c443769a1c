package prim

import "math"

// lit returns the value of a constant expression.
func (x *X) lit() (float64, bool) { return x.ins.Value, x.ins.Code == Lit }

func (x *X) is(v float64) bool { return x.ins.Code == Lit && x.ins.Value == v }

// same reports that x and y are known to be equal without comparing trees.
func same(x, y *X) bool {
	return x == y || (len(x.args) == 0 && len(y.args) == 0 && x.ins == y.ins)
}

// Simple is Op with the rules of Simplify applied at the root, in compute type d.
func Simple(d DType, c Code, args ...*X) *X {
	if x := foldLiterals(d, c, args); x != nil {
		return x
	}
	if x := identity(d, c, args); x != nil {
		return x
	}
	return Op(c, args...)
}

func foldLiterals(d DType, c Code, args []*X) *X {
	var v [3]float64
	for i, a := range args {
		l, ok := a.lit()
		if !ok {
			return nil
		}
		v[i] = l
	}
	if d != I64 {
		return L(c.Float(v[0], v[1], v[2]))
	}
	r := c.Int(ToInt(v[0]), ToInt(v[1]), ToInt(v[2]))
	if r > 1<<53 || r < -(1<<53) {
		return nil
	}
	return L(float64(r))
}

// identity returns a cheaper expression equal to c(args...), nil when it knows
// none. Only the sign of a zero may differ.
func identity(d DType, c Code, args []*X) *X {
	x := args[0]
	switch c {
	case Add:
		switch {
		case args[1].is(0):
			return x
		case x.is(0):
			return args[1]
		case args[1].ins.Code == Neg:
			return Simple(d, Sub, x, args[1].args[0])
		case x.ins.Code == Neg:
			return Simple(d, Sub, args[1], x.args[0])
		case same(x, args[1]):
			return Simple(d, Mul, L(2), x)
		}
	case Sub:
		switch {
		case args[1].is(0):
			return x
		case x.is(0):
			return Simple(d, Neg, args[1])
		case args[1].ins.Code == Neg:
			return Simple(d, Add, x, args[1].args[0])
		case x.ins.Code == Neg && same(x.args[0], args[1]):
			return Simple(d, Mul, L(-2), args[1])
		}
	case Mul:
		switch {
		case args[1].is(1):
			return x
		case x.is(1):
			return args[1]
		case args[1].is(-1):
			return Simple(d, Neg, x)
		case x.is(-1):
			return Simple(d, Neg, args[1])
		}
	case Div:
		return identityDiv(d, x, args[1])
	case Pow:
		return identityPow(d, x, args[1])
	case Neg:
		if x.ins.Code == Neg {
			return x.args[0]
		}
	case Select:
		if v, ok := x.lit(); ok {
			if v != 0 {
				return args[1]
			}
			return args[2]
		}
		if same(args[1], args[2]) {
			return args[1]
		}
	case Max, Min:
		if same(x, args[1]) {
			return x
		}
	case Recip:
		if d != I64 && x.ins.Code == Sqrt {
			return Op(Rsqrt, x.args[0])
		}
	}
	return nil
}

func identityDiv(d DType, x, y *X) *X {
	switch {
	case y.is(1):
		return x
	case y.is(-1):
		return Simple(d, Neg, x)
	case d == I64:
		return nil
	case x.is(1):
		return Simple(d, Recip, y)
	}
	if v, ok := y.lit(); ok {
		if frac, e := math.Frexp(v); (frac == 0.5 || frac == -0.5) && e > -100 && e < 100 {
			return Simple(d, Mul, x, L(1/v))
		}
	}
	return nil
}

func identityPow(d DType, x, y *X) *X {
	switch {
	case y.is(0):
		return L(1)
	case y.is(1):
		return x
	case y.is(2):
		return Op(Mul, x, x)
	case y.is(3):
		return Op(Mul, Op(Mul, x, x), x)
	case d == I64:
		return nil
	case y.is(0.5):
		return Op(Sqrt, x)
	case y.is(-1):
		return Op(Recip, x)
	}
	return nil
}

// Simplify folds constants and removes operations that change nothing (x·1, x+0,
// x/1, a selection with a known condition, …) in compute type d. It may turn -0
// into +0, and x^0.5 into a square root; all else keeps its value.
func (e Expr) Simplify(d DType) Expr {
	for {
		n := E(e.simple(d))
		if len(n) >= len(e) {
			return n
		}
		e = n
	}
}

func (e Expr) simple(d DType) *X {
	xs := make([]*X, len(e))
	for i, in := range e {
		switch in.Code.Arity() {
		case 0:
			xs[i] = &X{ins: Instr{Code: in.Code, Index: in.Index, Value: in.Value}}
		case 1:
			xs[i] = Simple(d, in.Code, xs[in.A])
		case 2:
			xs[i] = Simple(d, in.Code, xs[in.A], xs[in.B])
		case 3:
			xs[i] = Simple(d, in.Code, xs[in.A], xs[in.B], xs[in.C])
		}
	}
	return xs[len(xs)-1]
}
