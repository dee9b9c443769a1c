package prim

import "math"

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func truthInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Float applies the operation in float64; operands beyond Arity are ignored. Arg
// and Lit, which have no operands, give NaN.
func (c Code) Float(x, y, z float64) float64 {
	switch c {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
	case Div:
		return x / y
	case Max:
		switch {
		case x != x || y != y:
			return math.NaN()
		case x > y:
			return x
		}
		return y
	case Min:
		switch {
		case x != x || y != y:
			return math.NaN()
		case x < y:
			return x
		}
		return y
	case Pow:
		return math.Pow(x, y)
	case Mod:
		r := math.Mod(x, y)
		if r == 0 {
			return math.Copysign(0, y)
		}
		if (r < 0) != (y < 0) {
			r += y
		}
		return r
	case FMod:
		return math.Mod(x, y)
	case Lt:
		return truth(x < y)
	case Le:
		return truth(x <= y)
	case Eq:
		return truth(x == y)
	case Ne:
		return truth(x != y)
	case And:
		return truth(x != 0 && y != 0)
	case Or:
		return truth(x != 0 || y != 0)
	case Xor:
		return truth((x != 0) != (y != 0))
	case Select:
		if x != 0 {
			return y
		}
		return z
	}
	return c.unary(x)
}

func (c Code) unary(x float64) float64 {
	switch c {
	case Neg:
		return -x
	case Abs:
		return math.Abs(x)
	case Sign:
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	case Floor:
		return math.Floor(x)
	case Ceil:
		return math.Ceil(x)
	case Round:
		return math.RoundToEven(x)
	case Sqrt:
		return math.Sqrt(x)
	case Rsqrt:
		return 1 / math.Sqrt(x)
	case Recip:
		return 1 / x
	case Exp:
		return math.Exp(x)
	case Log:
		return math.Log(x)
	case Log1p:
		return math.Log1p(x)
	case Tanh:
		return math.Tanh(x)
	case Sigmoid:
		if x >= 0 {
			return 1 / (1 + math.Exp(-x))
		}
		e := math.Exp(x)
		return e / (1 + e)
	case Erf:
		return math.Erf(x)
	case Sin:
		return math.Sin(x)
	case Cos:
		return math.Cos(x)
	case Tan:
		return math.Tan(x)
	case Asin:
		return math.Asin(x)
	case Acos:
		return math.Acos(x)
	case Atan:
		return math.Atan(x)
	case Sinh:
		return math.Sinh(x)
	case Cosh:
		return math.Cosh(x)
	case Asinh:
		return math.Asinh(x)
	case Acosh:
		return math.Acosh(x)
	case Atanh:
		return math.Atanh(x)
	case Not:
		return truth(x == 0)
	case IsNaN:
		return truth(x != x)
	case IsInf:
		return truth(math.IsInf(x, 0))
	}
	return math.NaN()
}

// Int applies the operation in int64, wrapping on overflow. Division and both
// remainders by zero give 0; a power with a negative exponent truncates to zero
// unless the base is 1 or -1. Operations without an integer meaning are computed
// in float64 and truncated.
func (c Code) Int(x, y, z int64) int64 {
	switch c {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
	case Div:
		if y == 0 {
			return 0
		}
		return x / y
	case Max:
		return max(x, y)
	case Min:
		return min(x, y)
	case Pow:
		return powInt(x, y)
	case Mod:
		if y == 0 {
			return 0
		}
		r := x % y
		if r != 0 && (r < 0) != (y < 0) {
			r += y
		}
		return r
	case FMod:
		if y == 0 {
			return 0
		}
		return x % y
	case Lt:
		return truthInt(x < y)
	case Le:
		return truthInt(x <= y)
	case Eq:
		return truthInt(x == y)
	case Ne:
		return truthInt(x != y)
	case And:
		return truthInt(x != 0 && y != 0)
	case Or:
		return truthInt(x != 0 || y != 0)
	case Xor:
		return truthInt((x != 0) != (y != 0))
	case Select:
		if x != 0 {
			return y
		}
		return z
	case Neg:
		return -x
	case Abs:
		if x < 0 {
			return -x
		}
		return x
	case Sign:
		return truthInt(x > 0) - truthInt(x < 0)
	case Floor, Ceil, Round:
		return x
	case Recip:
		return Div.Int(1, x, 0)
	case Not:
		return truthInt(x == 0)
	case IsNaN, IsInf:
		return 0
	}
	return ToInt(c.unary(float64(x)))
}

// ToInt truncates toward zero; NaN and values beyond int64 give the smallest int64.
func ToInt(v float64) int64 {
	if v >= -(1<<63) && v < 1<<63 {
		return int64(v)
	}
	return math.MinInt64
}

func powInt(x, y int64) int64 {
	if y < 0 {
		switch {
		case x == 1 || (x == -1 && y%2 == 0):
			return 1
		case x == -1:
			return -1
		}
		return 0
	}
	r := int64(1)
	for ; y > 0; y >>= 1 {
		if y&1 == 1 {
			r *= x
		}
		x *= x
	}
	return r
}

// Float evaluates the expression for one element in float64.
func (e Expr) Float(args ...float64) float64 {
	return evalOne(e, args, func(v float64) float64 { return v }, Code.Float)
}

// Int evaluates the expression for one element in int64; literals truncate.
func (e Expr) Int(args ...int64) int64 { return evalOne(e, args, ToInt, Code.Int) }

func evalOne[T int64 | float64](e Expr, args []T, lit func(float64) T, apply func(Code, T, T, T) T) T {
	v := make([]T, len(e))
	for i, in := range e {
		switch in.Code {
		case Arg:
			v[i] = args[in.Index]
		case Lit:
			v[i] = lit(in.Value)
		default:
			v[i] = apply(in.Code, v[in.A], v[in.B], v[in.C])
		}
	}
	return v[len(v)-1]
}
