package entangle

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
)

// Decided says whether a search's coefficients made its choice.
type Decided struct {
	Entropy float64 `json:"entropy"` // of the coefficients at the end, mean over dims, as a share of the largest
	// Argmax is what the most probable choice of every dimension costs, by metric: nothing
	// fits it to the target.
	Argmax map[string]float64 `json:"argmax_cost"`
	// Kept is the share of dimensions in which the choice is the most probable one.
	Kept float64 `json:"kept"`
	// Early is the share of dimensions in which the coefficients at search.EarlyShare of the
	// steps give, within the target, the choice that they give at the end.
	Early float64 `json:"early"`
	// Paths are those that a search in rounds tried, of which the choice is the end of one.
	Paths []search.Path `json:"paths,omitempty"`
	// Mixture and Vertex are losses of the supernet, normalised by the batch, at the mean
	// coefficients and at the choice: on validation samples, images cut out and mixed, and by
	// distillation where there is any. Nil without a batch of them, or
	// where they are not finite.
	Mixture *float64 `json:"mixture_loss,omitempty"`
	Vertex  *float64 `json:"vertex_loss,omitempty"`
}

// heldOut is how images of validation are changed for Decided, where labels allow it, so that they
// are not those that the original may have been trained on.
const heldOut = "cutout,mixup"

// decidedBatches bounds the batches of Decided's losses.
const decidedBatches = 8

// decide fills in what is known of a search's choice.
func (r *run) decide(mixture *net.Network, d *search.Decision, choice []int) error {
	argmax := make([]int, len(d.Mean))
	for i, m := range d.Mean {
		argmax[i] = relax.Argmax(m)
	}
	out := &Decided{Entropy: search.Entropy(d.Mean), Argmax: r.price(argmax), Kept: agreement(argmax, choice), Paths: d.Paths}
	var picked [2][]int
	for i, mean := range [][][]float64{d.Early, d.Mean} {
		var err error
		if picked[i], err = r.picked(mean); err != nil {
			return err
		}
	}
	out.Early = agreement(picked[0], picked[1])
	r.decided = out
	if r.Views.Val.Len() < r.Job.Data.Batch {
		return nil
	}
	o := r.Job.Search.Weights.Objective
	var augment []data.Step
	if slices.ContainsFunc(r.Set.Fields, func(f data.Field) bool { return f.Image }) {
		var err error
		if augment, err = data.ParseAugments(heldOut); err != nil {
			return err
		}
		if r.Set.CheckAugment(augment) != nil { // labels do not follow
			augment = nil
		}
	}
	if o.Distill > 0 {
		o.Labels, o.Distill = 0, 1
	}
	v, err := net.NewVertices(r.be, mixture, r.teach, d.Weights, r.Views.Val, o, decidedBatches, r.Job.Seed, augment...)
	if err != nil {
		return err
	}
	mixed, err := v.Mixture(d.Mean)
	if err != nil {
		return err
	}
	vertex, err := v.Loss(choice)
	for _, x := range []struct {
		loss float64
		to   **float64
	}{{mixed, &out.Mixture}, {vertex, &out.Vertex}} {
		if !math.IsInf(x.loss, 0) {
			*x.to = &x.loss
		}
	}
	return err
}

// picked is the choice that mean coefficients give within the budget.
func (r *run) picked(mean [][]float64) ([]int, error) {
	score := decide.Ordinal(r.Space, mean)
	choice, err := decide.Choose(r.Space, r.Budget, score)
	if err != nil {
		return nil, err
	}
	return decide.Spend(r.Space, r.Budget, score, choice), nil
}

// agreement is the share of entries that are equal; 1 without any.
func agreement(a, b []int) float64 {
	same := 0
	for i, k := range a {
		if k == b[i] {
			same++
		}
	}
	return float64(same) / float64(max(len(a), 1))
}
