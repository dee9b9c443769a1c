package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/optim"
)

// Env holds device buffers by program input name. Steps replace what they update.
type Env map[string]engine.Buffer

// step is a compiled program over an Env.
type step struct {
	name string
	p    *prim.Program
	exe  engine.Executable
}

func compile(be engine.Backend, name string, b *prim.Builder) (*step, error) {
	p, err := b.Program()
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", name, err)
	}
	exe, err := be.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("search: %s: compile on %s: %w", name, be.Name(), err)
	}
	return &step{name, p, exe}, nil
}

// run executes the program on the buffers of env, with extra taking precedence.
// Outputs named like an input replace it in env; the others are returned.
func (s *step) run(env, extra Env) (Env, error) {
	in := make([]engine.Buffer, len(s.p.Inputs))
	for i, x := range s.p.Inputs {
		if in[i] = extra[x.Name]; in[i] == nil {
			in[i] = env[x.Name]
		}
		if in[i] == nil {
			return nil, fmt.Errorf("BUG: search: %s: input %q has no buffer", s.name, x.Name)
		}
	}
	res, err := s.exe.Run(in)
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", s.name, err)
	}
	out := Env{}
	for i, o := range s.p.Outputs {
		if s.p.Input(o.Name) >= 0 {
			env[o.Name] = res[i]
		} else {
			out[o.Name] = res[i]
		}
	}
	return out, nil
}

// scalar reads a rank-0 result.
func (e Env) scalar(name string) (float64, error) {
	t, err := e[name].Read()
	if err != nil {
		return 0, err
	}
	return t.Float(0), nil
}

// forward compiles the inference program: outputs are the graph's outputs and the logits.
func (n *Network) forward(be engine.Backend, extra ...string) (*step, error) {
	g, err := n.lower(false)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	emit := func(v string) {
		if !named[v] {
			named[v] = true
			g.b.Output("@out/"+v, g.values[v])
		}
	}
	emit(n.Logits)
	for _, v := range extra {
		emit(v)
	}
	return compile(be, "forward", g.b)
}

// weightStep compiles one training step of the weights: loss, gradients, clipping,
// update, running statistics.
func (n *Network) weightStep(be engine.Backend, o Objective, labelled bool, m optim.Method, h optim.Hyper, clip float64) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	b := g.b
	loss, correct := n.loss(g, o, labelled)
	grads, err := engine.Grad(b, loss, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	if clip > 0 {
		var norm prim.ID
		grads, norm = optim.Clip(b, grads, clip)
		b.Output(normName, norm)
	}
	rate := b.Input(rateName, prim.Type{DType: prim.F32})
	for i, name := range n.Params {
		p := g.params[i]
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
	n.emitStats(g)
	b.Output(lossName, loss)
	if correct != prim.Invalid {
		b.Output(correctName, correct)
	}
	return compile(be, "weight step", b)
}

func (n *Network) emitStats(g *graph) {
	for _, name := range n.Stats {
		if v, ok := g.stats[name]; ok {
			g.b.Donate(statName(name))
			g.b.Output(statName(name), v)
		}
	}
}

// alphaStep compiles the architecture step: loss and its gradient with respect to
// every dim's coefficients. Weights and statistics stay as they are.
func (n *Network) alphaStep(be engine.Backend, o Objective, labelled bool) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, correct := n.loss(g, o, labelled)
	grads, err := engine.Grad(g.b, loss, g.coefs)
	if err != nil {
		return nil, fmt.Errorf("search: architecture step: %w", err)
	}
	for i, d := range n.Super.Space.Dims {
		g.b.Output(gradName(d.Name), grads[i])
	}
	g.b.Output(lossName, loss)
	if correct != prim.Invalid {
		g.b.Output(correctName, correct)
	}
	return compile(be, "architecture step", g.b)
}

// calibrateStep compiles a training-mode pass that moves running statistics only.
func (n *Network) calibrateStep(be engine.Backend) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	n.emitStats(g)
	if len(g.stats) == 0 {
		return nil, nil
	}
	return compile(be, "calibration", g.b)
}

// gradientStep compiles the loss gradient of every parameter in inference mode.
func (n *Network) gradientStep(be engine.Backend, o Objective, labelled bool) (*step, error) {
	g, err := n.lower(false)
	if err != nil {
		return nil, err
	}
	loss, _ := n.loss(g, o, labelled)
	return n.compileGradients(be, g, loss)
}

// compileGradients makes the gradients of a scalar with respect to every parameter the outputs.
func (n *Network) compileGradients(be engine.Backend, g *graph, y prim.ID) (*step, error) {
	grads, err := engine.Grad(g.b, y, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: gradient step: %w", err)
	}
	for i, name := range n.Params {
		g.b.Output(gradName(name), grads[i])
	}
	return compile(be, "gradient step", g.b)
}
