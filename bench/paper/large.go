package main

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// large lists spaces of the paper that are not searched here: what their steps take is measured, on images
// that are made up.
var large = []arena{
	{name: "darts", title: "DARTS cells", data: made, batch: 64, memory: 35.54,
		weights: weights("sgd", optim.Hyper{Momentum: 0.9, Nesterov: true, WeightDecay: 3e-4}, 0.025, 1e-3, "none"),
		supernet: func(shared bool) models.Supernet {
			if shared {
				return models.SeparateDARTSSpace()
			}
			return models.DARTSSpace()
		}},
	{name: "autoformer-t", title: "AutoFormer-T", data: made, batch: 16, separate: true,
		weights:  weights("adamw", optim.Hyper{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.05}, 5e-4, 1e-5, "none"),
		supernet: func(bool) models.Supernet { return models.AutoFormerT.Supernet("autoformer-t") }},
	{name: "mobilenetv3", title: "MobileNetV3, once for all", data: made, batch: 16, separate: true,
		weights:  weights("sgd", optim.Hyper{Momentum: 0.9, Nesterov: true, WeightDecay: 3e-5}, 0.03, 0, "none"),
		supernet: func(bool) models.Supernet { return models.MobileNetV3Space() }},
}

// made is the data of a space whose steps are measured only.
const made = "made:up"

// madeUp are images of the size and the classes of the space's network, a batch for either step.
func (a arena) madeUp() (*data.Set, error) {
	o := a.supernet(false).Defaults
	if o.Channels == 0 || o.Size == 0 || o.Classes == 0 {
		return nil, fmt.Errorf("%s: want a network of images", a.name)
	}
	classes := min(o.Classes, 2*a.batch)
	return data.Synthetic(data.SyntheticOptions{Classes: classes, Shape: [3]int{o.Channels, o.Size, o.Size}, Train: 4 * a.batch, Test: classes, Seed: 1})
}
