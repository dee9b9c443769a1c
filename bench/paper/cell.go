package main

import (
	"fmt"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// toyCell is the toy cell space on Fashion-MNIST: two alternatives of two kernels on every edge of a
// normal and a reduction cell. Both reduction cells are one decision.
var toyCell = arena{
	name: "toy-cell", title: "Toy cell, Fashion-MNIST",
	data: "idx:fashion", options: data.Options{Mean: []float64{0.2859}, Std: []float64{0.3530}, Scale: data.ScaleUnit},
	batch: 64, epochs: 25, full: paperEpochs(100),
	seeds: join(some(4, "drnas", "drnas-ws", "spos-rs", "spos-es", "gdas", "rounds"), some(2, "darts", "darts-v2")),
	limit: 1, trials: 250, population: 10,
	weights: weights("sgd", optim.Hyper{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}, 0.025, 1e-3, "none"),
	supernet: func(shared bool) models.Supernet {
		if shared {
			return models.SeparateCellSpace()
		}
		return models.CellSpace()
	},
	spell: spellCandidates("sep3", "sep5", "dil3", "dil5"),
	table: format{file: "toy_cell.csv.gz", header: []string{"n01", "n02", "n12", "r01", "r02", "r12", "test", "train", "params"}, spells: 6, value: 6},
	bars:  bars{4096, 91.63, 90.02, 91.16, 91.44},
	paper: []published{
		{"drnas", 91.300, 0.023, "T11, 50/50"}, {"drnas-ws", 91.190, 0.049, "T11, 50/50"}, {"spos-rs", 90.680, 0.253, "T11, 50/50"}, {"spos-es", 90.318, 0.223, "T11, 50/50"},
		{"darts", 89.905, 0, "T15"}, {"darts-v2", 90.747, 0, "T15"}, {"gdas", 90.618, 0, "T15"},
	},
}

// spellCandidates names the candidate of every dim, by the value of its choice.
func spellCandidates(names ...string) func(*space.Space, []int) (string, error) {
	return func(s *space.Space, choice []int) (string, error) {
		if err := s.CheckChoice(choice); err != nil {
			return "", err
		}
		var out []string
		for i, d := range s.Dims {
			k := d.Choices[choice[i]]
			if k < 1 || k > len(names) {
				return "", fmt.Errorf("dimension %q: want one of %d candidates, got %d", d.Name, len(names), k)
			}
			out = append(out, names[k-1])
		}
		return strings.Join(out, ","), nil
	}
}
