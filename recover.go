package entangle

import (
	"context"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Quality is a network's score at the points of its life, on one split.
type Quality struct {
	Inherited     *net.Score `json:"inherited,omitempty"`
	Recalibrated  *net.Score `json:"recalibrated,omitempty"`
	Reconstructed *net.Score `json:"reconstructed,omitempty"`
	Tuned         *net.Score `json:"tuned,omitempty"`
	// Distance is how far the network's outputs are from the original's, but for a single
	// one with labels.
	Distance *Distance `json:"distance,omitempty"`
}

// Last returns the latest score.
func (q Quality) Last() *net.Score {
	return latest(q.Tuned, q.Reconstructed, q.Recalibrated, q.Inherited)
}

// Stages name the points of a network's life, in order.
var Stages = []string{"inherited", "recalibrated", "reconstructed", "fine-tuned"}

// Scores returns those of the Stages, nil where there is none.
func (q Quality) Scores() []*net.Score {
	return []*net.Score{q.Inherited, q.Recalibrated, q.Reconstructed, q.Tuned}
}

// score and fidelity are where a stage is noted.
func (q *Quality) score(stage int) **net.Score {
	return []**net.Score{&q.Inherited, &q.Recalibrated, &q.Reconstructed, &q.Tuned}[stage]
}

func (q *Quality) fidelity(stage int) **net.Fidelity {
	if q.Distance == nil {
		q.Distance = &Distance{}
	}
	d := q.Distance
	return []**net.Fidelity{&d.Inherited, &d.Recalibrated, &d.Reconstructed, &d.Tuned}[stage]
}

// forget leaves a stage out.
func (q *Quality) forget(stage int) {
	*q.score(stage) = nil
	if q.Distance != nil {
		*q.fidelity(stage) = nil
	}
}

// Distance is a network's fidelity at the points of its life.
type Distance struct {
	Inherited     *net.Fidelity `json:"inherited,omitempty"`
	Recalibrated  *net.Fidelity `json:"recalibrated,omitempty"`
	Reconstructed *net.Fidelity `json:"reconstructed,omitempty"`
	Tuned         *net.Fidelity `json:"tuned,omitempty"`
}

// Stages returns those of the Stages, nil where there is none.
func (d *Distance) Stages() []*net.Fidelity {
	return []*net.Fidelity{d.Inherited, d.Recalibrated, d.Reconstructed, d.Tuned}
}

// Last returns the latest fidelity.
func (d *Distance) Last() *net.Fidelity {
	return latest(d.Tuned, d.Reconstructed, d.Recalibrated, d.Inherited)
}

func latest[T any](points ...*T) *T {
	for _, p := range points {
		if p != nil {
			return p
		}
	}
	return nil
}

// Places among Stages.
const (
	inherited = iota
	recalibrated
	reconstructed
	tuned
)

// recovery is how a network regains quality after a cut, or gets it at first: running
// statistics are recalibrated, layers fitted to the original's by least squares, then every
// weight is trained, and each stage is measured on validation and test.
type recovery struct {
	ctx       context.Context
	be        engine.Backend
	views     *search.Views
	teacher   *net.Network             // nil: none
	original  *net.Network             // that distances are from; nil: none
	calibrate int                      // batches
	fit       int                      // batches of least squares; 0: none
	keep      map[string]ops.Positions // of original's initialisers, for them
	weights   train.Weights
	seed      uint64
	hooks     train.Hooks
	fits      []net.Fit // of the layers that least squares fitted
	notes     []string  // what became of the network that its quality does not say
	// judge, when not nil, sees the model before tuning, and after.
	judge func(stage int, m *ir.Model) error
}

// run takes a network through the stages. It returns the model with its new weights.
func (r *recovery) run(n *net.Network) (m *ir.Model, val, test Quality, err error) {
	m = n.Model
	cut := n
	measure := func(stage int) error {
		if err := r.measure(n, r.views.Val, stage, &val); err != nil {
			return err
		}
		return r.measure(n, r.views.Test, stage, &test)
	}
	// try goes on with another network, unless it is worse, by the factor that it returns.
	try := func(stage int, next *net.Network) (worse float64, err error) {
		before := n
		n = next
		if err = measure(stage); err != nil {
			return 0, err
		}
		if worse, err = r.worse(n, before); err == nil && worse > 1 {
			n = before
			val.forget(stage)
			test.forget(stage)
		}
		m = n.Model
		return worse, err
	}
	if err = measure(inherited); err != nil {
		return m, val, test, err
	}
	if r.calibrate > 0 && len(n.Stats) > 0 {
		next, err := r.recalibrated(n)
		if err != nil {
			return m, val, test, err
		}
		worse, err := try(recalibrated, next)
		switch {
		case err != nil:
			return m, val, test, err
		case worse > muchWorse:
			r.notes = append(r.notes, "recalibrated statistics are much worse than the original's: these stay, in training as well")
			frozen := *n
			frozen.Frozen = true
			n = &frozen
		case worse > 1:
			r.notes = append(r.notes, "recalibrated statistics are worse than those that the subnet was cut with: these stay")
		}
	}
	if r.fit > 0 {
		next, err := r.reconstructed(cut, n)
		if err != nil {
			return m, val, test, err
		}
		worse, err := try(reconstructed, next)
		if err != nil {
			return m, val, test, err
		}
		if worse > 1 {
			r.fits = nil
			r.notes = append(r.notes, "layers fitted to the original's are worse: the weights are those before")
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
	if _, n, err = n.With(t.Weights); err != nil {
		return m, val, test, err
	}
	if n, err = r.settled(n); err != nil {
		return m, val, test, err
	}
	m = n.Model
	if err = measure(tuned); err == nil && r.judge != nil {
		err = r.judge(tuned, m)
	}
	return m, val, test, err
}

// settled recalibrates a network that was tuned, where that is better: statistics that move
// slowly are still in part those from before a short training.
func (r *recovery) settled(n *net.Network) (*net.Network, error) {
	if r.calibrate == 0 || len(n.Stats) == 0 || n.Frozen {
		return n, nil
	}
	out, err := r.recalibrated(n)
	if err != nil {
		return nil, err
	}
	if worse, err := r.worse(out, n); err != nil || worse >= 1 {
		return n, err
	}
	return out, nil
}

// recalibrated returns a network with running statistics of batches as they are or of batches
// as tuning augments them, whichever is better: networks that were trained on
// augmented images have statistics of those.
func (r *recovery) recalibrated(n *net.Network) (*net.Network, error) {
	_, out, err := n.Calibrated(r.ctx, r.be, r.views.Both, r.calibrate, r.seed)
	if err != nil {
		return nil, err
	}
	steps, err := data.ParseAugments(r.weights.Augment)
	set := r.views.Both.Set()
	if err != nil || len(steps) == 0 || !slices.ContainsFunc(set.Fields, func(f data.Field) bool { return f.Image }) || set.CheckAugment(steps) != nil {
		return out, err
	}
	_, augmented, err := n.Calibrated(r.ctx, r.be, r.views.Both, r.calibrate, r.seed, steps...)
	if err != nil {
		return nil, err
	}
	if worse, err := r.worse(out, augmented); err != nil || worse <= 1 {
		return out, err
	}
	return augmented, nil
}

// reconstructed fits the layers of a network as it was cut to the original's, and recalibrates
// it unless that did harm to now.
func (r *recovery) reconstructed(cut, now *net.Network) (*net.Network, error) {
	n, fits, err := cut.Reconstructed(r.ctx, r.be, r.original, r.keep, r.views.Both, r.fit, r.seed, telling(r.hooks.Observe, "reconstruct"))
	if err != nil {
		return nil, err
	}
	r.fits = fits
	if now.Frozen {
		n.Frozen = true
		return n, nil
	}
	if r.calibrate > 0 && len(n.Stats) > 0 {
		return r.recalibrated(n)
	}
	return n, nil
}

// muchWorse is the factor in the loss from which recalibration does harm in training too.
const muchWorse = 1.5

// judgingSamples are the fewest of validation that tell statistics and fits apart; where there are
// fewer, those that they were made of judge: they know few of them by heart.
const judgingSamples = 256

// worse returns the loss of a network over that of another, by the objective of tuning; 1 where
// it cannot be had.
func (r *recovery) worse(now, before *net.Network) (float64, error) {
	o, view := r.weights.Objective, r.views.Val
	if view.Len() < judgingSamples && view.Len() < r.views.Both.Len() {
		view = r.views.Both
	}
	if view.Len() == 0 || o.Check(now, now.Learns(view.Part())) != nil || o.Distill > 0 && r.teacher == nil {
		return 1, nil
	}
	var loss [2]float64
	for i, n := range []*net.Network{now, before} {
		j, err := net.NewJudge(r.be, n, r.teacher, o, view)
		if err != nil {
			return 1, err
		}
		v, err := j.Own(r.ctx)
		if err != nil {
			return 1, err
		}
		loss[i] = v.Loss
	}
	switch ratio := loss[0] / loss[1]; {
	case !math.IsNaN(ratio):
		return ratio, nil
	case loss[0] == loss[1] || math.IsNaN(loss[1]):
		return 1, nil
	}
	return math.Inf(1), nil
}

// measure fills in a stage of a network's quality on a view: its score where there are
// labels, its distance from the original where there are none or other outputs beside.
func (r *recovery) measure(n *net.Network, view data.View, stage int, q *Quality) error {
	s, err := score(r.ctx, r.be, n, view)
	*q.score(stage) = s
	if err != nil || view.Len() == 0 || r.original == nil || s != nil && len(n.Outputs) == 1 {
		return err
	}
	f, err := net.Compare(r.ctx, r.be, n, r.original, view)
	*q.fidelity(stage) = f
	return err
}

// score evaluates a network on labelled samples; nil where there are none.
func score(ctx context.Context, be engine.Backend, n *net.Network, view data.View) (*net.Score, error) {
	if view.Len() == 0 || !n.Learns(view.Part()) {
		return nil, nil
	}
	return net.Evaluate(ctx, be, n, view)
}
