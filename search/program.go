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
	return compileProgram(be, name, p)
}

func compileProgram(be engine.Backend, name string, p *prim.Program) (*step, error) {
	exe, err := be.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("search: %s: compile on %s: %w", name, be.Name(), err)
	}
	return &step{name, p, exe}, nil
}

// run executes the program on the buffers of env, with those of extra taking
// precedence. Outputs named like an input replace it in env; the others are returned.
func (s *step) run(env Env, extra ...Env) (Env, error) {
	in := make([]engine.Buffer, len(s.p.Inputs))
	for i, x := range s.p.Inputs {
		for _, e := range extra {
			if in[i] == nil {
				in[i] = e[x.Name]
			}
		}
		if in[i] == nil {
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
func scalar(b engine.Buffer) (float64, error) {
	t, err := b.Read()
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
	loss, correct := n.loss(g, o, labelled)
	grads, err := engine.Grad(g.b, loss, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: weight step: %w", err)
	}
	n.update(g.b, g.params, grads, m, h, clip)
	n.emitStats(g)
	emitLoss(g.b, loss, correct)
	return n.compileTraining(be, "weight step", g.b)
}

// update appends clipping and the optimiser's update, and declares its results.
func (n *Network) update(b *prim.Builder, params, grads []prim.ID, m optim.Method, h optim.Hyper, clip float64) {
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

func emitLoss(b *prim.Builder, loss, correct prim.ID) {
	b.Output(lossName, loss)
	if correct != prim.Invalid {
		b.Output(correctName, correct)
	}
}

// sumStep compiles one micro-batch of an accumulated weight step: the sums of
// gradients become input "@more" ? sums + gradients / parts : gradients / parts.
// Running statistics move with every micro-batch, when stats says so.
func (n *Network) sumStep(be engine.Backend, o Objective, labelled bool, parts int, stats bool) (*step, error) {
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

// emitSums appends the sums of gradients of the parameters.
func (n *Network) emitSums(g *graph, grads []prim.ID, parts int) {
	b := g.b
	more := b.Input(moreName, prim.Type{DType: prim.F32})
	sum := prim.Op(prim.Add, prim.Op(prim.Select, prim.A(2), prim.A(0), prim.L(0)), prim.Op(prim.Mul, prim.A(1), prim.L(1/float64(parts))))
	for i, name := range n.Params {
		old := b.Input(sumName(name), b.Type(g.params[i]))
		b.Donate(sumName(name))
		b.Output(sumName(name), b.Map(sum, old, grads[i], more))
	}
}

// updateStep compiles the end of an accumulated weight step: clipping and the update
// by the sums of gradients.
func (n *Network) updateStep(be engine.Backend, m optim.Method, h optim.Hyper, clip float64) (*step, error) {
	b := prim.NewBuilder()
	params, sums := make([]prim.ID, len(n.Params)), make([]prim.ID, len(n.Params))
	for i, name := range n.Params {
		t := prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}
		params[i], sums[i] = b.Input(paramName(name), t), b.Input(sumName(name), t)
	}
	n.update(b, params, sums, m, h, clip)
	return compile(be, "weight step, update", b)
}

func (n *Network) emitStats(g *graph) {
	for _, name := range n.Stats {
		if v, ok := g.stats[name]; ok {
			g.b.Donate(statName(name))
			g.b.Output(statName(name), v)
		}
	}
}

// alphaStep compiles the architecture step: output "@alpha" is the gradient with
// respect to all coefficients, dim after dim, and the loss behind it. Weights and
// statistics stay as they are.
//
// With sums it also adds up the gradients of the parameters over so many
// micro-batches, as sumStep does.
func (n *Network) alphaStep(be engine.Backend, o Objective, labelled bool, sums int) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.loss(g, o, labelled)
	wrt := []prim.ID{g.coef}
	if sums > 0 {
		wrt = append(wrt, g.params...)
	}
	grads, err := engine.Grad(g.b, loss, wrt)
	if err != nil {
		return nil, fmt.Errorf("search: architecture step: %w", err)
	}
	if sums > 0 {
		n.emitSums(g, grads[1:], sums)
	}
	g.b.Output(alphaName, g.b.Add(prim.Concat{Axis: 0}, grads[0], g.b.Reshape(loss, 1)))
	g.b.Output(lossName, loss)
	return n.compileTraining(be, "architecture step", g.b)
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
