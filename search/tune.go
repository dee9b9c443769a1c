package search

import (
	"context"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
)

// Tuned is what Tune did.
type Tuned struct {
	Before, After *Score // on the scored view; nil without labels
	// From and To are the distances from the teacher's outputs on the scored view, before
	// and after; nil with labels or without a teacher.
	From, To *Fidelity
	Curve    []Event
}

// Tune recalibrates (calibrate batches, 0 for none) and trains a plain network on
// the weights and architecture samples together, scores it on the given view
// before and after, and returns the model with its new weights.
func Tune(ctx context.Context, be engine.Backend, n, teach *Network, v *Views, scored data.View, w Weights, calibrate int, seed uint64, h Hooks) (*Tuned, *ir.Model, error) {
	t := &Tuned{}
	labelled := n.Classes > 0 && scored.Len() > 0 && scored.Part().Labelled()
	measure := func(n *Network, score **Score, distance **Fidelity) (err error) {
		switch {
		case labelled:
			*score, err = Evaluate(ctx, be, n, scored)
		case teach != nil && scored.Len() > 0:
			*distance, err = Compare(ctx, be, n, teach, scored)
		}
		return err
	}
	if err := measure(n, &t.Before, &t.From); err != nil {
		return nil, nil, err
	}
	var err error
	m := n.Model
	if calibrate > 0 && len(n.Stats) > 0 {
		if m, n, err = n.calibrated(ctx, be, v.Both, calibrate, seed); err != nil {
			return nil, nil, err
		}
	}
	if w.Epochs > 0 {
		r, err := Train(ctx, be, n, teach, v.Both, v.Val, w, seed, h)
		if err != nil {
			return nil, nil, err
		}
		t.Curve = r.Curve
		if m, n, err = n.with(r.Weights); err != nil {
			return nil, nil, err
		}
	}
	if err := measure(n, &t.After, &t.To); err != nil {
		return nil, nil, err
	}
	return t, m, nil
}
