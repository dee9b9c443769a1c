package lower

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// large is where x² + 1 equals x² in every float type, far below where x² overflows.
const large = 1e9

// transcendental writes the functions that StableHLO lacks over those that it has,
// without cancellation near zero and without overflow before the result does.
func (l *lowerer) transcendental(code prim.Code, x hlo.Value) hlo.Value {
	t := x.Type
	num := func(v float64) hlo.Value { return l.full(t, v) }
	bin := l.Binary
	one := num(1)
	// root is √((1-x)(1+x)), the other side of a right triangle.
	root := func() hlo.Value {
		return l.Unary("sqrt", bin("multiply", bin("subtract", one, x), bin("add", one, x)))
	}
	switch code {
	case prim.Tan:
		return bin("divide", l.Unary("sine", x), l.Unary("cosine", x))
	case prim.Asin:
		return bin("atan2", x, root())
	case prim.Acos:
		return bin("atan2", root(), x)
	case prim.Atan:
		return bin("atan2", x, one)
	case prim.Sinh:
		return l.sinh(x)
	case prim.Cosh:
		h := l.halfExp(x)
		return bin("add", bin("multiply", bin("multiply", num(0.5), h), h), bin("divide", bin("divide", num(0.5), h), h))
	case prim.Asinh:
		a := l.Unary("abs", x)
		sq := bin("multiply", a, a)
		small := l.Unary("log_plus_one", bin("add", a, bin("divide", sq, bin("add", one, l.Unary("sqrt", bin("add", sq, one))))))
		r := l.Select(l.Compare("GT", a, num(large)), bin("add", l.Unary("log", a), num(math.Ln2)), small)
		return bin("multiply", l.Unary("sign", x), r)
	case prim.Acosh:
		d := bin("subtract", x, one)
		near := l.Unary("log_plus_one", bin("add", d, l.Unary("sqrt", bin("multiply", d, bin("add", d, num(2))))))
		r := l.Select(l.Compare("GT", x, num(large)), bin("add", l.Unary("log", x), num(math.Ln2)), near)
		return l.Select(l.Compare("LT", x, one), num(math.NaN()), r)
	case prim.Atanh:
		d := bin("subtract", l.Unary("log_plus_one", x), l.Unary("log_plus_one", l.Unary("negate", x)))
		return bin("multiply", num(0.5), d)
	}
	panic(fmt.Sprintf("BUG: xla: lower: no rule for %s", code))
}

// halfExp returns exp(|x|/2), whose square is exp|x| without its overflow.
func (l *lowerer) halfExp(x hlo.Value) hlo.Value {
	return l.Unary("exponential", l.Binary("multiply", l.full(x.Type, 0.5), l.Unary("abs", x)))
}

func (l *lowerer) sinh(x hlo.Value) hlo.Value {
	bin := l.Binary
	half, one := l.full(x.Type, 0.5), l.full(x.Type, 1)
	h := l.halfExp(x)
	far := bin("subtract", bin("multiply", bin("multiply", half, h), h), bin("divide", bin("divide", half, h), h))
	a := l.Unary("abs", x)
	e := l.Unary("exponential_minus_one", a)
	near := bin("multiply", half, bin("add", e, bin("divide", e, bin("add", e, one))))
	return bin("multiply", l.Unary("sign", x), l.Select(l.Compare("LT", a, one), near, far))
}
