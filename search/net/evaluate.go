package net

import (
	"context"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Score is the quality of a classifier on labelled samples. For a classifier of
// positions Correct, Accuracy and Loss count positions.
type Score struct {
	Samples int `json:"samples"`
	// Positions counts the labels of a classifier of positions; 0 for others.
	Positions int     `json:"positions,omitempty"`
	Correct   int     `json:"correct"`
	Accuracy  float64 `json:"accuracy"` // share of samples whose largest logit is the label
	Loss      float64 `json:"loss"`     // mean cross-entropy in nats
}

// Evaluator runs the inference program of a network over a view.
type Evaluator struct {
	net *Network
	fwd *Step
	be  engine.Backend
}

func NewEvaluator(be engine.Backend, n *Network) (*Evaluator, error) {
	compile := func(be engine.Backend) (*Step, error) { return n.Forward(be) }
	if n.Positions > 0 {
		compile = n.scoreStep
	}
	fwd, err := compile(be)
	if err != nil {
		return nil, err
	}
	return &Evaluator{n, fwd, be}, nil
}

// Evaluate scores a network with its model's own weights in inference mode.
func Evaluate(ctx context.Context, be engine.Backend, n *Network, view data.View) (*Score, error) {
	ev, err := NewEvaluator(be, n)
	if err != nil {
		return nil, err
	}
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return nil, err
	}
	return ev.Score(ctx, env, view)
}

// Score runs over the view once, in order. Env holds weights (and coefficients).
func (ev *Evaluator) Score(ctx context.Context, env Env, view data.View) (*Score, error) {
	if ev.net.Classes == 0 {
		return nil, fmt.Errorf("search: evaluate: want a first output [batch, classes], or [batch, positions, classes] with a label per position, %q has type %s", ev.net.Logits, ev.net.Facts.Values[ev.net.Logits].Type)
	}
	if !view.Part().Labelled() || view.Len() == 0 {
		return nil, fmt.Errorf("search: evaluate: %q of %q: want labelled samples, it has %d samples and labels: %t", view.Part().Name, view.Set().Spec, view.Len(), view.Part().Labelled())
	}
	f, err := NewFeed(ev.be, ev.net, nil, Objective{}, view.Set(), true)
	if err != nil {
		return nil, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: ev.net.Batch, Name: "evaluate"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	s := &Score{}
	loss := 0.0
	// One batch is ahead: a device has it while the one before is counted here.
	count := func() error { return nil }
	err = l.Each(func(b *data.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := ev.start(s, &loss, env, f, b)
		if err != nil {
			return err
		}
		last := count
		count = next
		return last()
	})
	if err == nil {
		err = count()
	}
	if err != nil {
		return nil, err
	}
	counted := float64(s.Samples)
	if ev.net.Positions > 0 {
		if counted = float64(s.Positions); counted == 0 {
			return nil, fmt.Errorf("search: evaluate: %q of %q: no position has a label", view.Part().Name, view.Set().Spec)
		}
	}
	s.Accuracy, s.Loss = float64(s.Correct)/counted, loss/counted
	return s, nil
}

// start runs a batch; count waits for it and adds it to s and to the sum of losses.
func (ev *Evaluator) start(s *Score, loss *float64, env Env, f *Feed, b *data.Batch) (count func() error, err error) {
	in, err := f.inputs(b)
	if err != nil {
		return nil, err
	}
	var label *prim.Tensor
	if ev.net.Positions > 0 {
		if label, _, _, err = positionTargets(b, ev.net.Positions, ev.net.Classes); err != nil {
			return nil, err
		}
		if in[TargetName], err = ev.be.Upload(label); err != nil {
			return nil, err
		}
	}
	out, err := ev.fwd.Run(env, in)
	if err != nil {
		return nil, err
	}
	in.Free()
	return func() error {
		defer out.Free()
		s.Samples += b.Valid
		if label != nil {
			return addPositions(s, loss, out, label)
		}
		return ev.addSamples(s, loss, out, b)
	}, nil
}

// addSamples adds the logits of a batch.
func (ev *Evaluator) addSamples(s *Score, loss *float64, out Env, b *data.Batch) error {
	z, err := out["@out/"+ev.net.Logits].Read()
	if err != nil {
		return err
	}
	for i := range b.Valid {
		row := z.F32[i*ev.net.Classes : (i+1)*ev.net.Classes]
		label := b.Labels.I64[i]
		if label < 0 || label >= int64(len(row)) {
			return fmt.Errorf("search: label %d of sample %d: the model has %d classes", label, b.Index[i], len(row))
		}
		best, top := 0, math.Inf(-1)
		for k, v := range row {
			if float64(v) > top {
				best, top = k, float64(v)
			}
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		*loss += top + math.Log(sum) - float64(row[label])
		if best == int(label) {
			s.Correct++
		}
	}
	return nil
}

// Perplexity is e to the loss.
func (s *Score) Perplexity() float64 { return math.Exp(s.Loss) }
