package enginetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

const randomPrograms = 120

// runRandom compares programs of random nodes, which read each other several
// times, through casts, broadcasts, folds and layout moves.
func runRandom(t *testing.T, b engine.Backend) {
	for i := range randomPrograms {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			d := []prim.DType{prim.F32, prim.F64}[i%2]
			p, in, err := randomProgram(rng.New(uint64(i), "enginetest/program"), d)
			if err != nil {
				t.Fatal(err)
			}
			skipLimited(t, b, p, d)
			tol := Tolerance{Abs: 2e-4, Rel: 2e-4}
			if d == prim.F64 {
				tol = Tolerance{Abs: 1e-11, Rel: 1e-11}
			}
			compare(t, b, p, in, tol)
			if t.Failed() {
				t.Logf("seed %d", i)
			}
		})
	}
}

// generator grows a program node by node.
type generator struct {
	*prim.Builder
	r     *rng.Stream
	d     prim.DType
	shape []int     // the domain; every value has it or ones in places
	live  []prim.ID // float values of dtype d and of the domain's rank
}

func randomProgram(r *rng.Stream, d prim.DType) (*prim.Program, map[string]*prim.Tensor, error) {
	g := generator{Builder: prim.NewBuilder(), r: r, d: d, shape: sizes(r, 3, 1, 6)}
	if r.IntN(4) == 0 {
		g.shape = []int{between(r, 8, 32), between(r, 2, 20), between(r, 16, 40)}
	}
	feed := map[string]*prim.Tensor{}
	for i := range 3 {
		s := slices.Clone(g.shape)
		for a := range s {
			if i > 0 && r.IntN(2) == 0 {
				s[a] = 1
			}
		}
		name := fmt.Sprint("in", i)
		feed[name] = normal(r, s...).Cast(d)
		g.live = append(g.live, g.Input(name, feed[name].Type))
	}
	for range 25 {
		g.live = append(g.live, g.next())
	}
	for i := range 4 {
		g.Output(fmt.Sprint("out", i), g.live[len(g.live)-1-i*r.IntN(5)])
	}
	p, err := g.Program()
	return p, feed, err
}

func (g *generator) pick() prim.ID {
	if g.r.IntN(2) == 0 {
		return g.live[max(0, len(g.live)-1-g.r.IntN(3))]
	}
	return g.live[g.r.IntN(len(g.live))]
}

// next appends one or more nodes and returns a bounded value.
func (g *generator) next() prim.ID {
	op, a := prim.Op, prim.A
	x, y := g.pick(), g.pick()
	switch g.r.IntN(13) {
	case 0:
		return g.Map(op(prim.Tanh, op(prim.Mul, op(prim.Add, a(0), prim.L(0.5)), a(1))), x, y)
	case 1:
		return g.Map(op(prim.Max, op(prim.Mul, a(0), prim.L(0.5)), op(prim.Neg, a(1))), x, y)
	case 2:
		return g.Where(g.Compare(prim.Lt, x, g.Scalar(g.d, 0.125)), g.Scale(x, 0.25), g.Unary(prim.Sin, y))
	case 3:
		return g.Cast(g.Map(op(prim.Min, a(0), prim.L(2)), g.Cast(g.Scale(x, 3), prim.I64)), g.d)
	case 4:
		axis := g.r.IntN(3)
		n := float64(g.Shape(x)[axis])
		s := g.Reduce(prim.ReduceSum, []int{axis}, op(prim.Mul, op(prim.Mul, a(0), a(1)), prim.L(1/n)), g.Broadcast(x, g.shape...), y)
		return g.Unary(prim.Tanh, s)
	case 5:
		return g.MaxOver(x, g.r.IntN(3))
	case 6:
		return g.Broadcast(x, g.shape...)
	case 7:
		s := g.Shape(x)
		flat := g.Reshape(x, prim.Prod(s))
		return g.Reshape(g.Scale(flat, 0.5), s...)
	case 8:
		perm := g.r.Perm(3)
		inverse := prim.Transpose{Perm: perm}.Inverse()
		return g.Transpose(g.Unary(prim.Abs, g.Transpose(x, perm...)), inverse...)
	case 9:
		axis := g.r.IntN(3)
		return g.SliceAxis(g.Concat(axis, x, g.Scale(x, -0.5)), axis, 0, g.Shape(x)[axis])
	case 10:
		m := g.MatMul(x, x, true, false)
		return g.Unary(prim.Tanh, g.Mean(m, 1, 2))
	case 11:
		return g.Softmax(x, g.r.IntN(3))
	}
	return g.Add(prim.Reverse{Axes: []int{g.r.IntN(3)}}, g.StopGrad(g.Plus(g.Scale(x, 0.5), g.Scale(y, 0.5))))
}
