package train

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// Weights says how weights are trained.
type Weights struct {
	Epochs    Epochs `json:"epochs" doc:"passes over the training samples, fractions allowed; auto: as many as make enough steps of them"`
	Optimiser string `json:"optimizer" oneof:"optimizer" doc:"optimiser of the weights"`
	optim.Hyper
	Rate     float64 `json:"lr" want:">=0" doc:"base learning rate; in a job 0 is 0.05 for tuning and 0.02 for the search, less on few samples"`
	MinRate  float64 `json:"min_lr" want:">=0" doc:"learning rate at the end of the schedule, at most lr"`
	Warmup   float64 `json:"warmup" want:">=0" doc:"epochs over which the learning rate rises, at most a quarter of the run"`
	Schedule string  `json:"schedule" oneof:"schedule" doc:"learning rate over the run"`
	Gamma    float64 `json:"gamma" want:"(0,1]" doc:"factor of the learning rate at every drop of the schedule step"`
	Drops    int     `json:"drops" want:">=0" doc:"drops of the schedule step, at equal distances"`
	Clip     float64 `json:"clip" want:">=0" doc:"largest norm of the gradient; 0: no limit"`
	// Accumulate: a step equals one on a batch that many times as large, to rounding, but
	// for statistics that a batch has (each micro-batch its own) and for dropout's draws.
	Accumulate int           `json:"accumulate" want:">=1" doc:"micro-batches of data.batch samples per step; their gradients make one step"`
	Augment    string        `json:"augment" doc:"augmentation of images, comma-separated: flip, crop, mixup, cutout, each with :AMOUNT if wished; none"`
	Objective  net.Objective `json:"objective"`
}

// DefaultWeights returns ten epochs of SGD with momentum 0.9, weight decay 1e-4, a quarter of
// an epoch of warm-up and a cosine to zero, on labels alone, flipped and cropped.
func DefaultWeights() Weights {
	return Weights{Epochs: 10, Optimiser: "sgd", Hyper: optim.Hyper{Momentum: 0.9, Nesterov: true, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-4},
		Rate: 0.05, Warmup: 0.25, Schedule: "cosine", Gamma: 0.1, Drops: 2, Clip: 5, Accumulate: 1, Augment: "flip,crop", Objective: net.Objective{Labels: 1, Temperature: 4}}
}

// Check reports what the settings' ranges do not say: words and numbers that do not go
// together. Each error is under the key of a field.
func (w Weights) Check() map[string]error {
	out := map[string]error{}
	if err := w.Epochs.Check(); err != nil {
		out["epochs"] = err
	}
	if w.MinRate > w.Rate && w.Rate > 0 {
		out["min_lr"] = fmt.Errorf("want at most lr %g, got %g", w.Rate, w.MinRate)
	}
	if _, err := data.ParseAugments(w.Augment); err != nil {
		out["augment"] = err
	}
	return out
}

// Parts returns the micro-batches of a step, at least 1.
func (w Weights) Parts() int { return max(w.Accumulate, 1) }

// plan returns the learning rates of the run, whose epochs have so many steps; its Total
// is 0 when the epochs are too few for a step.
func (w Weights) plan(perEpoch int) optim.Plan {
	total := int(math.Round(float64(w.Epochs) * float64(perEpoch)))
	return optim.Plan{Schedule: w.Schedule, Base: w.Rate, Min: w.MinRate, Warmup: min(int(w.Warmup*float64(perEpoch)), total/4), Total: total, Gamma: w.Gamma, Drops: w.Drops}
}
