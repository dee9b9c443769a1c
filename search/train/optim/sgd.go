package optim

import "github.com/entangle-nas/entangle/engine/prim"

// sgd is stochastic gradient descent with momentum, in the form
//
//	g ← g + weight_decay·p;  v ← momentum·v + g;  p ← p − lr·v
//
// and, with Nesterov, p ← p − lr·(g + momentum·v).
var sgd = Method{
	Name:     "sgd",
	Doc:      "gradient descent with momentum, optional Nesterov, L2 weight decay (momentum, nesterov, weight_decay)",
	Defaults: Hyper{Momentum: 0.9, WeightDecay: 3e-4},
	State: func(h Hyper) []Slot {
		if h.Momentum == 0 {
			return nil
		}
		return []Slot{{Name: "velocity"}}
	},
	Step: sgdStep,
	Host: sgdHost,
}

func sgdStep(b *prim.Builder, h Hyper, a Args) Result {
	if h.Momentum == 0 {
		return Result{Param: b.Map(descend(prim.A(0), prim.A(2), decayed(h, prim.A(0), prim.A(1))), a.Param, a.Grad, a.LR)}
	}
	v := b.Map(prim.Op(prim.Add, times(h.Momentum, prim.A(0)), decayed(h, prim.A(2), prim.A(1))), decayOperands(h, a.Param, a.State[0], a.Grad)...)
	if !h.Nesterov {
		return Result{Param: b.Map(descend(prim.A(0), prim.A(1), prim.A(2)), a.Param, a.LR, v), State: []prim.ID{v}}
	}
	dir := prim.Op(prim.Add, decayed(h, prim.A(0), prim.A(3)), times(h.Momentum, prim.A(2)))
	return Result{Param: b.Map(descend(prim.A(0), prim.A(1), dir), a.Param, a.LR, v, a.Grad), State: []prim.ID{v}}
}

func sgdHost(h Hyper, lr float64, param, grad []float64, state [][]float64) {
	for i, p := range param {
		dir := grad[i]
		if h.WeightDecay != 0 {
			dir += h.WeightDecay * p
		}
		if h.Momentum != 0 {
			g := dir
			v := h.Momentum*state[0][i] + g
			state[0][i] = v
			if dir = v; h.Nesterov {
				dir = g + h.Momentum*v
			}
		}
		param[i] = p - lr*dir
	}
}

// decayed returns g + weight_decay·p, or g without decay.
func decayed(h Hyper, p, g *prim.X) *prim.X {
	if h.WeightDecay == 0 {
		return g
	}
	return prim.Op(prim.Add, g, times(h.WeightDecay, p))
}

// decayOperands appends the parameter to in when decayed reads it.
func decayOperands(h Hyper, param prim.ID, in ...prim.ID) []prim.ID {
	if h.WeightDecay == 0 {
		return in
	}
	return append(in, param)
}

// descend returns p − lr·dir.
func descend(p, lr, dir *prim.X) *prim.X {
	return prim.Op(prim.Sub, p, prim.Op(prim.Mul, lr, dir))
}

func times(k float64, x *prim.X) *prim.X { return prim.Op(prim.Mul, prim.L(k), x) }
