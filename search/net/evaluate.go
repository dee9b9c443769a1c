package net

import (
	"context"
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// Score is how well a network does on labelled samples.
type Score = measure.Score

// Evaluator runs the inference program of a network, whose target is scored, over views.
type Evaluator struct {
	net *Network
	fwd *Step
	be  engine.Backend
}

// NewEvaluator compiles the inference program of a network. One without a target is an error.
func NewEvaluator(be engine.Backend, n *Network) (*Evaluator, error) {
	x, _ := n.Target()
	compile := func(be engine.Backend) (*Step, error) { return n.Forward(be, x.value) }
	if _, ok := n.Target(); !ok {
		return nil, fmt.Errorf("%w: --output NAME=KIND says what an output is", n.unlabelled())
	}
	if n.Positions > 0 {
		compile = n.scoreStep
	}
	fwd, err := compile(be)
	if err != nil {
		return nil, err
	}
	return &Evaluator{n, fwd, be}, nil
}

// Evaluate scores a plain network with its model's own weights in inference mode. Errors are
// those of Evaluator.Score.
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

// Score runs over the view once, in order. Env holds weights (and coefficients); it is not
// changed. Samples without labels and labels that do not go with the target are errors.
func (ev *Evaluator) Score(ctx context.Context, env Env, view data.View) (*Score, error) {
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
	s := ev.net.sum()
	// One batch is ahead: a device has it while the one before is counted here.
	count := func() error { return nil }
	err = l.Each(func(b *data.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := ev.start(s, env, f, b)
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
	out, err := s.Score()
	if err != nil {
		x, _ := ev.net.Target()
		return nil, fmt.Errorf("search: evaluate: output %q on %q of %q: %w", x.Output, view.Part().Name, view.Set().Spec, err)
	}
	return out, nil
}

// sum begins to score the target's value.
func (n *Network) sum() *measure.Sum {
	x, _ := n.Target()
	s := &measure.Sum{Kind: x.Kind, Positions: n.Positions, Masks: n.masked(), Raw: true}
	if x.Kind == measure.Probabilities {
		s.Kind = measure.Logits
	}
	return s
}

// start runs a batch; count waits for it and adds it to s.
func (ev *Evaluator) start(s *measure.Sum, env Env, f *Feed, b *data.Batch) (count func() error, err error) {
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
		if label != nil {
			s.Seen(b.Valid, ev.net.Classes)
			return addPositions(s, out, label)
		}
		x, _ := ev.net.Target()
		z, err := out[OutName(x.value)].Read()
		if err != nil {
			return err
		}
		if ev.net.Classes > 0 {
			err = measure.Add(s, z.F32, ev.net.Classes, b.Labels.I64[:b.Valid])
		} else {
			var t *prim.Tensor
			if t, err = ev.net.elements(b); err == nil {
				size := t.Len() / len(b.Index)
				err = measure.AddElements(s, z.F32, t.F32[:b.Valid*size], size)
			}
		}
		if err != nil {
			return fmt.Errorf("search: evaluate: output %q: %w", x.Output, err)
		}
		return nil
	}, nil
}
