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
	// Distance is how far the network's outputs are from the original's, but for a single
	// one with labels.
	Distance *Distance `json:"distance,omitempty"`
}

// Last returns the latest score.
func (q Quality) Last() *net.Score { return latest(q.Tuned, q.Recalibrated, q.Inherited) }

// forget leaves a stage out.
func (q *Quality) forget(stage int) {
	*[]**net.Score{&q.Inherited, &q.Recalibrated, &q.Tuned}[stage] = nil
	if q.Distance != nil {
		*[]**net.Fidelity{&q.Distance.Inherited, &q.Distance.Recalibrated, &q.Distance.Tuned}[stage] = nil
	}
}

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
	notes     []string // what became of the network that its quality does not say
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
		before := n
		if m, n, err = n.Calibrated(r.ctx, r.be, r.views.Both, r.calibrate, r.seed); err != nil {
			return m, val, test, err
		}
		if err = measure(recalibrated); err != nil {
			return m, val, test, err
		}
		better, err := r.recalibrates(n, before)
		if err != nil {
			return m, val, test, err
		}
		if !better {
			r.notes = append(r.notes, "recalibrated statistics are much worse on validation than the original's: these stay, in training as well")
			frozen := *before
			frozen.Frozen = true
			n, m = &frozen, before.Model
			val.forget(recalibrated)
			test.forget(recalibrated)
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
	if t.Best != nil && t.Best.Step == 0 {
		r.notes = append(r.notes, "tuning made nothing better on validation: the weights are those before it")
	}
	if m, n, err = n.With(t.Weights); err != nil {
		return m, val, test, err
	}
	if err = measure(tuned); err == nil && r.judge != nil {
		err = r.judge(tuned, m)
	}
	return m, val, test, err
}

// muchWorse is the factor in validation's loss from which recalibration does harm.
const muchWorse = 1.5

// recalibrates reports whether a network with recalibrated statistics is not much worse than
// before on validation, by the objective of tuning; without validation it is taken to be.
func (r *recovery) recalibrates(now, before *net.Network) (bool, error) {
	o := r.weights.Objective
	if r.views.Val.Len() == 0 || o.Check(now, now.Learns(r.views.Val.Part())) != nil || o.Distill > 0 && r.teacher == nil {
		return true, nil
	}
	var loss [2]float64
	for i, n := range []*net.Network{now, before} {
		j, err := net.NewJudge(r.be, n, r.teacher, o, r.views.Val)
		if err != nil {
			return false, err
		}
		v, err := j.Own(r.ctx)
		if err != nil {
			return false, err
		}
		loss[i] = v.Loss
	}
	return !(loss[0] > muchWorse*loss[1]), nil
}

// measure fills in a stage of a network's quality on a view: its score where there are
// labels, its distance from the original where there are none or other outputs beside.
func (r *recovery) measure(n *net.Network, view data.View, stage int, q *Quality) error {
	s, err := score(r.ctx, r.be, n, view)
	*[]**net.Score{&q.Inherited, &q.Recalibrated, &q.Tuned}[stage] = s
	if err != nil || view.Len() == 0 || r.original == nil || s != nil && len(n.Outputs) == 1 {
		return err
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
	if view.Len() == 0 || !n.Learns(view.Part()) {
		return nil, nil
	}
	return net.Evaluate(ctx, be, n, view)
}
