package net

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
	SeedName    = "@seed"    // input i64[2], in training: of dropout's draws
	TargetName  = "@target"  // input f32[batch, classes], or f32[batch·positions, 1]
	RateName    = "@rate"    // input f32[]: learning rate of the weights
	MoreName    = "@more"    // input f32[]: 0 when sums of gradients begin anew, else 1
	LossName    = "@loss"    // output f32[]: mean over the batch
	CorrectName = "@correct" // output f32[]: how many labels are met
	AlphaName   = "@alpha"   // output f32[coefficients + 1]: their gradient, then the loss
	SlotsName   = "@opt/"    // begins the names of the optimiser's state
	CoefName    = "coef"     // input f32[coefficients]: of all dims, one after the other
)

// ParamName is the input and output that holds a parameter, f32 of its shape.
func ParamName(param string) string { return "@param/" + param }

// SlotName is the input and output that holds a slot of the optimiser's state of a parameter.
func SlotName(param, slot string) string { return SlotsName + slot + "/" + param }

// SumName is the input and output that sums a parameter's gradients over micro-batches.
func SumName(param string) string { return "@sum/" + param }

// OutName is the output that holds a value of the graph, as Forward gives it.
func OutName(value string) string { return "@out/" + value }

func gradName(param string) string { return "@grad/" + param }

func statName(stat string) string { return "@stat/" + stat }

func teacherName(output string) string { return "@teacher/" + output }

// Lowered is a network lowered into a builder.
type Lowered struct {
	Builder *prim.Builder
	Params  []prim.ID // in the order of Network.Params
	Coef    prim.ID   // f32[coefficients]; Invalid for a plain network
	values  map[string]prim.ID
	stats   map[string]prim.ID // running statistics as they become
	asked   map[string]prim.ID // inputs that beside declared
}

// Lower appends the network to a new builder, in training mode or for inference.
// Parameters, statistics and, of an entangled network, the coefficients become inputs, in
// training mode the seed as well; nothing is an output yet.
func (n *Network) Lower(training bool) (*Lowered, error) {
	g := &Lowered{Builder: prim.NewBuilder(), Coef: prim.Invalid, stats: map[string]prim.ID{}, asked: map[string]prim.ID{}}
	b := g.Builder
	ids := map[string]prim.ID{}
	for _, t := range n.Model.Graph.Inits {
		switch n.roles[t.Name] {
		case ops.Parameter:
			ids[t.Name] = b.Input(ParamName(t.Name), prim.Type{DType: prim.F32, Shape: t.Dims})
			g.Params = append(g.Params, ids[t.Name])
		case ops.Statistic:
			ids[t.Name] = b.Input(statName(t.Name), prim.Type{DType: prim.F32, Shape: t.Dims})
		}
	}
	h := ops.Hooks{Training: training, Frozen: n.Frozen, Float: prim.F32, Seed: prim.Invalid, Whole: n.whole}
	if training {
		h.Seed = b.Input(SeedName, prim.Type{DType: prim.I64, Shape: []int{2}})
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
		if id, ok := g.values[v.Name]; ok && (b.Node(id).Prim == nil || n.whole[v.Name]) {
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

// beside declares an input of the shape of a value, one where several outputs ask for it.
func (g *Lowered) beside(name, value string) prim.ID {
	id, ok := g.asked[name]
	if !ok {
		id = batchInput(g.Builder, name, g.Builder.Type(g.values[value]))
		g.asked[name] = id
	}
	return id
}

// coefficients declares the input of all coefficients and returns those of each dim.
func (g *Lowered) coefficients(s *space.Space) []prim.ID {
	total := 0
	for _, d := range s.Dims {
		total += len(d.Choices)
	}
	g.Coef = g.Builder.Input(CoefName, prim.Type{DType: prim.F32, Shape: []int{total}})
	out := make([]prim.ID, len(s.Dims))
	at := 0
	for i, d := range s.Dims {
		k := len(d.Choices)
		out[i] = g.Builder.Add(prim.Slice{Start: []int{at}, Size: []int{k}, Step: []int{1}}, g.Coef)
		at += k
	}
	return out
}

// Forward compiles the inference program, whose outputs are values of the graph; without any,
// the first output's.
func (n *Network) Forward(be engine.Backend, values ...string) (*Step, error) {
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	emit := func(v string) {
		if !named[v] {
			named[v] = true
			g.Builder.Output(OutName(v), g.values[v])
		}
	}
	if len(values) == 0 {
		emit(n.Model.Graph.Outputs[0].Name)
	}
	for _, v := range values {
		emit(v)
	}
	return Compile(be, "forward", g.Builder)
}

// EmitLoss makes the loss an output, and the correct ones unless they are Invalid.
func EmitLoss(b *prim.Builder, loss, correct prim.ID) {
	b.Output(LossName, loss)
	if correct != prim.Invalid {
		b.Output(CorrectName, correct)
	}
}

// EmitSums makes the sums of the parameters' gradients outputs. They become input "@more" ?
// sums + grads / parts : grads / parts; grads are in the order of Params.
func (n *Network) EmitSums(g *Lowered, grads []prim.ID, parts int) {
	b := g.Builder
	more := b.Input(MoreName, prim.Type{DType: prim.F32})
	sum := prim.Op(prim.Add, prim.Op(prim.Select, prim.A(2), prim.A(0), prim.L(0)), prim.Op(prim.Mul, prim.A(1), prim.L(1/float64(parts))))
	for i, name := range n.Params {
		old := b.Input(SumName(name), b.Type(g.Params[i]))
		b.Donate(SumName(name))
		b.Output(SumName(name), b.Map(sum, old, grads[i], more))
	}
}

// DeclareSums declares the parameters and the sums of their gradients as inputs, both in the
// order of Params.
func (n *Network) DeclareSums(b *prim.Builder) (params, sums []prim.ID) {
	for _, name := range n.Params {
		t := n.ParamType(name)
		params, sums = append(params, b.Input(ParamName(name), t)), append(sums, b.Input(SumName(name), t))
	}
	return params, sums
}

// ParamType is the type in which programs hold a parameter: f32 of its shape.
func (n *Network) ParamType(name string) prim.Type {
	return prim.Type{DType: prim.F32, Shape: n.Model.Graph.Init(name).Dims}
}

// EmitStats makes the running statistics that a training pass moved outputs.
func (n *Network) EmitStats(g *Lowered) {
	for _, name := range n.Stats {
		if v, ok := g.stats[name]; ok {
			g.Builder.Donate(statName(name))
			g.Builder.Output(statName(name), v)
		}
	}
}

// calibrateStep compiles a training-mode pass that moves running statistics only.
func (n *Network) calibrateStep(be engine.Backend) (*Step, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	n.EmitStats(g)
	if len(g.stats) == 0 {
		return nil, nil
	}
	return Compile(be, "calibration", g.Builder)
}

// gradientStep compiles the loss gradient of every parameter in inference mode.
func (n *Network) gradientStep(be engine.Backend, o Objective, labelled bool) (*Step, error) {
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	loss, _ := n.Loss(g, o, labelled)
	return n.compileGradients(be, g, loss)
}

// compileGradients makes the gradients of a scalar with respect to every parameter the outputs.
func (n *Network) compileGradients(be engine.Backend, g *Lowered, y prim.ID) (*Step, error) {
	grads, err := engine.Grad(g.Builder, y, g.Params)
	if err != nil {
		return nil, fmt.Errorf("search: gradient step: %w", err)
	}
	for i, name := range n.Params {
		g.Builder.Output(gradName(name), grads[i])
	}
	return Compile(be, "gradient step", g.Builder)
}
