package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Objective is the loss that weights and architecture minimise, beside cost.
// Classifiers: Labels · cross-entropy + Distill · T² · KL(teacher ‖ student) at
// temperature T; classifiers of positions likewise, as a mean over the positions
// that have labels. Other models have no labels: Distill · Σ over float outputs. An
// output that is a softmax along its last axis adds T² · KL as a mean over its rows, any
// other the mean squared difference from the teacher's, relative to the teacher's mean
// square.
type Objective struct {
	Labels      float64 `json:"labels" want:">=0" doc:"weight of the loss on labels"`
	Distill     float64 `json:"distill" want:">=0" doc:"weight of distillation from the original; alone it needs no labels"`
	Temperature float64 `json:"temperature" want:">0" doc:"temperature of distillation"`
	Smoothing   float64 `json:"smoothing" want:"[0,1)" doc:"label smoothing"`
}

// Check reports an objective that cannot be minimised for the network.
func (o Objective) Check(n *Network, labelled bool) error {
	switch {
	case o.Labels < 0 || o.Distill < 0 || o.Labels+o.Distill == 0:
		return fmt.Errorf("search: objective: want weights ≥ 0, one of them positive, got labels %g and distill %g", o.Labels, o.Distill)
	case o.Smoothing < 0 || o.Smoothing >= 1:
		return fmt.Errorf("search: objective: label smoothing: want a number in [0, 1), got %g", o.Smoothing)
	case o.Distill > 0 && o.Temperature <= 0:
		return fmt.Errorf("search: objective: temperature: want a positive number, got %g", o.Temperature)
	case o.Labels > 0 && n.Classes == 0:
		return fmt.Errorf("search: objective: labels need a first output [batch, classes], or [batch, positions, classes] with a label per position, this model's %q has type %s", n.Logits, n.Facts.Values[n.Logits].Type)
	case o.Labels > 0 && !labelled:
		return fmt.Errorf("search: objective: labels are asked for but the data has none")
	}
	return nil
}

// logSoftmax works along the last axis.
func logSoftmax(b *prim.Builder, x prim.ID) prim.ID {
	last := len(b.Shape(x)) - 1
	shift := b.Add(prim.StopGrad{}, b.Reduce(prim.ReduceMax, []int{last}, prim.A(0), x))
	sum := b.Reduce(prim.ReduceSum, []int{last}, prim.Op(prim.Exp, prim.Op(prim.Sub, prim.A(0), prim.A(1))), x, shift)
	return b.Map(prim.Op(prim.Sub, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.Op(prim.Log, prim.A(2))), x, shift, sum)
}

// plus returns sum + v, v where there is no sum yet.
func plus(b *prim.Builder, sum, v prim.ID) prim.ID {
	if sum == prim.Invalid {
		return v
	}
	return b.Plus(sum, v)
}

// scalarMean adds up everything, divides by count and drops to rank 0.
func scalarMean(b *prim.Builder, count float64, e *prim.X, in ...prim.ID) prim.ID {
	shape, err := prim.BroadcastShapes(shapesOf(b, in)...)
	if err != nil {
		return b.Fail(err)
	}
	axes := make([]int, len(shape))
	for i := range axes {
		axes[i] = i
	}
	return b.Scale(b.Reshape(b.Reduce(prim.ReduceSum, axes, e, in...)), 1/count)
}

func shapesOf(b *prim.Builder, in []prim.ID) [][]int {
	out := make([][]int, len(in))
	for i, x := range in {
		out[i] = b.Shape(x)
	}
	return out
}

// teacherOutputs lists the values whose teacher counterparts the loss needs.
func (n *Network) teacherOutputs(o Objective) []string {
	if o.Distill == 0 {
		return nil
	}
	var out []string
	for _, l := range n.lessons() {
		out = append(out, l.value)
	}
	return out
}

// Loss appends the objective to the graph, both results f32[]. Targets are probabilities
// [batch, classes] (input "@target"); teacher values are inputs "@teacher/<value>". The
// loss is a mean over samples; correct counts samples whose largest logit is the target's
// largest and is Invalid without labels. The objective must pass Check.
func (n *Network) Loss(g *Lowered, o Objective, labelled bool) (loss, correct prim.ID) {
	if n.Positions > 0 {
		return n.positionLoss(g, o, labelled)
	}
	b := g.Builder
	batch := float64(n.Batch)
	total := prim.Invalid
	add := func(v prim.ID, k float64) { total = plus(b, total, b.Scale(v, k)) }
	correct = prim.Invalid
	if n.Classes > 0 {
		z := g.values[n.Logits]
		if labelled {
			t := batchInput(b, TargetName, prim.Type{DType: prim.F32, Shape: []int{n.Batch, n.Classes}})
			if o.Labels > 0 {
				add(scalarMean(b, batch, prim.Op(prim.Neg, prim.Op(prim.Mul, prim.A(0), prim.A(1))), t, logSoftmax(b, z)), o.Labels)
			}
			same := b.MapAs(prim.I64, prim.F32, prim.Op(prim.Eq, prim.A(0), prim.A(1)), b.Add(prim.ArgReduce{Axis: 1}, z), b.Add(prim.ArgReduce{Axis: 1}, t))
			correct = b.Reshape(b.Sum(same, 0, 1))
		}
		if o.Distill > 0 {
			t := batchInput(b, teacherName(n.Logits), b.Type(z))
			add(divergence(b, t, z, o.Temperature), o.Distill)
		}
		return total, correct
	}
	for _, l := range n.lessons() {
		s := g.values[l.value]
		t := batchInput(b, teacherName(l.value), b.Type(s))
		if l.logits {
			add(divergence(b, t, s, o.Temperature), o.Distill)
			continue
		}
		diff := prim.Op(prim.Sub, prim.A(0), prim.A(1))
		count := float64(b.Type(s).Len())
		power := scalarMean(b, count, prim.Op(prim.Mul, prim.A(0), prim.A(0)), t)
		add(b.Map(prim.Op(prim.Div, prim.A(0), prim.Op(prim.Add, prim.A(1), prim.L(1e-8))), scalarMean(b, count, prim.Op(prim.Mul, diff, diff), s, t), power), o.Distill)
	}
	return total, correct
}
