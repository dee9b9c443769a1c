package optim

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// adam is Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015),
// with L2 weight decay added to the gradient before the moments:
//
//	m ← m + (1−β₁)(g−m);  v ← v + (1−β₂)(g²−v);  c ← c + (1−β)(1−c)
//	p ← p − lr·(m/c₁) / (√(v/c₂) + ε)
//
// c₁ and c₂ are the bias corrections 1−βᵗ, kept by recurrence so that float32
// loses no digits at small t.
var adam = Method{
	Name:     "adam",
	Doc:      "Adam, weight decay as L2 inside the moments (beta1, beta2, epsilon, weight_decay)",
	Defaults: Hyper{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8},
	State:    adamState,
	Step: func(b *prim.Builder, h Hyper, a Args) Result {
		return adamStep(b, h, a, false)
	},
	Host: func(h Hyper, lr float64, param, grad []float64, state [][]float64) {
		adamHost(h, lr, param, grad, state, false)
	},
}

// adamw is Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019):
// the parameter shrinks by lr·weight_decay beside Adam's step.
var adamw = Method{
	Name:     "adamw",
	Doc:      "Adam with decoupled weight decay (beta1, beta2, epsilon, weight_decay)",
	Defaults: Hyper{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-2},
	State:    adamState,
	Step: func(b *prim.Builder, h Hyper, a Args) Result {
		return adamStep(b, h, a, true)
	},
	Host: func(h Hyper, lr float64, param, grad []float64, state [][]float64) {
		adamHost(h, lr, param, grad, state, true)
	},
}

func adamState(Hyper) []Slot {
	return []Slot{{Name: "moment1"}, {Name: "moment2"}, {Name: "correction1", Scalar: true}, {Name: "correction2", Scalar: true}}
}

func adamStep(b *prim.Builder, h Hyper, a Args, decoupled bool) Result {
	l2 := h
	if decoupled {
		l2.WeightDecay = 0
	}
	g := decayed(l2, prim.A(2), prim.A(1))
	m := b.Map(toward(1-h.Beta1, prim.A(0), g), decayOperands(l2, a.Param, a.State[0], a.Grad)...)
	v := b.Map(toward(1-h.Beta2, prim.A(0), prim.Op(prim.Mul, g, g)), decayOperands(l2, a.Param, a.State[1], a.Grad)...)
	c1 := b.Map(toward(1-h.Beta1, prim.A(0), prim.L(1)), a.State[2])
	c2 := b.Map(toward(1-h.Beta2, prim.A(0), prim.L(1)), a.State[3])

	// operands: param, lr, m, v, c1, c2
	p := prim.A(0)
	if decoupled && h.WeightDecay != 0 {
		p = descend(p, times(h.WeightDecay, prim.A(1)), p)
	}
	root := prim.Op(prim.Sqrt, prim.Op(prim.Div, prim.A(3), prim.A(5)))
	dir := prim.Op(prim.Div, prim.Op(prim.Div, prim.A(2), prim.A(4)), prim.Op(prim.Add, root, prim.L(h.Epsilon)))
	return Result{
		Param: b.Map(descend(p, prim.A(1), dir), a.Param, a.LR, m, v, c1, c2),
		State: []prim.ID{m, v, c1, c2},
	}
}

// toward returns x + k·(target − x).
func toward(k float64, x, target *prim.X) *prim.X {
	return prim.Op(prim.Add, x, times(k, prim.Op(prim.Sub, target, x)))
}

func adamHost(h Hyper, lr float64, param, grad []float64, state [][]float64, decoupled bool) {
	m, v, c1, c2 := state[0], state[1], state[2], state[3]
	c1[0] += (1 - h.Beta1) * (1 - c1[0])
	c2[0] += (1 - h.Beta2) * (1 - c2[0])
	for i, p := range param {
		g := grad[i]
		if !decoupled && h.WeightDecay != 0 {
			g += h.WeightDecay * p
		}
		m[i] += (1 - h.Beta1) * (g - m[i])
		v[i] += (1 - h.Beta2) * (g*g - v[i])
		if decoupled && h.WeightDecay != 0 {
			p -= h.WeightDecay * lr * p
		}
		param[i] = p - lr*((m[i]/c1[0])/(math.Sqrt(v[i]/c2[0])+h.Epsilon))
	}
}
