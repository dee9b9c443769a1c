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

// Quality is a network's score at the three points of its life, on one split.
type Quality struct {
	Inherited    *net.Score `json:"inherited,omitempty"`
	Recalibrated *net.Score `json:"recalibrated,omitempty"`
	Tuned        *net.Score `json:"tuned,omitempty"`
	// Distance stands for the scores of models and data without classes and labels:
	// how far the network's outputs are from the original's.
	Distance *Distance `json:"distance,omitempty"`
}

// Last returns the latest score.
func (q Quality) Last() *net.Score { return latest(q.Tuned, q.Recalibrated, q.Inherited) }

// Distance is a network's fidelity at the three points of its life.
type Distance struct {
	Inherited    *net.Fidelity `json:"inherited,omitempty"`
	Recalibrated *net.Fidelity `json:"recalibrated,omitempty"`
	Tuned        *net.Fidelity `json:"tuned,omitempty"`
}

// Last returns the latest fidelity.
func (d *Distance) Last() *net.Fidelity { return latest(d.Tuned, d.Recalibrated, d.Inherited) }

func latest[T any](points ...*T) *T {
	for _, p := range points {
		if p != nil {
			return p
		}
	}
	return nil
}

// Stages of a network's life.
const (
	inherited = iota
	recalibrated
	tuned
)

// recovery is how a network regains quality after a cut, or gets it at first: running
// statistics are recalibrated, then every weight is trained, and each stage is measured on
// validation and test.
type recovery struct {
	ctx       context.Context
	be        engine.Backend
	views     *search.Views
	teacher   *net.Network // nil: none
	original  *net.Network // that distances are from; nil: none
	calibrate int          // batches
	weights   train.Weights
	seed      uint64
	hooks     train.Hooks
	// judge, when not nil, sees the model before tuning, and after.
	judge func(stage int, m *ir.Model) error
}

// run takes a network through the stages. It returns the model with its new weights.
func (r *recovery) run(n *net.Network) (m *ir.Model, val, test Quality, err error) {
	m = n.Model
	measure := func(stage int) error {
		if err := r.measure(n, r.views.Val, stage, &val); err != nil {
			return err
		}
		return r.measure(n, r.views.Test, stage, &test)
	}
	if err = measure(inherited); err != nil {
		return m, val, test, err
	}
	if r.calibrate > 0 && len(n.Stats) > 0 {
		if m, n, err = n.Calibrated(r.ctx, r.be, r.views.Both, r.calibrate, r.seed); err != nil {
			return m, val, test, err
		}
		if err = measure(recalibrated); err != nil {
			return m, val, test, err
		}
	}
	if r.judge != nil {
		if err = r.judge(recalibrated, m); err != nil {
			return m, val, test, err
		}
	}
	if r.weights.Epochs == 0 {
		return m, val, test, nil
	}
	t, err := train.Train(r.ctx, r.be, n, r.teacher, r.views.Both, r.views.Val, r.weights, r.seed, r.hooks)
	if err != nil {
		return m, val, test, err
	}
	if m, n, err = n.With(t.Weights); err != nil {
		return m, val, test, err
	}
	if err = measure(tuned); err == nil && r.judge != nil {
		err = r.judge(tuned, m)
	}
	return m, val, test, err
}

// measure fills in a stage of a network's quality on a view: its score where there are
// labels, else its distance from the original.
func (r *recovery) measure(n *net.Network, view data.View, stage int, q *Quality) error {
	switch {
	case view.Len() == 0:
		return nil
	case n.Classes > 0 && view.Part().Labelled():
		s, err := score(r.ctx, r.be, n, view)
		*[]**net.Score{&q.Inherited, &q.Recalibrated, &q.Tuned}[stage] = s
		return err
	case r.original == nil:
		return nil
	}
	f, err := net.Compare(r.ctx, r.be, n, r.original, view)
	if q.Distance == nil {
		q.Distance = &Distance{}
	}
	*[]**net.Fidelity{&q.Distance.Inherited, &q.Distance.Recalibrated, &q.Distance.Tuned}[stage] = f
	return err
}

// score evaluates a network on labelled samples; nil where there are none.
func score(ctx context.Context, be engine.Backend, n *net.Network, view data.View) (*net.Score, error) {
	if view.Len() == 0 || !view.Part().Labelled() {
		return nil, nil
	}
	return net.Evaluate(ctx, be, n, view)
}
