package net

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// Names of program inputs and outputs of classifiers of positions.
const (
	shareName = "@share" // weight of every position in the mean
	nllName   = "@nll"
	rankName  = "@rank"
	bestName  = "@best" // of masks: the class of the largest logit
)

// masked reports whether positions are the pixels of a map.
func (n *Network) masked() bool { return len(n.labels.Shape) > 1 }

// rows is the number of positions in a batch.
func (n *Network) rows() int { return n.Batch * n.Positions }

// positionLoss is the cross-entropy of a classifier of positions. Targets are class numbers
// f32[rows, 1], −1 where a position does not count, and shares f32[rows, 1], which sum to 1
// over those that count: the loss is the mean over positions. Correct is as in Loss.
func (n *Network) positionLoss(g *Lowered, x Meaning, o Objective) (loss, correct, share prim.ID) {
	b := g.Builder
	column := prim.Type{DType: prim.F32, Shape: []int{n.rows(), 1}}
	z := rowsOf(b, g.values[x.value], x.axis)
	label := batchInput(b, TargetName, column)
	share = batchInput(b, shareName, column)
	nll, hit := n.scores(b, z, label, o.Smoothing)
	return scalarMean(b, 1, prim.Op(prim.Mul, prim.A(0), prim.A(1)), share, nll), b.Reshape(b.Sum(hit, 0, 1)), share
}

// positionDivergence is divergence over positions by their shares; without any they count
// alike.
func (n *Network) positionDivergence(g *Lowered, x Meaning, teacher, share prim.ID, temperature float64) prim.ID {
	b := g.Builder
	if share == prim.Invalid {
		share = b.Full(prim.Type{DType: prim.F32, Shape: []int{n.rows(), 1}}, 1/float64(n.rows()))
	}
	lt := logSoftmax(b, b.Scale(rowsOf(b, teacher, x.axis), 1/temperature))
	ls := logSoftmax(b, b.Scale(rowsOf(b, g.values[x.value], x.axis), 1/temperature))
	kl := prim.Op(prim.Mul, prim.A(2), prim.Op(prim.Mul, prim.Op(prim.Exp, prim.A(0)), prim.Op(prim.Sub, prim.A(0), prim.A(1))))
	return b.Scale(scalarMean(b, 1, kl, lt, ls, share), temperature*temperature)
}

// scores returns, per row of logits z f32[rows, classes], the cross-entropy with
// the (smoothed) label and whether the largest logit is the label's, both [rows, 1].
func (n *Network) scores(b *prim.Builder, z, label prim.ID, smoothing float64) (nll, hit prim.ID) {
	shift := b.StopGrad(b.MaxOver(z, 1))
	sum := b.Reduce(prim.ReduceSum, []int{1}, prim.Op(prim.Exp, prim.Op(prim.Sub, prim.A(0), prim.A(1))), z, shift)
	picked := n.picked(b, z, label)
	if smoothing > 0 {
		picked = b.Plus(b.Scale(picked, 1-smoothing), b.Scale(b.Mean(z, 1), smoothing))
	}
	nll = b.Map(prim.Op(prim.Sub, prim.Op(prim.Add, prim.Op(prim.Log, prim.A(0)), prim.A(1)), prim.A(2)), sum, shift, picked)
	best := b.Cast(b.Add(prim.ArgReduce{Axis: 1}, z), prim.F32)
	return nll, b.Map(prim.Op(prim.Eq, prim.A(0), prim.A(1)), best, label)
}

// numbers is f32[1, classes], every class its number.
func (n *Network) numbers(b *prim.Builder) prim.ID {
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{1, n.Classes}})
	for i := range t.F32 {
		t.F32[i] = float32(i)
	}
	return b.Const(t)
}

// picked returns the logit of every row's label, 0 where the label is no class; [rows, 1].
func (n *Network) picked(b *prim.Builder, z, label prim.ID) prim.ID {
	own := prim.Op(prim.Eq, prim.A(1), prim.A(2))
	return b.Reduce(prim.ReduceSum, []int{1}, prim.Op(prim.Select, own, prim.A(0), prim.L(0)), z, label, n.numbers(b))
}

// rank returns how many logits of every row come before the label's, as measure.Row does.
func (n *Network) rank(b *prim.Builder, z, labels prim.ID) prim.ID {
	value, label, class, own := prim.A(0), prim.A(1), prim.A(2), prim.A(3)
	tie := prim.Op(prim.And, prim.Op(prim.Lt, class, label), prim.Op(prim.Eq, own, value))
	before := prim.Op(prim.And, prim.Op(prim.Ne, class, label), prim.Op(prim.Or, prim.Op(prim.Lt, own, value), tie))
	return b.Reduce(prim.ReduceSum, []int{1}, prim.Op(prim.Select, before, prim.L(1), prim.L(0)), z, labels, n.numbers(b), n.picked(b, z, labels))
}

// scoreStep compiles inference with the scores of every position.
func (n *Network) scoreStep(be engine.Backend) (*Step, error) {
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	label := batchInput(g.Builder, TargetName, prim.Type{DType: prim.F32, Shape: []int{n.rows(), 1}})
	x, _ := n.Target()
	z := rowsOf(g.Builder, g.values[x.value], x.axis)
	nll, _ := n.scores(g.Builder, z, label, 0)
	g.Builder.Output(nllName, nll)
	g.Builder.Output(rankName, n.rank(g.Builder, z, label))
	if n.masked() {
		g.Builder.Output(bestName, g.Builder.Cast(g.Builder.Add(prim.ArgReduce{Axis: 1}, z), prim.F32))
	}
	return Compile(be, "scores", g.Builder)
}

// positionTargets returns the labels and shares of a batch as positionLoss takes
// them, and how many positions count. Samples beyond b.Valid do not.
func positionTargets(b *data.Batch, positions, classes int) (label, share *prim.Tensor, count int, err error) {
	rows := len(b.Index) * positions
	if b.Labels == nil || b.Labels.Len() != rows {
		return nil, nil, 0, fmt.Errorf("search: want a label for each of %d positions, the batch has %v", rows, b.Labels)
	}
	column := prim.Type{DType: prim.F32, Shape: []int{rows, 1}}
	label, share = prim.NewTensor(column), prim.NewTensor(column)
	for i, l := range b.Labels.I64 {
		switch {
		case l >= int64(classes):
			return nil, nil, 0, fmt.Errorf("search: label %d at position %d of sample %d: the model has %d classes", l, i%positions, b.Index[i/positions], classes)
		case l < 0 || i >= b.Valid*positions:
			label.F32[i] = -1
		default:
			label.F32[i] = float32(l)
			count++
		}
	}
	for i, l := range label.F32 {
		if l >= 0 {
			share.F32[i] = 1 / float32(count)
		}
	}
	return label, share, count, nil
}

// Counted returns how many labels of a batch count: its samples, or the positions that have one.
func (n *Network) Counted(b *data.Batch) float64 {
	if n.Positions == 0 {
		return float64(b.Valid)
	}
	count := 0.0
	for _, l := range b.Labels.I64[:b.Valid*n.Positions] {
		if l >= 0 {
			count++
		}
	}
	return count
}

// addPositions adds the scores of a batch at the positions that have a label.
func addPositions(s *measure.Sum, out Env, label *prim.Tensor) error {
	nll, err := out[nllName].Read()
	if err != nil {
		return err
	}
	rank, err := out[rankName].Read()
	if err != nil {
		return err
	}
	var best *prim.Tensor
	if s.Masks {
		if best, err = out[bestName].Read(); err != nil {
			return err
		}
	}
	for i, l := range label.F32 {
		if l < 0 {
			continue
		}
		if math.IsInf(float64(nll.F32[i]), 1) {
			return fmt.Errorf("label %g at position %d of sample %d: the output is -Inf there, as where a mask leaves a class out: want a label that can be met, or none (-1)", l, i%s.Positions, i/s.Positions)
		}
		s.Count(float64(nll.F32[i]), int(rank.F32[i]))
		if best != nil {
			s.Overlap(int(l), int(best.F32[i]))
		}
	}
	return nil
}
