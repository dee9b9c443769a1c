package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

// bound is the stated error of the vector form of an operation: the result lies
// within rel·|y| + abs of the float64 value y rounded to float32.
var bounds = map[prim.Code]struct{ rel, abs float64 }{
	prim.Exp: {3e-7, 1e-44}, prim.Log: {2e-7, 1e-7}, prim.Tanh: {5e-7, 0}, prim.Sigmoid: {4e-7, 1.2e-38},
	prim.Erf: {5e-7, 0}, prim.Rsqrt: {1.3e-7, 0},
	prim.Sqrt: {6e-8, 0}, prim.Recip: {6e-8, 1e-45},
}

func TestVectorUnaryAgainstFloat64(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var xs []float32
	for range 200003 {
		e := math.Exp(r.Float64()*24 - 16)
		if r.IntN(2) == 0 {
			e = -e
		}
		xs = append(xs, float32(e))
	}
	for x := float32(-110); x < 110; x += 0.01 {
		xs = append(xs, x)
	}
	inf := float32(math.Inf(1))
	xs = append(xs, 0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), 1e-42, 1e-38, math.MaxFloat32, -math.MaxFloat32, 0.5, -0.5, 2.5, 3.5, 0.49999997)
	for c := prim.Neg; c <= prim.IsInf; c++ {
		e := prim.E(prim.Op(c, prim.A(0)))
		m := prim.Map{Expr: e, Compute: prim.F32, Out: prim.F32, Shape: []int{len(xs)}}
		backends(func(name string, b *Backend) {
			got := runOne(t, b, m, prim.F32Tensor(xs, len(xs))).F32
			tol, listed := bounds[c]
			if !listed {
				tol.rel, tol.abs = 6e-8, 1e-45
			}
			worst := 0.0
			for i, x := range xs {
				want := c.Float(float64(x), 0, 0)
				w32, g := float32(want), float64(got[i])
				if w32 == got[i] || want != want && g != g {
					continue
				}
				d := math.Abs(g - want)
				if !(d <= tol.rel*math.Abs(want)+tol.abs) {
					t.Errorf("%s (%s) at %g: want %g, got %g", c, name, x, want, g)
					return
				}
				worst = max(worst, d/max(math.Abs(want), 1e-30))
			}
		})
	}
}

// randomExpr returns an expression of some operations over n operands.
func randomExpr(r *rand.Rand, n int) *prim.X {
	xs := []*prim.X{prim.L(0.5), prim.L(-2)}
	for i := range n {
		xs = append(xs, prim.A(i), prim.A(i))
	}
	codes := []prim.Code{prim.Add, prim.Sub, prim.Mul, prim.Max, prim.Min, prim.Lt, prim.Le, prim.Select, prim.Neg, prim.Abs, prim.Tanh, prim.Sigmoid, prim.Sin}
	for range 1 + r.IntN(8) {
		c := codes[r.IntN(len(codes))]
		args := make([]*prim.X, c.Arity())
		for i := range args {
			args[i] = xs[r.IntN(len(xs))]
		}
		xs = append(xs, prim.Op(c, args...))
	}
	return xs[len(xs)-1]
}

// evalExpr is the expression at one point, in float64.
func evalExpr(e prim.Expr, args []float64) float64 {
	v := make([]float64, len(e))
	for i, in := range e {
		switch in.Code {
		case prim.Arg:
			v[i] = args[in.Index]
		case prim.Lit:
			v[i] = in.Value
		default:
			v[i] = in.Code.Float(v[in.A], v[in.B], v[in.C])
		}
	}
	return v[len(e)-1]
}

// elements calls f with the operands' values at every index of shape, in order.
func elements(shape []int, in []*prim.Tensor, f func(index []int, args []float64)) {
	index, args := make([]int, len(shape)), make([]float64, len(in))
	for i := range prim.Prod(shape) {
		for k := len(shape) - 1; k >= 0; k-- {
			index[k] = i % shape[k]
			i /= shape[k]
		}
		for j, t := range in {
			at := 0
			for k, n := range t.Shape {
				at *= n
				if n > 1 {
					at += index[k]
				}
			}
			args[j] = t.Float(at)
		}
		f(index, args)
	}
}

var domains = [][]int{{}, {1}, {7}, {8}, {1000}, {40000}, {3, 5}, {64, 100}, {4, 16, 300}, {6, 5, 49}, {2, 3, 4, 5}, {33, 1, 65}, {9, 130, 3}, {300, 2, 70}, {20, 1000}}

// broadcastOperands returns random operands that broadcast to shape, the first of full shape.
func broadcastOperands(r *rand.Rand, shape []int) []*prim.Tensor {
	var in []*prim.Tensor
	for j := range 3 {
		s := slices.Clone(shape)
		for k := range s {
			if j > 0 && r.IntN(2) == 0 {
				s[k] = 1
			}
		}
		x := randomTensor(r, s...)
		switch {
		case j == 2 && r.IntN(3) == 0:
			in = append(in, x.Cast(prim.I64))
		case j == 2 && r.IntN(3) == 0:
			in = append(in, x.Cast(prim.Bool))
		default:
			in = append(in, x)
		}
	}
	return in
}

func TestMapAgainstLoops(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 8 {
		for _, shape := range domains {
			in := broadcastOperands(r, shape)
			e := prim.E(randomExpr(r, len(in)))
			out := []prim.DType{prim.F32, prim.F32, prim.F64, prim.I64, prim.Bool}[r.IntN(5)]
			if out == prim.I64 || out == prim.Bool {
				e = prim.E(prim.Op(prim.Lt, e.X(), prim.L(0.1)))
			}
			var want []float64
			elements(shape, in, func(_ []int, args []float64) { want = append(want, evalExpr(e, args)) })
			backends(func(name string, b *Backend) {
				got := runOne(t, b, prim.Map{Expr: e, Compute: prim.F32, Out: out, Shape: shape}, in...)
				for i, w := range want {
					if g := got.Float(i); !(math.Abs(g-w) <= 1e-5*(1+math.Abs(w))) {
						t.Fatalf("round %d, %v, %s, %s: element %d: want %g, got %g", round, shape, e, name, i, w, g)
					}
				}
			})
		}
	}
}

func TestReduceAgainstLoops(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 12 {
		for _, shape := range append(domains, []int{70000}, []int{3000, 40}, []int{2, 50000}, []int{500, 3, 64}, []int{40, 33, 9}, []int{3, 50, 7, 12}) {
			in := broadcastOperands(r, shape)
			e := prim.E(randomExpr(r, len(in)))
			op := prim.ReduceOp(r.IntN(4))
			var axes []int
			kept := slices.Clone(shape)
			for k := range shape {
				if r.IntN(2) == 0 {
					axes = append(axes, k)
					kept[k] = 1
				}
			}
			if op == prim.ReduceProd {
				e = prim.E(prim.Op(prim.Select, prim.Op(prim.Lt, prim.A(0), prim.L(0)), prim.L(-1-0x1p-14), prim.L(1+0x1p-14)))
			}
			n := prim.Prod(kept)
			want, scale := make([]float64, n), make([]float64, n)
			for i := range want {
				want[i] = identity(op)
			}
			elements(shape, in, func(index []int, args []float64) {
				at := 0
				for k, s := range kept {
					at *= s
					if s > 1 {
						at += index[k]
					}
				}
				v := evalExpr(e, args)
				want[at] = fold(op, want[at], v)
				scale[at] += math.Abs(v)
			})
			backends(func(name string, b *Backend) {
				got := runOne(t, b, prim.Reduce{Expr: e, Op: op, Axes: axes, Compute: prim.F32, Shape: shape}, in...)
				for i, w := range want {
					tol := 1e-5*(1+math.Abs(w)) + 1e-6*scale[i]
					if op == prim.ReduceProd {
						tol = 1e-3 * math.Abs(w)
					}
					if d := math.Abs(float64(got.F32[i]) - w); !(d <= tol) && !(math.IsInf(w, 0) && float64(got.F32[i]) == w) {
						t.Fatalf("round %d, %v over %v, %s %s, %s: element %d: want %g, got %g", round, shape, axes, op, e, name, i, w, got.F32[i])
					}
				}
			})
		}
	}
}

// BenchmarkMap times elementwise work on a first-stage activation of ResNet-20.
func BenchmarkMap(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x, y := randomTensor(r, 128, 16, 32, 32), randomTensor(r, 128, 16, 32, 32)
	c := randomTensor(r, 1, 16, 1, 1)
	for i := range c.F32 {
		c.F32[i] = c.F32[i]*c.F32[i] + 1
	}
	A, L, Op := prim.A, prim.L, prim.Op
	norm := Op(prim.Add, Op(prim.Mul, Op(prim.Mul, Op(prim.Sub, A(0), A(1)), Op(prim.Rsqrt, Op(prim.Add, A(2), L(1e-5)))), A(3)), A(4))
	for _, k := range []struct {
		name string
		e    *prim.X
		in   []*prim.Tensor
	}{
		{"relu", Op(prim.Max, A(0), L(0)), []*prim.Tensor{x}},
		{"add-relu", Op(prim.Max, Op(prim.Add, A(0), A(1)), L(0)), []*prim.Tensor{x, y}},
		{"bn-relu", Op(prim.Max, norm, L(0)), []*prim.Tensor{x, c, c, c, c}},
		{"relu-grad", Op(prim.Select, Op(prim.Lt, L(0), A(0)), A(1), L(0)), []*prim.Tensor{x, y}},
		{"exp", Op(prim.Exp, A(0)), []*prim.Tensor{x}},
		{"tanh", Op(prim.Tanh, A(0)), []*prim.Tensor{x}},
		{"erf", Op(prim.Erf, A(0)), []*prim.Tensor{x}},
	} {
		bytes := 4 * x.Len()
		for _, t := range k.in {
			bytes += 4 * t.Len()
		}
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/t%d", k.name, threads), func(b *testing.B) {
				b.SetBytes(int64(bytes))
				benchOne(b, New(Options{Threads: threads}), 0, prim.Map{Expr: prim.E(k.e), Compute: prim.F32, Out: prim.F32, Shape: x.Shape}, k.in...)
			})
		}
	}
	for _, k := range []struct {
		name string
		e    *prim.X
		axes []int
	}{
		{"sum-c", A(0), []int{0, 2, 3}},
		{"var-c", Op(prim.Mul, Op(prim.Sub, A(0), A(2)), Op(prim.Sub, A(0), A(2))), []int{0, 2, 3}},
		{"dot-c", Op(prim.Mul, A(1), Op(prim.Mul, Op(prim.Sub, A(0), A(2)), A(2))), []int{0, 2, 3}},
		{"mean-hw", A(0), []int{2, 3}},
		{"sum-n", A(0), []int{0}},
	} {
		in := []*prim.Tensor{x, y, c}
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/t%d", k.name, threads), func(b *testing.B) {
				b.SetBytes(int64(4 * x.Len()))
				benchOne(b, New(Options{Threads: threads}), 0, prim.Reduce{Expr: prim.E(k.e), Axes: k.axes, Compute: prim.F32, Shape: x.Shape}, in...)
			})
		}
	}
}

// TestGates: a select of a comparison and 0 becomes one instruction, unless something
// else reads the comparison; both forms agree with the plain kernel at the edges.
func TestGates(t *testing.T) {
	op, a, l := prim.Op, prim.A, prim.L
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	var x, y []float32
	for i, v := range []float32{-1, 0, float32(math.Copysign(0, -1)), 1e-40, 2, inf, -inf, nan, 6, 7, 3} {
		x, y = append(x, v), append(y, float32(i)-4)
	}
	y[2], y[3] = nan, inf
	for _, c := range []struct {
		name string
		e    *prim.X
		ops  int
	}{
		{"gradient of relu", op(prim.Select, op(prim.Lt, l(0), a(0)), a(1), l(0)), 1},
		{"below a bound", op(prim.Select, op(prim.Lt, a(0), l(6)), op(prim.Mul, a(1), a(1)), l(0)), 2},
		{"the comparison is read twice", op(prim.Add, op(prim.Select, op(prim.Lt, l(0), a(0)), a(1), l(0)), op(prim.Lt, l(0), a(0))), 3},
		{"not zero elsewhere", op(prim.Select, op(prim.Lt, l(0), a(0)), a(1), l(1)), 2},
		{"negative zero elsewhere", op(prim.Select, op(prim.Lt, a(0), l(6)), a(1), l(math.Copysign(0, -1))), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := prim.E(c.e)
			if n := len(portableKernels().compileMap(e).ops); n != c.ops {
				t.Errorf("want %d instructions, got %d", c.ops, n)
			}
			m := prim.Map{Expr: e, Compute: prim.F32, Out: prim.F32, Shape: []int{len(x)}}
			want, err := m.Eval([]*prim.Tensor{prim.F32Tensor(x, len(x)).Cast(prim.F64), prim.F32Tensor(y, len(y)).Cast(prim.F64)}, prim.Type{DType: prim.F64, Shape: []int{len(x)}})
			if err != nil {
				t.Fatal(err)
			}
			backends(func(name string, b *Backend) {
				got := runOne(t, b, m, prim.F32Tensor(x, len(x)), prim.F32Tensor(y, len(y)))
				for i, g := range got.F32 {
					if w := float32(want.F64[i]); math.Float32bits(w) != math.Float32bits(g) && !(w != w && g != g) {
						t.Errorf("%s: element %d: want %g, got %g", name, i, w, g)
					}
				}
			})
		})
	}
}
