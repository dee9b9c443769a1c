package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Names of program inputs and outputs beside the graph's own: "@" cannot begin a
// name that data feeds, so they never collide.
const (
	seedName    = "@seed"
	targetName  = "@target"
	rateName    = "@rate"
	lossName    = "@loss"
	correctName = "@correct"
	normName    = "@norm"
	moreName    = "@more"
	alphaName   = "@alpha"
	coefName    = "coef"
)

func paramName(s string) string { return "@param/" + s }

func statName(s string) string { return "@stat/" + s }

func slotName(s, slot string) string { return "@opt/" + slot + "/" + s }

func gradName(s string) string { return "@grad/" + s }

func sumName(s string) string { return "@sum/" + s }

func teacherName(output string) string { return "@teacher/" + output }

// Lowered is a network lowered into a builder.
type Lowered struct {
	b      *prim.Builder
	values map[string]prim.ID
	params []prim.ID // in the order of Network.Params
	coef   prim.ID   // coefficients of all dims of the space, one after the other
	stats  map[string]prim.ID
}

// lower appends the network to a new builder; parameters, statistics and
// coefficients become program inputs.
func (n *Network) lower(training bool) (*Lowered, error) {
	g := &Lowered{b: prim.NewBuilder(), stats: map[string]prim.ID{}}
	b := g.b
	ids := map[string]prim.ID{}
	for _, t := range n.Model.Graph.Inits {
		switch n.roles[t.Name] {
		case ops.Parameter:
			ids[t.Name] = b.Input(paramName(t.Name), prim.Type{DType: prim.F32, Shape: t.Dims})
			g.params = append(g.params, ids[t.Name])
		case ops.Statistic:
			ids[t.Name] = b.Input(statName(t.Name), prim.Type{DType: prim.F32, Shape: t.Dims})
		}
	}
	h := ops.Hooks{Training: training, Float: prim.F32, Seed: prim.Invalid}
	if training {
		h.Seed = b.Input(seedName, prim.Type{DType: prim.I64, Shape: []int{2}})
		h.Update = func(name string, v prim.ID) { g.stats[name] = v }
	}
	h.Init = func(b *prim.Builder, t *ir.Tensor) prim.ID {
		if id, ok := ids[t.Name]; ok {
			return id
		}
		c, err := ops.HostTensor(t, prim.F32)
		if err != nil {
			return b.Fail(err)
		}
		return b.Const(c)
	}
	if n.Super != nil {
		coefs := g.coefficients(n.Super.Space)
		h = n.Super.Hooks(h, coefs)
		if entangled := h.Init; n.separation != nil {
			h.Init = func(b *prim.Builder, t *ir.Tensor) prim.ID {
				if len(n.separation.copies[t.Name]) < 2 {
					return entangled(b, t)
				}
				return n.mix(b, t.Name, coefs, func(copy string) prim.ID { return ids[copy] })
			}
		}
	}
	var err error
	g.values, err = ops.Lower(b, n.Model, n.Facts, h)
	for _, v := range n.Model.Graph.Inputs {
		if id, ok := g.values[v.Name]; ok && b.Node(id).Prim == nil {
			if s := b.Shape(id); len(s) > 0 && s[0] == n.Batch {
				b.Batch(v.Name)
			}
		}
	}
	return g, err
}

// batchInput declares an input that has a row, or rows, for every sample of a batch.
func batchInput(b *prim.Builder, name string, t prim.Type) prim.ID {
	id := b.Input(name, t)
	if len(t.Shape) > 0 {
		b.Batch(name)
	}
	return id
}

// coefficients declares the input of all coefficients and returns those of each dim.
func (g *Lowered) coefficients(s *space.Space) []prim.ID {
	total := 0
	for _, d := range s.Dims {
		total += len(d.Choices)
	}
	g.coef = g.b.Input(coefName, prim.Type{DType: prim.F32, Shape: []int{total}})
	out := make([]prim.ID, len(s.Dims))
	at := 0
	for i, d := range s.Dims {
		k := len(d.Choices)
		out[i] = g.b.Add(prim.Slice{Start: []int{at}, Size: []int{k}, Step: []int{1}}, g.coef)
		at += k
	}
	return out
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

func emitLoss(b *prim.Builder, loss, correct prim.ID) {
	b.Output(lossName, loss)
	if correct != prim.Invalid {
		b.Output(correctName, correct)
	}
}

// emitSums appends the sums of gradients of the parameters.
func (n *Network) emitSums(g *Lowered, grads []prim.ID, parts int) {
	b := g.b
	more := b.Input(moreName, prim.Type{DType: prim.F32})
	sum := prim.Op(prim.Add, prim.Op(prim.Select, prim.A(2), prim.A(0), prim.L(0)), prim.Op(prim.Mul, prim.A(1), prim.L(1/float64(parts))))
	for i, name := range n.Params {
		old := b.Input(sumName(name), b.Type(g.params[i]))
		b.Donate(sumName(name))
		b.Output(sumName(name), b.Map(sum, old, grads[i], more))
	}
}

func (n *Network) emitStats(g *Lowered) {
	for _, name := range n.Stats {
		if v, ok := g.stats[name]; ok {
			g.b.Donate(statName(name))
			g.b.Output(statName(name), v)
		}
	}
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
func (n *Network) compileGradients(be engine.Backend, g *Lowered, y prim.ID) (*step, error) {
	grads, err := engine.Grad(g.b, y, g.params)
	if err != nil {
		return nil, fmt.Errorf("search: gradient step: %w", err)
	}
	for i, name := range n.Params {
		g.b.Output(gradName(name), grads[i])
	}
	return compile(be, "gradient step", g.b)
}
