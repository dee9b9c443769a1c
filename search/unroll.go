package search

import (
	"errors"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// unrollRadius is the length of the step by which the weights are moved to either
// side for the finite difference (DARTS, appendix A).
const unrollRadius = 0.01

const radiusName = "@radius"

func sideName(s string, plus bool) string {
	if plus {
		return "@plus/" + s
	}
	return "@minus/" + s
}

// unrolled takes the gradient of the architecture loss at w′, the weights after one
// step on the training loss:
//
//	w′ = w − ξ(momentum·v + ∂Lt(w, a)/∂w + decay·w)
//	dLa/da = ∂La(w′, a)/∂a − ξ (∂Lt(w⁺, a)/∂a − ∂Lt(w⁻, a)/∂a) / 2ε
//	w± = w ± ε·d,  d = ∂La(w′, a)/∂w′,  ε = unrollRadius / ‖d‖
//
// with ξ the learning rate of the weights, v SGD's velocity (0 for other optimisers)
// and a the coefficients. Running statistics do not move.
type unrolled struct {
	train *net.Step // sums of ∂Lt/∂w
	look  *net.Step // w′
	value *net.Step // ∂La/∂a and sums of ∂La/∂w
	sides *net.Step // w⁺, w⁻, ε
	sums  net.Env
}

func newUnrolled(be engine.Backend, n *net.Network, c Config, labelled bool) (*unrolled, error) {
	if c.FreezeWeights {
		return nil, errors.New("search: unrolled: want weights that move, they are frozen")
	}
	u := &unrolled{sums: net.Env{}}
	o, parts := c.Weights.Objective, c.Weights.Parts()
	var err error
	if u.train, err = train.SumStep(be, n, o, labelled, parts, false); err != nil {
		return nil, err
	}
	if u.value, err = alphaStep(be, n, o, labelled, parts); err != nil {
		return nil, err
	}
	if u.look, err = lookStep(be, n, c.Weights); err != nil {
		return nil, err
	}
	if u.sides, err = sidesStep(be, n); err != nil {
		return nil, err
	}
	return u, train.ZeroSums(be, n, u.sums)
}

// bytes returns what the largest of the programs works on.
func (u *unrolled) bytes() int {
	return max(u.train.Memory(), u.look.Memory(), u.value.Memory(), u.sides.Memory())
}

// lookStep compiles w′ of every parameter from the sums of gradients.
func lookStep(be engine.Backend, n *net.Network, w train.Weights) (*net.Step, error) {
	m, err := optim.ByName(w.Optimiser)
	if err != nil {
		return nil, err
	}
	b := prim.NewBuilder()
	rate := b.Input(net.RateName, prim.Type{DType: prim.F32})
	params, sums := n.DeclareSums(b)
	for i, name := range n.Params {
		t, p, g := n.ParamType(name), params[i], sums[i]
		if len(t.Shape) > 1 {
			g = b.Map(prim.Op(prim.Add, prim.A(0), prim.Op(prim.Mul, prim.L(w.Hyper.WeightDecay), prim.A(1))), g, p)
		}
		if m.Name == "sgd" && w.Hyper.Momentum > 0 {
			v := b.Input(net.SlotName(name, m.State(w.Hyper)[0].Name), t)
			g = b.Map(prim.Op(prim.Add, prim.A(0), prim.Op(prim.Mul, prim.L(w.Hyper.Momentum), prim.A(1))), g, v)
		}
		b.Output(net.ParamName(name), b.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.A(1), prim.A(2))), p, rate, g))
	}
	return net.Compile(be, "unrolled step", b)
}

// sidesStep compiles w± of every parameter from the sums of gradients d.
func sidesStep(be engine.Backend, n *net.Network) (*net.Step, error) {
	b := prim.NewBuilder()
	params, sums := n.DeclareSums(b)
	radius := b.Map(prim.Op(prim.Div, prim.L(unrollRadius), prim.Op(prim.Max, prim.A(0), prim.L(1e-12))), optim.Norm(b, sums))
	for i, name := range n.Params {
		move := prim.Op(prim.Mul, prim.A(1), prim.A(2))
		b.Output(sideName(name, true), b.Map(prim.Op(prim.Add, prim.A(0), move), params[i], sums[i], radius))
		b.Output(sideName(name, false), b.Map(prim.Op(prim.Sub, prim.A(0), move), params[i], sums[i], radius))
	}
	b.Output(radiusName, radius)
	return net.Compile(be, "sides of the weights", b)
}

// slope returns the gradient with respect to the coefficients, and the loss at w′. x
// is the architecture batch and train the next weight step's.
func (u *unrolled) slope(s *searcher, x, train *net.Batch, coef net.Env) (grad []float64, loss float64, err error) {
	rate := s.Plan.At(s.Pos.Step)
	trainDraw := func(parts, i int) int64 { return int64(s.Pos.Step*parts + i) }
	for part := range train.Parts {
		out, err := s.RunPart(u.train, u.sums, train, part, trainDraw(train.Parts, part), coef, u.sums, s.Env)
		if err != nil {
			return nil, 0, err
		}
		out.Free()
	}
	xi, err := s.Number(net.RateName, float32(rate))
	if err != nil {
		return nil, 0, err
	}
	defer xi.Free()
	look := net.Env{}
	if _, err := u.look.Run(look, xi, u.sums, s.Env); err != nil {
		return nil, 0, err
	}
	defer look.Free()
	if grad, loss, err = s.slope(u.value, u.sums, x, s.alphaDraw, coef, look); err != nil {
		return nil, 0, err
	}
	sides, err := u.sides.Run(net.Env{}, u.sums, s.Env)
	if err != nil {
		return nil, 0, err
	}
	defer sides.Free()
	radius, err := net.Scalar(sides[radiusName])
	if err != nil {
		return nil, 0, err
	}
	for _, plus := range []bool{true, false} {
		w := net.Env{}
		for _, name := range s.Net.Params {
			w[net.ParamName(name)] = sides[sideName(name, plus)]
		}
		h, _, err := s.slope(s.alphas, net.Env{}, train, trainDraw, coef, w)
		if err != nil {
			return nil, 0, err
		}
		k := rate / (2 * radius)
		if plus {
			k = -k
		}
		for i, v := range h {
			grad[i] += k * v
		}
	}
	return grad, loss, nil
}
