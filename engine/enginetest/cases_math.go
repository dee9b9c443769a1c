package enginetest

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

func matmulCases(r *rng.Stream) []Case {
	var cases []Case
	for i := range 32 {
		ta, tb := i&1 != 0, i&2 != 0
		lead := sizes(r, r.IntN(3), 1, 3)
		m, k, n := between(r, 1, 9), between(r, 1, 9), between(r, 1, 9)
		if i >= 24 {
			m, k, n = between(r, 30, 90), between(r, 30, 140), between(r, 15, 70)
		}
		a, b := append([]int{}, lead...), append([]int{}, lead...)
		for j := range lead {
			switch r.IntN(4) {
			case 0:
				a[j] = 1
			case 1:
				b[j] = 1
			}
		}
		label := fmt.Sprintf("matmul/ta=%t,tb=%t", ta, tb)
		a, b = append(a, swapped(m, k, ta)...), append(b, swapped(k, n, tb)...)
		p := prim.MatMul{TransA: ta, TransB: tb}
		cases = append(cases, Case{Name: label, In: []*prim.Tensor{normal(r, a...), normal(r, b...)}, Make: apply(p), Smooth: true, Terms: k})
		if i < 8 {
			cases = append(cases, Case{Name: label + "/int", In: []*prim.Tensor{integers(r, -9, 9, a...), integers(r, -9, 9, b...)}, Make: apply(p)})
		}
	}
	return cases
}

func swapped(m, n int, swap bool) []int {
	if swap {
		return []int{n, m}
	}
	return []int{m, n}
}

// broadcast draws a domain and n operand shapes that broadcast to it; the first is whole.
func broadcast(r *rng.Stream, n, largest int) ([]int, [][]int) {
	domain := sizes(r, r.IntN(5), 1, largest)
	shapes := make([][]int, n)
	for i := range shapes {
		shapes[i] = append([]int{}, domain...)
		for a := range domain {
			if i > 0 && r.IntN(3) == 0 {
				shapes[i][a] = 1
			}
		}
	}
	return domain, shapes
}

// expressions are smooth functions of three normal operands.
func expressions() []*prim.X {
	a, b, c := prim.A(0), prim.A(1), prim.A(2)
	op := prim.Op
	soft := op(prim.Add, op(prim.Mul, b, b), prim.L(1))
	return []*prim.X{
		op(prim.Add, op(prim.Mul, a, b), c),
		op(prim.Div, op(prim.Sub, a, b), op(prim.Add, op(prim.Abs, c), prim.L(1))),
		op(prim.Mul, op(prim.Tanh, a), op(prim.Sigmoid, op(prim.Sub, b, c))),
		op(prim.Mul, a, op(prim.Rsqrt, soft)),
		op(prim.Sub, op(prim.Log, soft), op(prim.Mul, a, op(prim.Exp, op(prim.Neg, op(prim.Abs, c))))),
		op(prim.Mul, prim.L(0.5), op(prim.Mul, a, op(prim.Add, prim.L(1), op(prim.Erf, op(prim.Mul, b, prim.L(0.7071)))))),
		op(prim.Pow, soft, op(prim.Mul, a, prim.L(0.5))),
		op(prim.Select, op(prim.Lt, c, prim.L(0)), op(prim.Mul, a, prim.L(0.1)), op(prim.Mul, a, b)),
		op(prim.Add, op(prim.Recip, soft), op(prim.Mul, op(prim.Sin, a), op(prim.Cos, c))),
		op(prim.Max, a, op(prim.Min, b, c)),
	}
}

func mapCases(r *rng.Stream) []Case {
	var cases []Case
	for i, x := range expressions() {
		for range 4 {
			_, s := broadcast(r, 3, 5)
			cases = append(cases, Case{Name: fmt.Sprintf("map/expr%d", i), In: []*prim.Tensor{normal(r, s[0]...), normal(r, s[1]...), normal(r, s[2]...)}, Smooth: true,
				Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Map(x, in...) }})
		}
		_, s := broadcast(r, 3, 40)
		cases = append(cases, Case{Name: fmt.Sprintf("map/wide%d", i), In: []*prim.Tensor{normal(r, s[0]...), normal(r, s[1]...), normal(r, s[2]...)},
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Map(x, in...) }})
	}
	for i := range 6 {
		shape := sizes(r, 1+i%4, 1, 6)
		small := make([]int, len(shape))
		for a := range small {
			small[a] = 1
			if r.IntN(2) == 0 {
				small[a] = shape[a]
			}
		}
		cases = append(cases, Case{Name: "map/broadcast", In: []*prim.Tensor{normal(r, small...)}, Smooth: true,
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Broadcast(in[0], shape...) }})
	}
	cases = append(cases, Case{Name: "map/empty", In: []*prim.Tensor{normal(r, 3, 0, 2)},
		Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Unary(prim.Exp, in[0]) }})
	return cases
}

func reduceCases(r *rng.Stream) []Case {
	var cases []Case
	xs := expressions()
	for i := range 48 {
		domain, s := broadcast(r, 3, 5)
		if i >= 40 {
			domain, s = broadcast(r, 3, 30)
		}
		var axes []int
		for a := range domain {
			if r.IntN(2) == 0 {
				axes = append(axes, a)
			}
		}
		op, x := prim.ReduceOp(i%4), xs[(i/4)%len(xs)]
		in := []*prim.Tensor{normal(r, s[0]...), normal(r, s[1]...), normal(r, s[2]...)}
		if op == prim.ReduceProd {
			if x = prim.Op(prim.Add, prim.A(0), prim.Op(prim.Mul, prim.L(0.1), prim.A(1))); i >= 40 {
				x = prim.Op(prim.Add, prim.L(1), prim.Op(prim.Mul, prim.L(0.01), prim.A(0)))
			}
		}
		if op >= prim.ReduceMax {
			in[0] = spread(r, s[0]...)
			x = prim.Op(prim.Mul, prim.A(0), prim.L(2))
		}
		cases = append(cases, Case{Name: "reduce/" + op.String(), In: in, Smooth: i < 40, Terms: prim.Prod(domain),
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Reduce(op, axes, x, in...) }})
	}
	zeros := normal(r, 4, 5)
	zeros.F64[3], zeros.F64[7], zeros.F64[9] = 0, 0, 0
	cases = append(cases, Case{Name: "reduce/prod_zeros", In: []*prim.Tensor{zeros}, Smooth: true,
		Make: func(b *prim.Builder, in []prim.ID) prim.ID {
			return b.Reduce(prim.ReduceProd, []int{1}, prim.A(0), in[0])
		}})
	for op := prim.ReduceSum; op <= prim.ReduceMin; op++ {
		// The domain is larger than the operand along both a reduced and a kept axis.
		cases = append(cases, Case{Name: "reduce/repeat_" + op.String(), In: []*prim.Tensor{normal(r, 1, 3, 1)}, Smooth: true, Terms: 4,
			Make: func(b *prim.Builder, in []prim.ID) prim.ID {
				return b.Add(prim.Reduce{Expr: prim.E(prim.A(0)), Op: op, Axes: []int{0}, Compute: b.Type(in[0]).DType, Shape: []int{4, 3, 2}}, in...)
			}})
		cases = append(cases, Case{Name: "reduce/int_" + op.String(), In: []*prim.Tensor{integers(r, -5, 5, 3, 4, 5)},
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Reduce(op, []int{0, 2}, prim.A(0), in[0]) }})
		cases = append(cases, Case{Name: "reduce/empty_" + op.String(), In: []*prim.Tensor{normal(r, 3, 0)},
			Make: func(b *prim.Builder, in []prim.ID) prim.ID { return b.Reduce(op, []int{1}, prim.A(0), in[0]) }})
	}
	for i := range 8 {
		p := prim.ArgReduce{Axis: i % 3, Min: i&1 != 0, Last: i&2 != 0}
		cases = append(cases, Case{Name: "argreduce", In: []*prim.Tensor{integers(r, 0, 4, 3, 7, 5).Cast(prim.F64)}, Make: apply(p)})
		cases = append(cases, Case{Name: "argreduce/int", In: []*prim.Tensor{integers(r, 0, 4, 3, 7, 5)}, Make: apply(p)})
	}
	return cases
}
