package prim

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

// codeArgs draws operands at which c is smooth.
func codeArgs(c Code, r *rng.Stream) []float64 {
	a := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
	switch c {
	case Sqrt, Rsqrt, Log, Log1p, Pow:
		a[0] = math.Abs(a[0]) + 0.5
	case Asin, Acos, Atanh:
		a[0] = math.Tanh(a[0]) * 0.9
	case Acosh:
		a[0] = math.Abs(a[0]) + 1.5
	case Div, Recip, Mod, FMod:
		a[1] = math.Copysign(math.Abs(a[1])+0.5, a[1])
		if c == Recip {
			a[0] = math.Copysign(math.Abs(a[0])+0.5, a[0])
		}
	case Tan:
		a[0] = math.Tanh(a[0])
	}
	return a[:max(c.Arity(), 1)]
}

// near reports operands within h of a point where c jumps or bends.
func near(c Code, a []float64) bool {
	const h = 1e-2
	frac := func(v float64) bool { return math.Abs(v-math.Round(v)) < h }
	switch c {
	case Mod, FMod:
		return frac(a[0] / a[1])
	case Max, Min, Lt, Le, Eq, Ne:
		return math.Abs(a[0]-a[1]) < h
	case Floor, Ceil:
		return frac(a[0])
	case Round:
		return frac(a[0] + 0.5)
	}
	return math.Abs(a[0]) < h
}

func TestDiff(t *testing.T) {
	r := rng.New(1, "prim/diff")
	for c := Add; c < numCodes; c++ {
		args := []*X{A(0), A(1), A(2)}[:c.Arity()]
		// The operation inside a product and a sum, so that the chain rule is used too.
		for name, e := range map[string]Expr{"alone": E(Op(c, args...)), "inside": E(Op(Add, Op(Mul, A(0), Op(c, args...)), A(0)))} {
			for range 20 {
				a := codeArgs(c, r)
				if near(c, a) {
					continue
				}
				for k := range args {
					got := 0.0
					if d := e.Diff(k); d != nil {
						got = E(d).Float(a...)
					}
					at := func(step float64) float64 {
						b := append([]float64{}, a...)
						b[k] += step
						return e.Float(b...)
					}
					const h = 1e-3
					want := (at(-2*h) - 8*at(-h) + 8*at(h) - at(2*h)) / (12 * h)
					if !(math.Abs(got-want) <= 1e-7*max(1, math.Abs(want))) {
						t.Errorf("%s %s at %v, operand %d: finite difference %g, derivative %g", c, name, a, k, want, got)
					}
				}
			}
		}
	}
}

func TestDiffAtKinks(t *testing.T) {
	for _, c := range []struct {
		name string
		e    *X
		at   float64
		want float64
	}{
		{"relu at 0", Op(Max, A(0), L(0)), 0, 0},
		{"relu, bound first, at 0", Op(Max, L(0), A(0)), 0, 0},
		{"relu above", Op(Max, A(0), L(0)), 2, 1},
		{"min above", Op(Min, L(6), A(0)), 7, 0},
		{"guarded log", Op(Select, Op(Lt, L(0), A(0)), Op(Log, A(0)), L(0)), 0, 0},
		{"square root of square", Op(Pow, A(0), L(2)), 0, 0},
	} {
		if got := E(E(c.e).Diff(0)).Float(c.at); got != c.want {
			t.Errorf("%s: want %g, got %g", c.name, c.want, got)
		}
	}
	zero := E(Op(Pow, A(0), A(1)))
	if got := E(zero.Diff(1)).Float(0, 2); got != 0 {
		t.Errorf("d 0^y / dy at 2: want 0, got %g", got)
	}
	if E(Op(Floor, A(0))).Diff(0) != nil || E(Op(Lt, A(0), L(1))).Diff(0) != nil {
		t.Error("steps: want no derivative")
	}
}

func TestSimplifyExpr(t *testing.T) {
	x := A(0)
	for _, c := range []struct {
		in   *X
		d    DType
		want string
	}{
		{Op(Mul, x, L(1)), F32, "a0"},
		{Op(Add, L(0), Op(Mul, L(1), x)), F32, "a0"},
		{Op(Add, L(2), L(3)), F32, "5"},
		{Op(Div, L(7), L(2)), I64, "3"},
		{Op(Div, L(7), L(2)), F32, "3.5"},
		{Op(Div, L(1), L(0)), I64, "0"},
		{Op(Div, x, L(4)), F32, "a0 0.25 mul(0,1)"},
		{Op(Div, x, L(3)), F32, "a0 3 div(0,1)"},
		{Op(Div, x, L(4)), I64, "a0 4 div(0,1)"},
		{Op(Div, L(1), Op(Sqrt, x)), F32, "a0 rsqrt(0)"},
		{Op(Pow, x, L(2)), F32, "a0 mul(0,0)"},
		{Op(Pow, x, L(0.5)), F32, "a0 sqrt(0)"},
		{Op(Neg, Op(Neg, x)), F32, "a0"},
		{Op(Sub, x, Op(Neg, A(1))), F32, "a0 a1 add(0,1)"},
		{Op(Select, L(1), x, A(1)), F32, "a0"},
		{Op(Select, A(1), x, x), F32, "a0"},
		{Op(Mul, x, L(0)), F32, "a0 0 mul(0,1)"},
		{Op(Add, Op(Exp, x), Op(Exp, x)), F32, "2 a0 exp(1) mul(0,2)"},
	} {
		if got := E(c.in).Simplify(c.d).String(); got != c.want {
			t.Errorf("%s in %s: want %q, got %q", E(c.in), c.d, c.want, got)
		}
	}
}

// TestSimplifyKeepsValues compares random expressions before and after.
func TestSimplifyKeepsValues(t *testing.T) {
	r := rng.New(1, "prim/simplify")
	for range 3000 {
		// Without division, since the sign of a zero may change.
		e := E(randomExpr(r, 5, Add, Sub, Mul, Max, Min, Neg, Abs, Select, Lt, Sign, Floor, Exp))
		s := e.Simplify(F64)
		a := []float64{r.NormFloat64(), r.NormFloat64()}
		want, got := e.Float(a...), s.Float(a...)
		if want != got && !(want != want && got != got) && math.Abs(want-got) > 1e-9*math.Abs(want) {
			t.Fatalf("%s at %v: want %g, got %g of %s", e, a, want, got, s)
		}
		e = E(randomExpr(r, 5, Add, Sub, Mul, Div, Max, Min, Neg, Abs, Select, Lt, Recip, Sign, Mod, FMod, Pow))
		i := []int64{int64(r.IntN(9)) - 4, int64(r.IntN(9)) - 4}
		if want, got := e.Int(i...), e.Simplify(I64).Int(i...); want != got {
			t.Fatalf("%s at %v: want %d, got %d of %s", e, i, want, got, e.Simplify(I64))
		}
	}
}

func randomExpr(r *rng.Stream, depth int, codes ...Code) *X {
	if depth == 0 || r.IntN(5) == 0 {
		if r.IntN(2) == 0 {
			return A(r.IntN(2))
		}
		return L(float64(r.IntN(5) - 2))
	}
	c := codes[r.IntN(len(codes))]
	args := make([]*X, c.Arity())
	for i := range args {
		args[i] = randomExpr(r, depth-1, codes...)
	}
	return Op(c, args...)
}

func TestIntegerEdges(t *testing.T) {
	for _, c := range []struct {
		code    Code
		x, y, w int64
	}{
		{Div, 7, 0, 0}, {Mod, 7, 0, 0}, {FMod, 7, 0, 0}, {Recip, 0, 0, 0}, {Div, -7, 2, -3}, {Mod, -7, 2, 1}, {FMod, -7, 2, -1}, {Mod, 7, -2, -1},
		{Div, math.MinInt64, -1, math.MinInt64}, {Abs, math.MinInt64, 0, math.MinInt64}, {Pow, 3, 4, 81}, {Pow, 2, -1, 0}, {Pow, -1, -3, -1},
		{Pow, 0, 0, 1}, {Sign, -9, 0, -1}, {Not, 0, 0, 1}, {Xor, 2, 3, 0}, {Xor, 2, 0, 1}, {And, 4, 2, 1}, {Sqrt, 17, 0, 4}, {IsNaN, 3, 0, 0},
	} {
		if got := c.code.Int(c.x, c.y, 0); got != c.w {
			t.Errorf("%s(%d, %d): want %d, got %d", c.code, c.x, c.y, c.w, got)
		}
	}
	if ToInt(math.NaN()) != math.MinInt64 || ToInt(1e30) != math.MinInt64 || ToInt(-2.9) != -2 {
		t.Error("ToInt: want truncation, and the smallest integer out of range")
	}
}

func TestFloatEdges(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		code       Code
		x, y, want float64
	}{
		{Max, nan, inf, nan}, {Max, inf, nan, nan}, {Min, -inf, nan, nan}, {Mod, -7, 2, 1}, {Mod, 7, -2, -1}, {Mod, 1, 0, nan}, {FMod, -7, 2, -1},
		{Round, 2.5, 0, 2}, {Round, -1.5, 0, -2}, {Sign, nan, 0, nan}, {Sigmoid, -1000, 0, 0}, {Sigmoid, 1000, 0, 1}, {Lt, nan, 1, 0}, {Ne, nan, nan, 1},
		{And, nan, 1, 1}, {IsInf, -inf, 0, 1}, {IsNaN, nan, 0, 1}, {Pow, 1, nan, 1}, {Pow, -8, 1.0 / 3, nan}, {Rsqrt, 0, 0, inf},
	} {
		got := c.code.Float(c.x, c.y, 0)
		if got != c.want && !(got != got && c.want != c.want) {
			t.Errorf("%s(%g, %g): want %g, got %g", c.code, c.x, c.y, c.want, got)
		}
	}
}
