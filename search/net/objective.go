package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// Objective is the loss that weights and architecture minimise, beside cost:
// Labels · (loss on labels) + Distill · Σ share · (loss against the original), over the
// outputs that have a weight, whose shares add up to 1.
//
//	kind           on labels                        against the original
//	classes        cross-entropy                    T² · KL(teacher ‖ student) at temperature T
//	sigmoid        binary cross-entropy             KL of every element's yes and no
//	values         squared difference               squared difference
//	embedding      –                                1 − cosine
//
// Each is a mean over rows or elements; labels below 0 do not count. Squared differences are
// relative to the variance (see Scale), what several outputs teach is in shares of what the
// best constant would be off by.
type Objective struct {
	Labels      float64 `json:"labels" want:">=0" doc:"weight of the loss on labels"`
	Distill     float64 `json:"distill" want:">=0" doc:"weight of distillation from the original; alone it needs no labels"`
	Temperature float64 `json:"temperature" want:">0" doc:"temperature of distillation"`
	Smoothing   float64 `json:"smoothing" want:"[0,1)" doc:"label smoothing"`
}

// Check reports an objective that cannot be minimised for the network.
func (o Objective) Check(n *Network, labelled bool) error {
	_, target := n.Target()
	taught, _ := n.taught()
	switch {
	case o.Labels < 0 || o.Distill < 0 || o.Labels+o.Distill == 0:
		return fmt.Errorf("search: objective: want weights ≥ 0, one of them positive, got labels %g and distill %g", o.Labels, o.Distill)
	case o.Smoothing < 0 || o.Smoothing >= 1:
		return fmt.Errorf("search: objective: label smoothing: want a number in [0, 1), got %g", o.Smoothing)
	case o.Distill > 0 && o.Temperature <= 0:
		return fmt.Errorf("search: objective: temperature: want a positive number, got %g", o.Temperature)
	case o.Labels > 0 && !labelled:
		return fmt.Errorf("search: objective: labels are asked for but the data has none: distillation alone (--distill 1) learns from the original's outputs")
	case o.Labels > 0 && !target:
		return fmt.Errorf("%w: --output NAME=KIND says what an output is, distillation alone (--distill 1) learns from the original's outputs", n.unlabelled())
	case o.Distill > 0 && len(taught) == 0:
		return fmt.Errorf("search: objective: want a float output to learn from the original, got none of a weight above 0")
	}
	return nil
}

// logSoftmax works along the last axis. What masks fill in, -Inf too, gets a finite logarithm,
// so that its product with a probability of 0 is 0.
func logSoftmax(b *prim.Builder, x prim.ID) prim.ID {
	x = b.Map(prim.Op(prim.Select, prim.Op(prim.Lt, prim.A(0), prim.L(-filled)), prim.L(-filled), prim.A(0)), x)
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

// rowsOf returns a value as rows [rows, n] along an axis.
func rowsOf(b *prim.Builder, x prim.ID, axis int) prim.ID {
	shape := b.Shape(x)
	last := len(shape) - 1
	if axis < last {
		perm := make([]int, 0, len(shape))
		for i := range shape {
			if i != axis {
				perm = append(perm, i)
			}
		}
		x = b.Transpose(x, append(perm, axis)...)
	}
	if last == 1 {
		return x
	}
	return b.Reshape(x, prim.Prod(shape)/shape[axis], shape[axis])
}

// teacherOutputs lists the values whose teacher counterparts the loss needs.
func (n *Network) teacherOutputs(o Objective) []string {
	if o.Distill == 0 {
		return nil
	}
	var out []string
	list, _ := n.taught()
	for _, x := range list {
		out = append(out, x.value)
	}
	return out
}

// Loss appends the objective to the graph, both results f32[]. Input "@target" holds the
// labels: of classes probabilities [batch, classes] or, per position, class numbers
// [batch·positions, 1]; else numbers of the output's shape. Teacher values are inputs
// "@teacher/<value>". The loss is a mean over samples; correct counts what Score calls
// correct, per sample, and is Invalid without labels and of values. The objective must pass
// Check.
func (n *Network) Loss(g *Lowered, o Objective, labelled bool) (loss, correct prim.ID) {
	b := g.Builder
	total, share := prim.Invalid, prim.Invalid
	correct = prim.Invalid
	add := func(v prim.ID, k float64) { total = plus(b, total, b.Scale(v, k)) }
	target, ok := n.Target()
	if ok && labelled {
		var v prim.ID
		switch {
		case n.Positions > 0:
			v, correct, share = n.positionLoss(g, target, o)
		case n.Classes > 0:
			v, correct = n.classLoss(g, target)
		default:
			v, correct = n.elementLoss(g, target)
		}
		if o.Labels > 0 {
			add(v, o.Labels)
		}
	}
	if o.Distill == 0 {
		return total, correct
	}
	list, shares := n.taught()
	for i, x := range list {
		t := g.beside(teacherName(x.value), x.value)
		v := prim.Invalid
		if x.Labels && n.Positions > 0 {
			v = n.positionDivergence(g, x, t, share, o.Temperature)
		} else {
			v = n.distance(b, x, t, g.values[x.value], o.Temperature)
		}
		if scale := n.Scales[x.Output].Constant; scale > 0 && (len(list) > 1 || x.Kind == measure.Sigmoid) {
			v = b.Scale(v, 1/scale)
		}
		add(v, o.Distill*shares[i])
	}
	return total, correct
}

// distance is what a taught output is off from the teacher, rank 0.
func (n *Network) distance(b *prim.Builder, x Meaning, teacher, student prim.ID, temperature float64) prim.ID {
	count := float64(b.Type(student).Len())
	switch {
	case x.Kind.Distributes():
		return divergence(b, rowsOf(b, teacher, x.axis), rowsOf(b, student, x.axis), temperature)
	case x.Kind == measure.Sigmoid:
		// σ(t)·(t − s) + ln(1 + eˢ) − ln(1 + eᵗ) is KL of yes and no by their logits.
		kl := prim.Op(prim.Add, prim.Op(prim.Mul, prim.Op(prim.Sigmoid, prim.A(0)), prim.Op(prim.Sub, prim.A(0), prim.A(1))), prim.Op(prim.Sub, softplus(prim.A(1)), softplus(prim.A(0))))
		return scalarMean(b, count, kl, teacher, student)
	case x.Kind == measure.Embedding:
		t, s := rowsOf(b, teacher, x.axis), rowsOf(b, student, x.axis)
		product := prim.Op(prim.Mul, prim.A(0), prim.A(1))
		length := func(v prim.ID) prim.ID { return b.Reduce(prim.ReduceSum, []int{1}, product, v, v) }
		off := prim.Op(prim.Sub, prim.L(1), prim.Op(prim.Div, prim.A(0), prim.Op(prim.Sqrt, prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(1), prim.A(2)), prim.L(1e-12)))))
		return scalarMean(b, count/float64(b.Shape(s)[1]), off, b.Reduce(prim.ReduceSum, []int{1}, product, t, s), length(t), length(s))
	}
	return n.squared(b, n.Scales[x.Output].Teacher, teacher, student)
}

// squared is the mean squared difference, in units of the columns' variances; without them of
// the mean square of want, for all that is known.
func (n *Network) squared(b *prim.Builder, v *Variance, want, got prim.ID) prim.ID {
	diff := prim.Op(prim.Sub, prim.A(0), prim.A(1))
	count := float64(b.Type(got).Len())
	of := func(e *prim.X, want int) *prim.X { // what masks fill in does not count
		return prim.Op(prim.Select, prim.Op(prim.Lt, prim.Op(prim.Abs, prim.A(want)), prim.L(filled)), e, prim.L(0))
	}
	if v != nil {
		return scalarMean(b, count, of(prim.Op(prim.Mul, prim.A(2), prim.Op(prim.Mul, diff, diff)), 1), got, want, v.inverse(b, len(b.Shape(got))))
	}
	power := scalarMean(b, count, of(prim.Op(prim.Mul, prim.A(0), prim.A(0)), 0), want)
	return b.Map(prim.Op(prim.Div, prim.A(0), prim.Op(prim.Add, prim.A(1), prim.L(1e-8))), scalarMean(b, count, of(prim.Op(prim.Mul, diff, diff), 1), got, want), power)
}

// softplus is ln(1 + eˣ), with its slope at 0.
func softplus(x *prim.X) *prim.X {
	tail := func(x *prim.X) *prim.X { return prim.Op(prim.Log1p, prim.Op(prim.Exp, x)) }
	return prim.Op(prim.Select, prim.Op(prim.Lt, prim.L(0), x), prim.Op(prim.Add, x, tail(prim.Op(prim.Neg, x))), tail(x))
}

// classLoss is the cross-entropy with one label per sample.
func (n *Network) classLoss(g *Lowered, x Meaning) (loss, correct prim.ID) {
	b := g.Builder
	z := rowsOf(b, g.values[x.value], x.axis)
	t := batchInput(b, TargetName, prim.Type{DType: prim.F32, Shape: []int{n.Batch, n.Classes}})
	loss = scalarMean(b, float64(n.Batch), prim.Op(prim.Neg, prim.Op(prim.Mul, prim.A(0), prim.A(1))), t, logSoftmax(b, z))
	same := b.MapAs(prim.I64, prim.F32, prim.Op(prim.Eq, prim.A(0), prim.A(1)), b.Add(prim.ArgReduce{Axis: 1}, z), b.Add(prim.ArgReduce{Axis: 1}, t))
	return loss, b.Reshape(b.Sum(same, 0, 1))
}

// elementLoss is the loss on a label for every element.
func (n *Network) elementLoss(g *Lowered, x Meaning) (loss, correct prim.ID) {
	b := g.Builder
	z := g.values[x.value]
	t := batchInput(b, TargetName, b.Type(z))
	if x.Kind == measure.Values {
		return n.squared(b, n.Scales[x.Output].Labels, t, z), prim.Invalid
	}
	counts := prim.Op(prim.Le, prim.L(0), prim.A(0))
	seen := scalarMean(b, 1, prim.Op(prim.Select, counts, prim.L(1), prim.L(0)), t)
	cross := prim.Op(prim.Sub, softplus(prim.A(1)), prim.Op(prim.Mul, prim.A(0), prim.A(1)))
	sum := scalarMean(b, 1, prim.Op(prim.Select, counts, cross, prim.L(0)), t, z)
	share := prim.Op(prim.Div, prim.A(0), prim.Op(prim.Max, prim.A(1), prim.L(1)))
	right := prim.Op(prim.And, counts, prim.Op(prim.Eq, prim.Op(prim.Lt, prim.L(0), prim.A(1)), prim.Op(prim.Lt, prim.L(0.5), prim.A(0))))
	hits := scalarMean(b, 1/float64(n.Batch), prim.Op(prim.Select, right, prim.L(1), prim.L(0)), t, z)
	return b.Map(share, sum, seen), b.Map(share, hits, seen)
}

// divergence returns T² · KL(teacher ‖ student) of logits along the last axis, at
// temperature T, as a mean over rows; rank 0.
func divergence(b *prim.Builder, teacher, student prim.ID, temperature float64) prim.ID {
	t := b.Type(student)
	rows := float64(t.Len() / t.Shape[len(t.Shape)-1])
	lt := logSoftmax(b, b.Scale(teacher, 1/temperature))
	ls := logSoftmax(b, b.Scale(student, 1/temperature))
	kl := prim.Op(prim.Mul, prim.Op(prim.Exp, prim.A(0)), prim.Op(prim.Sub, prim.A(0), prim.A(1)))
	return b.Scale(scalarMean(b, rows, kl, lt, ls), temperature*temperature)
}
