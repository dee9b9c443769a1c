package ops

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

type (
	attrs   = []ir.Attr
	tensors = []*ir.Tensor
)

// opCase is one node: an operator (by Title) of an opset over inputs, nil where omitted.
type opCase struct {
	op, name string
	opset    int
	attrs    attrs
	in       tensors
	outputs  int
	want     [][]float64 // per output; nil in gradient cases
	training bool        // with a seed
}

func (c opCase) String() string { return strings.TrimSpace(c.op + " " + c.name) }

// floating lists the inputs that hold floats.
func (c opCase) floating() []int {
	var out []int
	for i, t := range c.in {
		if t != nil && t.DType.IsFloat() {
			out = append(out, i)
		}
	}
	return out
}

// lower appends the node to b in float64. The inputs in open are computed values, which
// the program reads as "x" and their number; the others are constants that rules may look at.
func (c opCase) lower(b *prim.Builder, open []int) (s *Site, in map[int]prim.ID, out []prim.ID, err error) {
	facts := constFacts(c.in)
	for _, i := range open {
		facts[i] = Fact{Type: facts[i].Type}
	}
	if s, err = siteFor(c.op, c.opset, c.outputs, c.attrs, facts...); err != nil {
		return s, nil, nil, err
	}
	l := &Lowering{Site: s, B: b, Float: prim.F64, Seed: prim.Invalid, Training: c.training}
	if c.training {
		l.Seed = b.Const(prim.I64Tensor([]int64{1, 2}, 2))
	}
	in, out, err = lowerSite(l)
	return s, in, out, err
}

// lowerSite gives l its inputs, constants where they are known, and lowers its operator.
func lowerSite(l *Lowering) (in map[int]prim.ID, out []prim.ID, err error) {
	b := l.B
	in = map[int]prim.ID{}
	for i, f := range l.Site.In {
		id := prim.Invalid
		switch {
		case f.Const != nil:
			v, err := HostTensor(f.Const, l.Float)
			if err != nil {
				return nil, nil, err
			}
			id = b.Const(v)
		case f.Present():
			id = b.Input(fmt.Sprint("x", i), prim.Type{DType: l.DType(f.Type.Elem), Shape: f.Shape()})
			in[i] = id
		}
		l.In = append(l.In, id)
	}
	if out, err = Lookup(l.Node.Domain, l.Node.OpType).Lower(l); err == nil {
		err = b.Err()
	}
	if err != nil {
		return nil, nil, err
	}
	for k, id := range out {
		if id == prim.Invalid || k >= len(l.Out) {
			continue
		}
		if got, want := b.Shape(id), l.Out[k].Shape(); !slices.Equal(got, want) {
			return nil, nil, fmt.Errorf("output %d: inferred %v, lowered to %v", k, want, got)
		}
	}
	return in, out, nil
}

// host returns the values of inputs by the names that lower gives them.
func (c opCase) host(open []int) (map[string]*prim.Tensor, error) {
	at := map[string]*prim.Tensor{}
	for _, i := range open {
		v, err := HostTensor(c.in[i], prim.F64)
		if err != nil {
			return nil, err
		}
		at[fmt.Sprint("x", i)] = v
	}
	return at, nil
}

// results runs values of b on the reference; Invalid ones give nil.
func results(b *prim.Builder, out []prim.ID, at map[string]*prim.Tensor) ([]*prim.Tensor, error) {
	for k, id := range out {
		if id != prim.Invalid {
			b.Output(fmt.Sprint("y", k), id)
		}
	}
	p, err := b.Program()
	if err != nil {
		return nil, err
	}
	y, err := engine.RunHost(ref.New(), p, at)
	if err != nil {
		return nil, err
	}
	list := make([]*prim.Tensor, len(out))
	for k := range out {
		list[k] = y[fmt.Sprint("y", k)]
	}
	return list, nil
}

// slope is a scalar program of a case, the sum of all elements of its float outputs times
// fixed random weights, with the gradient that the engine derives of it.
type slope struct {
	run  func() (map[string]*prim.Tensor, error)
	at   map[string]*prim.Tensor
	open []int
}

// newSlope opens the given inputs. It is nil where no output holds floats.
func newSlope(c opCase, open []int) (*slope, error) {
	b := prim.NewBuilder()
	site, in, out, err := c.lower(b, open)
	if err != nil {
		return nil, err
	}
	draw := rng.New(4, "ops/weights")
	loss := prim.Invalid
	for k, id := range out {
		if id == prim.Invalid || !site.Out[k].Type.Elem.IsFloat() {
			continue
		}
		w, err := HostTensor(noise(draw, b.Shape(id)...), prim.F64)
		if err != nil {
			return nil, err
		}
		part := b.Sum(b.Reshape(b.Times(id, b.Const(w)), w.Len()), 0)
		if loss == prim.Invalid {
			loss = part
		} else {
			loss = b.Plus(loss, part)
		}
	}
	if loss == prim.Invalid {
		return nil, b.Err()
	}
	var wrt []prim.ID
	for _, i := range open {
		wrt = append(wrt, in[i])
	}
	grads, err := engine.Grad(b, loss, wrt)
	if err != nil {
		return nil, err
	}
	b.Output("loss", loss)
	for k, i := range open {
		b.Output(fmt.Sprint("g", i), grads[k])
	}
	p, err := b.Program()
	if err != nil {
		return nil, err
	}
	at, err := c.host(open)
	if err != nil {
		return nil, err
	}
	backend := ref.New()
	exe, err := backend.Compile(p)
	if err != nil {
		return nil, err
	}
	return &slope{at: at, open: open, run: func() (map[string]*prim.Tensor, error) { return engine.ExecHost(backend, exe, p, at) }}, nil
}

// central returns the central difference of the loss over element e of input i at step h.
func (s *slope) central(i, e int, h float64) (float64, error) {
	x := s.at[fmt.Sprint("x", i)].F64
	old := x[e]
	defer func() { x[e] = old }()
	var side [2]float64
	for k, step := range []float64{h, -h} {
		x[e] = old + step
		r, err := s.run()
		if err != nil {
			return 0, err
		}
		side[k] = r["loss"].F64[0]
	}
	return (side[0] - side[1]) / (2 * h), nil
}

// moves reports whether the loss has a derivative other than 0 by some element of input i:
// a difference that stays when the step is halved. That of a jump doubles.
func (s *slope) moves(i int) (bool, error) {
	for e := range s.at[fmt.Sprint("x", i)].F64 {
		d, err := s.central(i, e, 1e-5)
		if err != nil {
			return false, err
		}
		half, err := s.central(i, e, 5e-6)
		if err != nil {
			return false, err
		}
		if math.Abs(d) > 1e-7 && math.Abs(d-half) < 1e-3*math.Abs(d) {
			return true, nil
		}
	}
	return false, nil
}
