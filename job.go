package entangle

import (
	"cmp"

	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// Job is everything that compressing one model needs, beside model and data.
type Job struct {
	Space     space.Options
	Given     *space.Space // edited space.yaml; nil: New with Space
	Batch     int
	Seed      uint64
	Splits    search.Splits
	Order     string // of Importance
	Super     space.Superposition
	Separate  bool // every choice has weights of its own, see Network.Separate
	Search    search.Config
	Target    Target
	Evolution decide.Evolution
	Refine    int    // subnets whose loss decides after the search; 0: the coefficients alone decide
	Inherit   string // of Inherit; "" is the first
	Calibrate int    // batches of recalibration after the cut
	Tune      train.Weights
	Method    string // of Methods; "" is the first
	Baselines bool   // also tune what the other methods choose
	Memory    int    // of Network, for the search and for tuning
	DataLimit int    // likewise
	Dir       string // checkpoints; "" keeps none
	Every     int    // steps between checkpoints; 0: one per epoch
	Observe   func(train.Event)
}

func (j *Job) method() string { return cmp.Or(j.Method, Methods[0]) }

// Inherit lists the weights that a subnet can start from: those that the search
// trained, or the original's.
var Inherit = []string{"search", "original"}

// Methods lists what can choose: the search, one width ratio everywhere, a random
// choice of at least 97 % of the budget, or evolution over a supernet trained on
// single subnets. Uniform and random start from the original's weights.
var Methods = []string{"search", "uniform", "random", "evolution"}

// DefaultJob returns the settings of a short search from pretrained weights to half
// of the MACs.
func DefaultJob() Job {
	j := Job{Batch: 128, Splits: search.Splits{Weights: 0.45, Alpha: 0.45, Val: 0.1}, Order: "taylor", Super: space.Reader, Search: search.DefaultConfig(), Refine: 64,
		Target: Target{Metric: space.MACs, Share: 0.5}, Calibrate: 100, Tune: train.DefaultWeights()}
	for _, w := range []*train.Weights{&j.Search.Weights, &j.Tune} {
		w.Objective = net.Objective{Labels: 0.5, Distill: 0.5, Temperature: 4}
	}
	return j
}

// Target is a budget as a share of the original's cost (Share) or absolute (Limit).
type Target struct {
	Metric string
	Share  float64
	Limit  float64
}
