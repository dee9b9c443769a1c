package enginetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

// Limited is implemented by a backend that cannot run everything. Lacks returns
// why it cannot run p on floats of dtype d, "" when it can.
type Limited interface {
	Lacks(p prim.Prim, d prim.DType) string
}

// Run judges a backend: every primitive, every operation of expressions with
// special values, whole programs, programs of random nodes, the rules of buffers, and error cases.
func Run(t *testing.T, b engine.Backend) {
	t.Run("primitives", func(t *testing.T) { runCases(t, b) })
	t.Run("codes", func(t *testing.T) { runCodes(t, b) })
	t.Run("casts", func(t *testing.T) { runCasts(t, b) })
	t.Run("halves", func(t *testing.T) { runHalves(t, b) })
	t.Run("programs", func(t *testing.T) { RunPrograms(t, b) })
	t.Run("random", func(t *testing.T) { runRandom(t, b) })
	t.Run("buffers", func(t *testing.T) { runBuffers(t, b) })
	t.Run("errors", func(t *testing.T) { runErrors(t, b) })
}

// skipLimited skips the test by name when the backend lacks a primitive of p.
func skipLimited(t *testing.T, b engine.Backend, p *prim.Program, d prim.DType) {
	t.Helper()
	limited, ok := b.(Limited)
	if !ok {
		return
	}
	for _, n := range p.Nodes {
		if n.Prim == nil {
			continue
		}
		if why := limited.Lacks(n.Prim, d); why != "" {
			t.Skipf("backend %s lacks %s on %s: %s", b.Name(), n.Prim.Name(), d, why)
		}
	}
}

// compare runs p on the backend and on ref and reports every output that differs.
func compare(t *testing.T, b engine.Backend, p *prim.Program, in map[string]*prim.Tensor, tol Tolerance) {
	t.Helper()
	want, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatalf("reference: %v", err)
	}
	got, err := engine.RunHost(b, p, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Outputs {
		if err := Check(got[o.Name], want[o.Name], tol); err != nil {
			t.Errorf("output %q: %v", o.Name, err)
		}
	}
}

// tolerance is for sums of terms products of values near one.
func tolerance(d prim.DType, terms int) Tolerance {
	eps := 4e-6
	if d == prim.F64 {
		eps = 1e-13
	}
	eps *= math.Sqrt(float64(max(terms, 1)))
	return Tolerance{Abs: eps, Rel: eps}
}

// program builds the case in dtype d and returns it with its inputs.
func (c Case) program(d prim.DType) (*prim.Program, map[string]*prim.Tensor, error) {
	b := prim.NewBuilder()
	feed := map[string]*prim.Tensor{}
	var ids []prim.ID
	for i, x := range c.In {
		if x.DType.Float() {
			x = x.Cast(d)
		}
		name := fmt.Sprint("in", i)
		feed[name] = x
		ids = append(ids, b.Input(name, x.Type))
	}
	b.Output("out", c.Make(b, ids))
	p, err := b.Program()
	return p, feed, err
}

// gradProgram is program with the gradient of the weighted sum of the output in
// every float input as further outputs.
func (c Case) gradProgram(d prim.DType) (*prim.Program, map[string]*prim.Tensor, error) {
	p, feed, err := c.program(d)
	if err != nil {
		return nil, nil, err
	}
	b := prim.Extend(p)
	y := p.Outputs[0].ID
	w := prim.NewTensor(prim.Type{DType: prim.F64, Shape: b.Shape(y)})
	axes := make([]int, len(w.Shape))
	for i := range axes {
		axes[i] = i
	}
	for i := range w.F64 {
		w.F64[i] = float64(i%7)/4 - 0.7
	}
	loss := b.Sum(b.Times(y, b.Const(w.Cast(b.Type(y).DType))), axes...)
	var wrt []prim.ID
	for _, in := range p.Inputs {
		if b.Type(in.ID).DType.Float() {
			wrt = append(wrt, in.ID)
		}
	}
	grads, err := engine.Grad(b, loss, wrt)
	if err != nil {
		return nil, nil, err
	}
	for i, g := range grads {
		b.Output(fmt.Sprint("grad", i), g)
	}
	p, err = b.Program()
	return p, feed, err
}

func runCases(t *testing.T, b engine.Backend) {
	for _, c := range Cases(1) {
		for _, d := range []prim.DType{prim.F32, prim.F64} {
			t.Run(fmt.Sprintf("%s/%s", c.Name, d), func(t *testing.T) {
				p, in, err := c.program(d)
				if err != nil {
					t.Fatal(err)
				}
				skipLimited(t, b, p, d)
				compare(t, b, p, in, tolerance(d, c.Terms))
				if c.Smooth {
					if p, in, err = c.gradProgram(d); err != nil {
						t.Fatal(err)
					}
					tol := tolerance(d, 16*max(c.Terms, 1))
					tol.Abs *= 4
					compare(t, b, p, in, tol)
				}
			})
		}
	}
}
