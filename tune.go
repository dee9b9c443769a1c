package entangle

import (
	"context"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Tuned is what Tune did.
type Tuned struct {
	Before, After *net.Score // on the scored view; nil without labels
	// From and To are the distances from the teacher's outputs on the scored view, before
	// and after; nil with labels or without a teacher.
	From, To *net.Fidelity
	Curve    []train.Event
}

// Tune recalibrates (calibrate batches, 0 for none) and trains a plain network on
// the weights and architecture samples together, scores it on the given view
// before and after, and returns the model with its new weights.
func Tune(ctx context.Context, be engine.Backend, n, teach *net.Network, v *search.Views, scored data.View, w train.Weights, calibrate int, seed uint64, h train.Hooks) (*Tuned, *ir.Model, error) {
	t := &Tuned{}
	labelled := n.Classes > 0 && scored.Len() > 0 && scored.Part().Labelled()
	measure := func(n *net.Network, score **net.Score, distance **net.Fidelity) (err error) {
		switch {
		case labelled:
			*score, err = net.Evaluate(ctx, be, n, scored)
		case teach != nil && scored.Len() > 0:
			*distance, err = net.Compare(ctx, be, n, teach, scored)
		}
		return err
	}
	if err := measure(n, &t.Before, &t.From); err != nil {
		return nil, nil, err
	}
	var err error
	m := n.Model
	if calibrate > 0 && len(n.Stats) > 0 {
		if m, n, err = n.Calibrated(ctx, be, v.Both, calibrate, seed); err != nil {
			return nil, nil, err
		}
	}
	if w.Epochs > 0 {
		r, err := train.Train(ctx, be, n, teach, v.Both, v.Val, w, seed, h)
		if err != nil {
			return nil, nil, err
		}
		t.Curve = r.Curve
		if m, n, err = n.With(r.Weights); err != nil {
			return nil, nil, err
		}
	}
	if err := measure(n, &t.After, &t.To); err != nil {
		return nil, nil, err
	}
	return t, m, nil
}
