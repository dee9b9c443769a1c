package train

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// mover is the programs of a weight step.
type mover struct {
	method optim.Method
	batch  *net.Step // of every micro-batch
	update *net.Step // behind the last micro-batch of an accumulated step; nil: batch does it
}

func newMover(be engine.Backend, n *net.Network, c Weights, labelled bool, m optim.Method) (s mover, err error) {
	s.method = m
	if c.Parts() == 1 {
		s.batch, err = WeightStep(be, n, c.Objective, labelled, m, c.Hyper, c.Clip)
		return s, err
	}
	if s.batch, err = SumStep(be, n, c.Objective, labelled, c.Parts(), true); err == nil {
		s.update, err = updateStep(be, n, m, c.Hyper, c.Clip)
	}
	return s, err
}

// load uploads into env what the programs keep beside the weights, all zeros: sums of
// gradients and the optimiser's state.
func (s mover) load(be engine.Backend, n *net.Network, h optim.Hyper, env net.Env) error {
	if s.update != nil {
		if err := ZeroSums(be, n, env); err != nil {
			return err
		}
	}
	for _, name := range n.Params {
		for _, slot := range s.method.State(h) {
			if err := zeros(be, env, net.SlotName(name, slot.Name), slot.Type(n.ParamType(name))); err != nil {
				return err
			}
		}
	}
	return nil
}

// ZeroSums uploads zeros into env for the sums of gradients.
func ZeroSums(be engine.Backend, n *net.Network, env net.Env) error {
	for _, name := range n.Params {
		if err := zeros(be, env, net.SumName(name), n.ParamType(name)); err != nil {
			return err
		}
	}
	return nil
}

func zeros(be engine.Backend, env net.Env, name string, t prim.Type) (err error) {
	env[name], err = be.Upload(prim.NewTensor(t))
	return err
}

// WeightStep compiles one training step of the weights: loss, gradients, clipping to a
// norm of at most clip (0: none), update, running statistics. Its inputs are those of
// Network.Lower and Network.Loss, the rate f32[], and the optimiser's state; parameters,
// state and statistics are replaced, the loss and the correct ones are outputs.
func WeightStep(be engine.Backend, n *net.Network, o net.Objective, labelled bool, m optim.Method, h optim.Hyper, clip float64) (*net.Step, error) {
	g, grads, err := slopes(n, o, labelled)
	if err != nil {
		return nil, err
	}
	update(g.Builder, n, g.Params, grads, m, h, clip)
	n.EmitStats(g)
	return n.CompileTraining(be, "weight step", g.Builder)
}

// SumStep compiles one micro-batch of an accumulated weight step: the sums of
// gradients become input "@more" ? sums + gradients / parts : gradients / parts.
// Running statistics move with every micro-batch, when stats says so. Inputs and outputs
// are otherwise those of WeightStep without the update's.
func SumStep(be engine.Backend, n *net.Network, o net.Objective, labelled bool, parts int, stats bool) (*net.Step, error) {
	g, grads, err := slopes(n, o, labelled)
	if err != nil {
		return nil, err
	}
	n.EmitSums(g, grads, parts)
	if stats {
		n.EmitStats(g)
	}
	return n.CompileTraining(be, "weight step, micro-batch", g.Builder)
}

// slopes lowers a network in training mode, with its objective as output and the gradient
// of every parameter.
func slopes(n *net.Network, o net.Objective, labelled bool) (g *net.Lowered, grads []prim.ID, err error) {
	if g, err = n.Lower(true); err != nil {
		return nil, nil, err
	}
	loss, correct := n.Loss(g, o, labelled)
	net.EmitLoss(g.Builder, loss, correct)
	if grads, err = engine.Grad(g.Builder, loss, g.Params); err != nil {
		return nil, nil, fmt.Errorf("search: weight step: %w", err)
	}
	return g, grads, nil
}

// updateStep compiles the end of an accumulated weight step: clipping and the update
// by the sums of gradients.
func updateStep(be engine.Backend, n *net.Network, m optim.Method, h optim.Hyper, clip float64) (*net.Step, error) {
	b := prim.NewBuilder()
	params, sums := n.DeclareSums(b)
	update(b, n, params, sums, m, h, clip)
	return net.Compile(be, "weight step, update", b)
}

// update appends clipping and the optimiser's update, and declares its results. Parameters
// of less than two axes do not decay.
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
