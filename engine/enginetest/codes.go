package enginetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// codeRule states how one operation is judged in F32: the relative tolerance
// (beside an absolute one of the smallest normal number, since results below it
// may be flushed to zero) and the magnitude beyond which finite operands are not judged.
type codeRule struct {
	code  prim.Code
	rel   float64
	limit float64
}

// codeRules lists every operation with operands. Zero rel means exact.
func codeRules() []codeRule {
	const any = math.MaxFloat64
	return []codeRule{
		{prim.Add, 1e-7, any}, {prim.Sub, 1e-7, any}, {prim.Mul, 1e-7, any}, {prim.Div, 2e-7, any}, {prim.Max, 0, any}, {prim.Min, 0, any},
		{prim.Pow, 2e-5, 1e4}, {prim.Mod, 1e-6, 1e4}, {prim.FMod, 1e-6, 1e4},
		{prim.Lt, 0, any}, {prim.Le, 0, any}, {prim.Eq, 0, any}, {prim.Ne, 0, any}, {prim.And, 0, any}, {prim.Or, 0, any}, {prim.Xor, 0, any},
		{prim.Select, 0, any}, {prim.Neg, 0, any}, {prim.Abs, 0, any}, {prim.Sign, 0, any}, {prim.Floor, 0, any}, {prim.Ceil, 0, any}, {prim.Round, 0, any},
		{prim.Sqrt, 2e-7, any}, {prim.Rsqrt, 1e-6, any}, {prim.Recip, 5e-7, any},
		{prim.Exp, 2e-6, any}, {prim.Log, 2e-6, any}, {prim.Log1p, 2e-6, any}, {prim.Tanh, 2e-6, any}, {prim.Sigmoid, 2e-6, any}, {prim.Erf, 2e-6, any},
		{prim.Sin, 5e-6, 100}, {prim.Cos, 5e-6, 100}, {prim.Tan, 2e-5, 10}, {prim.Asin, 5e-6, any}, {prim.Acos, 5e-6, any}, {prim.Atan, 5e-6, any},
		{prim.Sinh, 5e-6, any}, {prim.Cosh, 5e-6, any}, {prim.Asinh, 5e-6, any}, {prim.Acosh, 5e-6, any}, {prim.Atanh, 5e-6, any},
		{prim.Not, 0, any}, {prim.IsNaN, 0, any}, {prim.IsInf, 0, any},
	}
}

// specials are the values that every operation meets, in pairs.
var specials = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, 2, -2, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, -3,
	1e-3, -1e-3, 1e-20, 1e-40, -1e-40, 10, -10, 50, -50, 80, -80, 90, -90, 110, -110, 1e4, 1e10, -1e10, 3e38, -3e38}

// grid returns three operands: every pair of values, and a third that cycles.
func grid(values []float64) [3]*prim.Tensor {
	var out [3]*prim.Tensor
	n := len(values)
	for k := range out {
		out[k] = prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{n * n}})
	}
	for i := range n * n {
		out[0].F64[i], out[1].F64[i], out[2].F64[i] = values[i/n], values[i%n], values[(i*7+i/n)%n]
	}
	return out
}

func runCodes(t *testing.T, b engine.Backend) {
	random := rng.New(1, "enginetest/codes")
	for _, rule := range codeRules() {
		values := []float64{}
		for _, v := range specials {
			if v != v || math.IsInf(v, 0) || math.Abs(v) <= rule.limit {
				values = append(values, v)
			}
		}
		for range 40 {
			v := random.NormFloat64() * math.Pow(10, float64(random.IntN(4)-2))
			values = append(values, math.Copysign(min(math.Abs(v), rule.limit), v))
		}
		for _, d := range []prim.DType{prim.F32, prim.F64} {
			t.Run(fmt.Sprintf("%s/%s", rule.code, d), func(t *testing.T) {
				tol := Tolerance{Abs: 1.2e-38, Rel: rule.rel}
				if rule.code == prim.Sin || rule.code == prim.Cos || rule.code == prim.Tan || rule.code == prim.Acos || rule.code == prim.Mod || rule.code == prim.FMod || rule.code == prim.Log {
					tol.Abs = rule.rel
				}
				if d == prim.F64 && rule.rel > 0 {
					tol = Tolerance{Abs: 1e-13, Rel: 1e-12}
				}
				compareCode(t, b, rule.code, d, grid(values), tol)
			})
		}
		if !hasIntegerMeaning(rule.code) {
			continue
		}
		t.Run(fmt.Sprintf("%s/i64", rule.code), func(t *testing.T) {
			in := grid([]float64{0, 1, -1, 2, -2, 3, -3, 7, -7, 10, 63, 1 << 40, -(1 << 40)})
			for k := range in {
				in[k] = in[k].Cast(prim.I64)
				for i := range in[k].I64 {
					switch in[k].I64[i] {
					case 1 << 40:
						in[k].I64[i] = math.MaxInt64
					case -(1 << 40):
						in[k].I64[i] = math.MinInt64
					}
				}
			}
			compareCode(t, b, rule.code, prim.I64, in, Tolerance{})
		})
	}
}

// hasIntegerMeaning reports the operations that stay exact in I64.
func hasIntegerMeaning(c prim.Code) bool {
	return c < prim.Sqrt || c == prim.Not
}

func compareCode(t *testing.T, b engine.Backend, c prim.Code, d prim.DType, in [3]*prim.Tensor, tol Tolerance) {
	t.Helper()
	bld := prim.NewBuilder()
	feed := map[string]*prim.Tensor{}
	args := []*prim.X{prim.A(0), prim.A(1), prim.A(2)}[:c.Arity()]
	var ids []prim.ID
	for i := range args {
		name := fmt.Sprint("in", i)
		feed[name] = in[i].Cast(d)
		ids = append(ids, bld.Input(name, feed[name].Type))
	}
	bld.Output("value", bld.MapAs(d, d, prim.Op(c, args...), ids...))
	bld.Output("bool", bld.MapAs(d, prim.Bool, prim.Op(prim.Lt, prim.L(0.5), prim.Op(c, args...)), ids...))
	p, err := bld.Program()
	if err != nil {
		t.Fatal(err)
	}
	if tol.Rel > 0 {
		p.Outputs = p.Outputs[:1]
	}
	skipLimited(t, b, p, d)
	compare(t, b, p, feed, tol)
}

// runCasts converts every dtype to every other, through every compute type.
func runCasts(t *testing.T, b engine.Backend) {
	all := []prim.DType{prim.F32, prim.F64, prim.I64, prim.Bool}
	random := rng.New(1, "enginetest/casts")
	x := integers(random, -40, 40, 7, 33).Cast(prim.F64)
	for i := range x.F64 {
		x.F64[i] /= 8
	}
	for _, from := range all {
		for _, compute := range all[:3] {
			for _, to := range all {
				t.Run(fmt.Sprintf("%s_%s_%s", from, compute, to), func(t *testing.T) {
					bld := prim.NewBuilder()
					in := bld.Input("x", prim.Type{DType: from, Shape: x.Shape})
					bld.Output("y", bld.MapAs(compute, to, prim.A(0), in))
					bld.Output("sum", bld.MapAs(compute, to, prim.Op(prim.Add, prim.A(0), prim.A(1)), in, bld.Input("z", prim.Type{DType: prim.I64, Shape: []int{33}})))
					p, err := bld.Program()
					if err != nil {
						t.Fatal(err)
					}
					skipLimited(t, b, p, compute)
					compare(t, b, p, map[string]*prim.Tensor{"x": x.Cast(from), "z": integers(random, -3, 3, 33)}, Tolerance{})
				})
			}
		}
	}
}
