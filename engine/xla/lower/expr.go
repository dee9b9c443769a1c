package lower

import (
	"math"
	"math/bits"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

func (l *lowerer) mapped(m prim.Map, in []hlo.Value) hlo.Value {
	v := l.cast(l.expression(m.Expr, m.Compute, in, len(m.Shape)), elemOf(m.Out))
	return l.spread(v, m.Shape)
}

// spread broadcasts a value of rank 0, or of shape's rank, to shape.
func (l *lowerer) spread(v hlo.Value, shape []int) hlo.Value {
	dims := make([]int, len(v.Type.Shape))
	for i := range dims {
		dims[i] = i
	}
	return l.Broadcast(v, shape, dims)
}

// cast converts as prim does: anything but zero is true, floats truncate to integers.
func (l *lowerer) cast(v hlo.Value, e hlo.Elem) hlo.Value {
	from := v.Type.Elem
	switch {
	case from == e:
		return v
	case e == hlo.I1:
		return l.truth(v)
	case e == hlo.I64 && from.Float():
		return l.toInt(v)
	}
	return l.Convert(v, e)
}

func (l *lowerer) truth(v hlo.Value) hlo.Value {
	if v.Type.Elem == hlo.I1 {
		return v
	}
	return l.Compare("NE", v, l.full(v.Type, 0))
}

// toInt truncates toward zero; NaN and values beyond int64 give the smallest int64.
func (l *lowerer) toInt(v hlo.Value) hlo.Value {
	t := v.Type
	fits := l.Binary("and", l.Compare("GE", v, l.full(t, -(1<<63))), l.Compare("LT", v, l.full(t, 1<<63)))
	i := l.Convert(l.Select(fits, v, l.full(t, 0)), hlo.I64)
	return l.Select(fits, i, l.full(i.Type, math.MinInt64))
}

// expression evaluates e over operands of that rank. Every instruction has the
// broadcast shape of what it reads, rank 0 where that is constants only; the result
// is in the compute type, or I1 for a comparison.
func (l *lowerer) expression(e prim.Expr, compute prim.DType, in []hlo.Value, rank int) hlo.Value {
	c := elemOf(compute)
	read := make([]hlo.Value, len(in))
	v := make([]hlo.Value, len(e))
	for i, ins := range e {
		switch ins.Code {
		case prim.Arg:
			if !read[ins.Index].Valid() {
				read[ins.Index] = l.cast(in[ins.Index], c)
			}
			v[i] = read[ins.Index]
			continue
		case prim.Lit:
			v[i] = l.literal(c, ins.Value)
			continue
		}
		args := []hlo.Value{v[ins.A], v[ins.B], v[ins.C]}[:ins.Code.Arity()]
		bits := 63
		if ins.Code == prim.Pow && e[ins.B].Code == prim.Lit {
			bits = bitLength(e[ins.B].Value)
		}
		v[i] = l.apply(ins.Code, c, l.together(args), bits)
	}
	return v[len(v)-1]
}

func bitLength(v float64) int { return bits.Len64(uint64(max(prim.ToInt(v), 0))) }

// together broadcasts values to their common shape.
func (l *lowerer) together(args []hlo.Value) []hlo.Value {
	var shape []int
	for _, a := range args {
		switch s := a.Type.Shape; {
		case len(shape) == 0:
			shape = slices.Clone(s)
		case len(s) > 0:
			for k, n := range s {
				if n != 1 {
					shape[k] = n
				}
			}
		}
	}
	out := make([]hlo.Value, len(args))
	for i, a := range args {
		out[i] = l.spread(a, shape)
	}
	return out
}

// comparisons and plain operations that StableHLO has under another name.
var (
	comparisons = map[prim.Code]string{prim.Lt: "LT", prim.Le: "LE", prim.Eq: "EQ", prim.Ne: "NE"}
	logic       = map[prim.Code]string{prim.And: "and", prim.Or: "or", prim.Xor: "xor"}
	binaries    = map[prim.Code]string{prim.Add: "add", prim.Sub: "subtract", prim.Mul: "multiply", prim.Max: "maximum", prim.Min: "minimum"}
	exact       = map[prim.Code]string{prim.Neg: "negate", prim.Abs: "abs", prim.Sign: "sign"}
	floats      = map[prim.Code]string{
		prim.Floor: "floor", prim.Ceil: "ceil", prim.Round: "round_nearest_even", prim.Sqrt: "sqrt", prim.Rsqrt: "rsqrt",
		prim.Exp: "exponential", prim.Log: "log", prim.Log1p: "log_plus_one", prim.Tanh: "tanh", prim.Sigmoid: "logistic",
		prim.Sin: "sine", prim.Cos: "cosine",
	}
)

// apply writes one operation on operands of one shape. powBits bounds the bits of an
// integer exponent.
func (l *lowerer) apply(code prim.Code, c hlo.Elem, args []hlo.Value, powBits int) hlo.Value {
	if name, ok := logic[code]; ok {
		return l.Binary(name, l.truth(args[0]), l.truth(args[1]))
	}
	switch code {
	case prim.Not:
		return l.Unary("not", l.truth(args[0]))
	case prim.Select:
		return l.Select(l.truth(args[0]), l.Convert(args[1], c), l.Convert(args[2], c))
	}
	for i, a := range args {
		args[i] = l.Convert(a, c)
	}
	if name, ok := comparisons[code]; ok {
		return l.Compare(name, args[0], args[1])
	}
	if name, ok := binaries[code]; ok {
		return l.Binary(name, args[0], args[1])
	}
	if name, ok := exact[code]; ok {
		return l.Unary(name, args[0])
	}
	if c == hlo.I64 {
		return l.applyInt(code, args, powBits)
	}
	return l.applyFloat(code, args)
}

func (l *lowerer) applyFloat(code prim.Code, args []hlo.Value) hlo.Value {
	if name, ok := floats[code]; ok {
		return l.Unary(name, args[0])
	}
	x := args[0]
	switch code {
	case prim.Div:
		return l.Binary("divide", x, args[1])
	case prim.Pow:
		return l.Binary("power", x, args[1])
	case prim.FMod:
		return l.Binary("remainder", x, args[1])
	case prim.Mod:
		return l.mod(x, args[1])
	case prim.Recip:
		return l.Binary("divide", l.full(x.Type, 1), x)
	case prim.Erf:
		return l.Erf(x)
	case prim.IsNaN:
		return l.Compare("NE", x, x)
	case prim.IsInf:
		return l.Compare("EQ", l.Unary("abs", x), l.full(x.Type, math.Inf(1)))
	}
	return l.transcendental(code, x)
}

// mod gives the remainder the divisor's sign.
func (l *lowerer) mod(x, y hlo.Value) hlo.Value {
	r := l.Binary("remainder", x, y)
	zero := l.full(r.Type, 0)
	other := l.Compare("NE", l.Compare("LT", r, zero), l.Compare("LT", y, zero))
	wrong := l.Binary("and", other, l.Compare("NE", r, zero))
	return l.Select(wrong, l.Binary("add", r, y), r)
}

// applyInt writes an operation on I64: divisions by zero give 0, operations without
// an integer meaning go through float64.
func (l *lowerer) applyInt(code prim.Code, args []hlo.Value, powBits int) hlo.Value {
	x := args[0]
	t := x.Type
	switch code {
	case prim.Floor, prim.Ceil, prim.Round:
		return x
	case prim.IsNaN, prim.IsInf:
		return l.Compare("NE", x, x)
	case prim.Pow:
		return l.powInt(x, args[1], powBits)
	case prim.Recip:
		return l.quotient("divide", l.full(t, 1), x)
	case prim.Div:
		return l.quotient("divide", x, args[1])
	case prim.FMod:
		return l.quotient("remainder", x, args[1])
	case prim.Mod:
		r, y := l.quotient("remainder", x, args[1]), args[1]
		zero := l.full(t, 0)
		other := l.Compare("NE", l.Compare("LT", r, zero), l.Compare("LT", y, zero))
		wrong := l.Binary("and", l.Binary("and", other, l.Compare("NE", r, zero)), l.Compare("NE", y, zero))
		return l.Select(wrong, l.Binary("add", r, y), r)
	}
	wide := make([]hlo.Value, len(args))
	for i, a := range args {
		wide[i] = l.Convert(a, hlo.F64)
	}
	return l.cast(l.applyFloat(code, wide), hlo.I64)
}

// quotient writes an integer division or remainder that is defined for every operand:
// divisors 0 and -1 are taken out.
func (l *lowerer) quotient(name string, x, y hlo.Value) hlo.Value {
	t := x.Type
	zero, minus := l.full(t, 0), l.full(t, -1)
	byZero, byMinus := l.Compare("EQ", y, zero), l.Compare("EQ", y, minus)
	safe := l.Select(l.Binary("or", byZero, byMinus), l.full(t, 1), y)
	q := l.Binary(name, x, safe)
	if name == "divide" {
		q = l.Select(byMinus, l.Unary("negate", x), q)
	}
	return l.Select(byZero, zero, q)
}

// powInt squares and multiplies over that many bits of the exponent.
func (l *lowerer) powInt(x, y hlo.Value, bits int) hlo.Value {
	t := x.Type
	zero, one, minus := l.full(t, 0), l.full(t, 1), l.full(t, -1)
	odd := l.Compare("NE", l.Binary("and", y, one), zero)
	r, base, rest := one, x, y
	for k := range bits {
		if k > 0 {
			base = l.Binary("multiply", base, base)
			rest = l.Binary("shift_right_logical", rest, one)
		}
		r = l.Select(l.Compare("NE", l.Binary("and", rest, one), zero), l.Binary("multiply", r, base), r)
	}
	unit := l.Select(l.Compare("EQ", x, minus), l.Select(odd, minus, one), zero)
	negative := l.Select(l.Compare("EQ", x, one), one, unit)
	return l.Select(l.Compare("LT", y, zero), negative, r)
}
