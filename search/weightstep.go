package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/optim"
)

// weightStep compiles one training step of the weights: loss, gradients, clipping,
// update, running statistics.
func weightStep(be engine.Backend, n *Network, o Objective, labelled bool, m optim.Method, h optim.Hyper, clip float64) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.loss(g, o, labelled)
	grads, err := engine.Grad(g.b, loss, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	update(g.b, n, g.params, grads, m, h, clip)
	n.emitStats(g)
	emitLoss(g.b, loss, correct)
	return n.compileTraining(be, "weight step", g.b)
}

// update appends clipping and the optimiser's update, and declares its results.
func update(b *prim.Builder, n *Network, params, grads []prim.ID, m optim.Method, h optim.Hyper, clip float64) {
	if clip > 0 {
		var norm prim.ID
		grads, norm = optim.Clip(b, grads, clip)
		b.Output(normName, norm)
	}
	rate := b.Input(rateName, prim.Type{DType: prim.F32})
	for i, name := range n.Params {
		p := params[i]
		hp := h
		if len(b.Shape(p)) < 2 {
			hp.WeightDecay = 0
		}
		slots := m.State(h)
		state := make([]prim.ID, len(slots))
		for k, s := range slots {
			state[k] = b.Input(slotName(name, s.Name), s.Type(b.Type(p)))
			b.Donate(slotName(name, s.Name))
		}
		r := m.Step(b, hp, optim.Args{Param: p, Grad: grads[i], LR: rate, State: state})
		b.Donate(paramName(name))
		b.Output(paramName(name), r.Param)
		for k, s := range slots {
			b.Output(slotName(name, s.Name), r.State[k])
		}
	}
}

// sumStep compiles one micro-batch of an accumulated weight step: the sums of
// gradients become input "@more" ? sums + gradients / parts : gradients / parts.
// Running statistics move with every micro-batch, when stats says so.
func sumStep(be engine.Backend, n *Network, o Objective, labelled bool, parts int, stats bool) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.loss(g, o, labelled)
	grads, err := engine.Grad(g.b, loss, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	n.emitSums(g, grads, parts)
	if stats {
		n.emitStats(g)
	}
	emitLoss(g.b, loss, correct)
	return n.compileTraining(be, "weight step, micro-batch", g.b)
}

// updateStep compiles the end of an accumulated weight step: clipping and the update
// by the sums of gradients.
func updateStep(be engine.Backend, n *Network, m optim.Method, h optim.Hyper, clip float64) (*step, error) {
	b := prim.NewBuilder()
	params, sums := make([]prim.ID, len(n.Params)), make([]prim.ID, len(n.Params))
	for i, name := range n.Params {
		t := prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}
		params[i], sums[i] = b.Input(paramName(name), t), b.Input(sumName(name), t)
	}
	update(b, n, params, sums, m, h, clip)
	return compile(be, "weight step, update", b)
}

// zeroState uploads zeros for every optimiser slot.
func zeroState(be engine.Backend, n *Network, m optim.Method, h optim.Hyper, env Env) error {
	for _, name := range n.Params {
		t := n.Model.Graph.Init(name)
		for _, s := range m.State(h) {
			z, err := be.Upload(prim.NewTensor(s.Type(prim.Type{DType: prim.F32, Shape: t.Dims})))
			if err != nil {
				return err
			}
			env[slotName(name, s.Name)] = z
		}
	}
	return nil
}

// zeroSums uploads zeros for the sums of gradients.
func zeroSums(be engine.Backend, n *Network, env Env) error {
	for _, name := range n.Params {
		z, err := be.Upload(prim.NewTensor(prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}))
		if err != nil {
			return err
		}
		env[sumName(name)] = z
	}
	return nil
}
