package train

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// WeightStep compiles one training step of the weights: loss, gradients, clipping,
// update, running statistics.
func WeightStep(be engine.Backend, n *net.Network, o net.Objective, labelled bool, m optim.Method, h optim.Hyper, clip float64) (*net.Step, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.Loss(g, o, labelled)
	grads, err := engine.Grad(g.Builder, loss, g.Params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	update(g.Builder, n, g.Params, grads, m, h, clip)
	n.EmitStats(g)
	net.EmitLoss(g.Builder, loss, correct)
	return n.CompileTraining(be, "weight step", g.Builder)
}

// update appends clipping and the optimiser's update, and declares its results.
func update(b *prim.Builder, n *net.Network, params, grads []prim.ID, m optim.Method, h optim.Hyper, clip float64) {
	if clip > 0 {

		grads, _ = optim.Clip(b, grads, clip)
	}
	rate := b.Input(net.RateName, prim.Type{DType: prim.F32})
	for i, name := range n.Params {
		p := params[i]
		hp := h
		if len(b.Shape(p)) < 2 {
			hp.WeightDecay = 0
		}
		slots := m.State(h)
		state := make([]prim.ID, len(slots))
		for k, s := range slots {
			state[k] = b.Input(net.SlotName(name, s.Name), s.Type(b.Type(p)))
			b.Donate(net.SlotName(name, s.Name))
		}
		r := m.Step(b, hp, optim.Args{Param: p, Grad: grads[i], LR: rate, State: state})
		b.Donate(net.ParamName(name))
		b.Output(net.ParamName(name), r.Param)
		for k, s := range slots {
			b.Output(net.SlotName(name, s.Name), r.State[k])
		}
	}
}

// SumStep compiles one micro-batch of an accumulated weight step: the sums of
// gradients become input "@more" ? sums + gradients / parts : gradients / parts.
// Running statistics move with every micro-batch, when stats says so.
func SumStep(be engine.Backend, n *net.Network, o net.Objective, labelled bool, parts int, stats bool) (*net.Step, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.Loss(g, o, labelled)
	grads, err := engine.Grad(g.Builder, loss, g.Params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	n.EmitSums(g, grads, parts)
	if stats {
		n.EmitStats(g)
	}
	net.EmitLoss(g.Builder, loss, correct)
	return n.CompileTraining(be, "weight step, micro-batch", g.Builder)
}

// updateStep compiles the end of an accumulated weight step: clipping and the update
// by the sums of gradients.
func updateStep(be engine.Backend, n *net.Network, m optim.Method, h optim.Hyper, clip float64) (*net.Step, error) {
	b := prim.NewBuilder()
	params, sums := make([]prim.ID, len(n.Params)), make([]prim.ID, len(n.Params))
	for i, name := range n.Params {
		t := prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}
		params[i], sums[i] = b.Input(net.ParamName(name), t), b.Input(net.SumName(name), t)
	}
	update(b, n, params, sums, m, h, clip)
	return net.Compile(be, "weight step, update", b)
}

// zeroState uploads zeros for every optimiser slot.
func zeroState(be engine.Backend, n *net.Network, m optim.Method, h optim.Hyper, env net.Env) error {
	for _, name := range n.Params {
		t := n.Model.Graph.Init(name)
		for _, s := range m.State(h) {
			z, err := be.Upload(prim.NewTensor(s.Type(prim.Type{DType: prim.F32, Shape: t.Dims})))
			if err != nil {
				return err
			}
			env[net.SlotName(name, s.Name)] = z
		}
	}
	return nil
}

// ZeroSums uploads zeros for the sums of gradients.
func ZeroSums(be engine.Backend, n *net.Network, env net.Env) error {
	for _, name := range n.Params {
		z, err := be.Upload(prim.NewTensor(prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}))
		if err != nil {
			return err
		}
		env[net.SumName(name)] = z
	}
	return nil
}
