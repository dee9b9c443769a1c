package main

import (
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// nb201 is NAS-Bench-201, searched on CIFAR-10. What is found is looked up for CIFAR-100, of which
// the table has what twelve epochs of training reach.
var nb201 = arena{
	name: "nb201", title: "NAS-Bench-201, searched on CIFAR-10, judged on CIFAR-100",
	data: "cifar10:cifar", options: data.Options{Mean: []float64{0.4914, 0.4822, 0.4465}, Std: []float64{0.2470, 0.2435, 0.2616}, Scale: data.ScaleUnit},
	batch: 64, epochs: 15, full: paperEpochs(100),
	seeds: some(1, "drnas", "drnas-ws"),
	limit: 1, trials: 100, population: 10,
	weights: weights("sgd", optim.Hyper{Momentum: 0.9, Nesterov: true, WeightDecay: 3e-4}, 0.025, 1e-3, "flip,crop:4"),
	supernet: func(shared bool) models.Supernet {
		if shared {
			return models.SeparateNB201Space()
		}
		return models.NB201Space()
	},
	spell: func(_ *space.Space, choice []int) (string, error) {
		a, err := models.NB201Of(choice)
		return a.String(), err
	},
	optimum: models.NB201{models.NB201Conv3, models.NB201Conv3, models.NB201Conv3, models.NB201Skip, models.NB201Conv3, models.NB201Conv3}.String(),
	table:   format{file: "nb201.csv.gz", spells: 1, value: 3},
	bars:    bars{15625, 61.18, 40.40, 53.76, 59.04},
	paper: []published{
		{"drnas", 73.51, 0, "T10, 50/50, 200 epochs"}, {"drnas-ws", 72.245, 0.732, "T10, 50/50, 200 epochs"},
		{"spos-rs", 56.865, 2.597, "T10, 50/50, 200 epochs"}, {"spos-es", 56.463, 2.342, "T10, 50/50, 200 epochs"},
	},
	memory: 25.28,
}
