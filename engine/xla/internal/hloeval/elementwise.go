package hloeval

import (
	"math"
	"slices"
)

// binaryFloat and binaryInt are the elementwise operations of two operands.
var binaryFloat = map[string]func(x, y float64) float64{
	"stablehlo.add": func(x, y float64) float64 { return x + y }, "stablehlo.subtract": func(x, y float64) float64 { return x - y },
	"stablehlo.multiply": func(x, y float64) float64 { return x * y }, "stablehlo.divide": func(x, y float64) float64 { return x / y },
	"stablehlo.maximum": maximum, "stablehlo.minimum": func(x, y float64) float64 { return -maximum(-x, -y) },
	"stablehlo.power": math.Pow, "stablehlo.remainder": math.Mod, "stablehlo.atan2": math.Atan2,
}

var binaryInt = map[string]func(elem string, x, y int64) int64{
	"stablehlo.add":      func(e string, x, y int64) int64 { return either(e, x|y, x+y) },
	"stablehlo.subtract": func(_ string, x, y int64) int64 { return x - y },
	"stablehlo.multiply": func(e string, x, y int64) int64 { return either(e, x&y, x*y) },
	"stablehlo.maximum":  func(_ string, x, y int64) int64 { return max(x, y) },
	"stablehlo.minimum":  func(_ string, x, y int64) int64 { return min(x, y) },
	"stablehlo.and":      func(_ string, x, y int64) int64 { return x & y },
	"stablehlo.or":       func(_ string, x, y int64) int64 { return x | y },
	"stablehlo.xor":      func(_ string, x, y int64) int64 { return x ^ y },
	"stablehlo.divide":   func(e string, x, y int64) int64 { return integerDivide(e, x, y, func() int64 { return x / y }) },
	"stablehlo.remainder": func(e string, x, y int64) int64 {
		return integerDivide(e, x, y, func() int64 { return x % y })
	},
	"stablehlo.shift_right_logical": func(e string, x, y int64) int64 {
		if y < 0 || y >= 64 || e != "i64" {
			return Undefined
		}
		return int64(uint64(x) >> uint(y))
	},
}

// maximum is a NaN if either operand is.
func maximum(x, y float64) float64 {
	if x != x || y != y {
		return math.NaN()
	}
	return math.Max(x, y)
}

// either gives logic for booleans and arithmetic for numbers.
func either(elem string, logic, number int64) int64 {
	if elem == "i1" {
		return logic
	}
	return number
}

func integerDivide(elem string, x, y int64, f func() int64) int64 {
	lowest := map[string]int64{"i64": math.MinInt64, "i32": math.MinInt32}[elem]
	if y == 0 || (y == -1 && x == lowest) {
		return Undefined
	}
	return f()
}

var unaryFloat = map[string]func(float64) float64{
	"stablehlo.negate": func(x float64) float64 { return -x }, "stablehlo.abs": math.Abs, "stablehlo.floor": math.Floor, "stablehlo.ceil": math.Ceil,
	"stablehlo.round_nearest_even": math.RoundToEven, "stablehlo.sqrt": math.Sqrt, "stablehlo.rsqrt": func(x float64) float64 { return 1 / math.Sqrt(x) },
	"stablehlo.exponential": math.Exp, "stablehlo.exponential_minus_one": math.Expm1, "stablehlo.log": math.Log, "stablehlo.log_plus_one": math.Log1p,
	"stablehlo.tanh": math.Tanh, "stablehlo.logistic": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"stablehlo.sine": math.Sin, "stablehlo.cosine": math.Cos, "chlo.erf": math.Erf,
	"stablehlo.sign": func(x float64) float64 {
		if x == 0 || x != x {
			return x
		}
		return math.Copysign(1, x)
	},
}

var unaryInt = map[string]func(elem string, x int64) int64{
	"stablehlo.negate": func(_ string, x int64) int64 { return -x },
	"stablehlo.not":    func(_ string, x int64) int64 { return ^x },
	"stablehlo.abs": func(_ string, x int64) int64 {
		if x < 0 {
			return -x
		}
		return x
	},
	"stablehlo.sign": func(_ string, x int64) int64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	},
}

func unary(o *op, in []*Tensor) *Tensor {
	x := in[0]
	out := New(x.Type)
	if f, ok := unaryFloat[o.name]; ok && x.Float() {
		for i, v := range x.F {
			out.setF(i, f(v))
		}
		return out
	}
	f, ok := unaryInt[o.name]
	if !ok || x.Float() {
		fail("%s: not for %s", o.name, x.Elem)
	}
	for i, v := range x.I {
		out.setI(i, f(x.Elem, v))
	}
	return out
}

func binary(o *op, in []*Tensor) *Tensor {
	x, y := in[0], in[1]
	if !x.Type.Equal(y.Type) {
		fail("%s: want operands of one type, got %v and %v", o.name, x.Type, y.Type)
	}
	out := New(x.Type)
	if f, ok := binaryFloat[o.name]; ok && x.Float() {
		for i, v := range x.F {
			out.setF(i, f(v, y.F[i]))
		}
		return out
	}
	f, ok := binaryInt[o.name]
	if !ok || x.Float() {
		fail("%s: not for %s", o.name, x.Elem)
	}
	for i, v := range x.I {
		out.setI(i, f(x.Elem, v, y.I[i]))
	}
	return out
}

func compare(o *op, in []*Tensor) *Tensor {
	x, y := in[0], in[1]
	if !x.Type.Equal(y.Type) {
		fail("compare: want operands of one type, got %v and %v", x.Type, y.Type)
	}
	kind := o.enum("compare_type", "comparison_type", "FLOAT", "SIGNED", "UNSIGNED")
	want := "SIGNED"
	switch {
	case x.Float():
		want = "FLOAT"
	case x.Elem == "i1":
		want = "UNSIGNED"
	}
	if kind != want {
		fail("compare: compare_type: want %s for %s, got %s", want, x.Elem, kind)
	}
	direction := o.enum("comparison_direction", "comparison_direction", "EQ", "NE", "GE", "GT", "LE", "LT")
	out := New(Type{"i1", x.Shape})
	for i := range out.I {
		var less, equal, more bool
		if x.Float() {
			less, equal, more = x.F[i] < y.F[i], x.F[i] == y.F[i], x.F[i] > y.F[i]
		} else {
			less, equal, more = x.I[i] < y.I[i], x.I[i] == y.I[i], x.I[i] > y.I[i]
		}
		if map[string]bool{"EQ": equal, "NE": !equal, "GE": more || equal, "GT": more, "LE": less || equal, "LT": less}[direction] {
			out.I[i] = 1
		}
	}
	return out
}

func choose(o *op, in []*Tensor) *Tensor {
	cond, x, y := in[0], in[1], in[2]
	if !x.Type.Equal(y.Type) || cond.Elem != "i1" || (len(cond.Shape) > 0 && !slices.Equal(cond.Shape, x.Shape)) {
		fail("select: got %v, %v and %v", cond.Type, x.Type, y.Type)
	}
	out := New(x.Type)
	for i := range out.Len() {
		c := cond.I[0]
		if len(cond.Shape) > 0 {
			c = cond.I[i]
		}
		if c != 0 {
			out.copyFrom(i, x, i)
		} else {
			out.copyFrom(i, y, i)
		}
	}
	return out
}

func convert(o *op, in []*Tensor) *Tensor {
	x := in[0]
	out := New(Type{o.out.Elem, x.Shape})
	for i := range out.Len() {
		switch {
		case x.Float() && out.Float():
			out.setF(i, x.F[i])
		case out.Float():
			out.setF(i, float64(x.I[i]))
		case !x.Float():
			if out.Elem == "i1" && x.I[i] != 0 {
				out.I[i] = 1
				continue
			}
			out.setI(i, x.I[i])
		case out.Elem == "i1":
			fail("convert: from %s to i1", x.Elem)
		default:
			limit := map[string]float64{"i64": 1 << 63, "i32": 1 << 31}[out.Elem]
			out.I[i] = Undefined
			if v := math.Trunc(x.F[i]); v >= -limit && v < limit {
				out.I[i] = int64(v)
			}
		}
	}
	return out
}

func isFinite(o *op, in []*Tensor) *Tensor {
	x := in[0]
	out := New(Type{"i1", x.Shape})
	for i, v := range x.F {
		if v-v == 0 {
			out.I[i] = 1
		}
	}
	return out
}
