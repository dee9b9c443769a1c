package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// arena is one of the paper's spaces, with the protocol of its search and the table that
// judges it.
type arena struct {
	name, title string
	data        string // KIND:FOLDER, a folder of -fashion or -cifar
	options     data.Options
	batch       int
	weights     train.Weights
	// epochs are those of the reduced protocol, full those of the paper by method; "" is any other.
	epochs float64
	full   map[string]float64
	seeds  map[string][]uint64 // of the reduced protocol, by method
	// limit is the most that the end of a search in rounds may cost, as a share of the largest network's
	// multiply-accumulates.
	limit float64
	// trials are architectures that either second stage measures, population those of a
	// generation of evolution.
	trials, population int
	// supernet is the space as a network; shared gives every choice weights of its own, where that is
	// a matter of the model.
	supernet func(shared bool) models.Supernet
	size     models.Options // of the network; zero sizes are the paper's
	// separate: weight sharing is a matter of the network (net.Network.Separate).
	separate bool
	// spell writes an architecture as the table does.
	spell func(s *space.Space, choice []int) (string, error)
	// optimum is the architecture that the paper's table has as the best, where that is known; "": it is not.
	optimum string
	table   format
	bars    bars // of the table
	paper   []published
	// memory is by how much, in percent, entanglement lowers the paper's memory; 0: it does not say.
	memory float64
}

// bars are what a table holds as a whole: the expected best of ten and of a hundred random
// architectures beside its best and its mean.
type bars struct {
	size                     int
	best, mean, ten, hundred float64
}

// published is a figure of the paper.
type published struct {
	method   string
	mean, sd float64
	from     string // table, and split
}

// Arenas lists the spaces.
var arenas = []arena{toyCell, convMacro, nb201}

func find(name string) (arena, error) {
	var names []string
	for _, a := range arenas {
		if a.name == name {
			return a, nil
		}
		names = append(names, a.name)
	}
	return arena{}, fmt.Errorf("space: want one of %s, got %q", strings.Join(names, ", "), name)
}

// set opens the arena's data; folders are what stands for the words of arena.data.
func (a arena) set(folders map[string]string, limit int) (*data.Set, error) {
	if a.data == made {
		return a.madeUp()
	}
	kind, key, _ := strings.Cut(a.data, ":")
	if folders[key] == "" {
		return nil, fmt.Errorf("%s: want the folder of the data by -%s", a.name, key)
	}
	o := a.options
	o.Limit = limit
	return data.Open(kind+":"+filepath.Clean(folders[key]), o)
}

// network builds a method's supernet with weights of that seed.
func (a arena) network(seed uint64, m method) (*net.Network, error) {
	of, o := a.supernet(m.shared), a.size
	o.Seed = seed
	raw, err := of.Build(o)
	if err != nil {
		return nil, err
	}
	model, err := entangle.Normalise(raw)
	if err != nil {
		return nil, err
	}
	open := net.Open(model.Normal).Model
	bind := map[string]int{}
	for _, v := range net.DataInputs(open) {
		bind[v.Type.Shape[0].Param] = 2
	}
	facts, err := ops.InferModel(open, bind)
	if err != nil {
		return nil, err
	}
	an, err := space.Analyse(open, facts)
	if err != nil {
		return nil, err
	}
	s := of.Space(o)
	if m.relaxation == search.InRounds {
		withSums(s)
	}
	super, err := space.Entangle(an, s, space.Every)
	if err != nil {
		return nil, err
	}
	n, err := net.NewNetwork(model.Normal, a.batch, super)
	if err != nil {
		return nil, err
	}
	if m.shared && a.separate {
		err = n.Separate()
	}
	return n, err
}

// withSums adds the sum of its candidates to the choices of every dim of operations: rounds begin there.
func withSums(s *space.Space) {
	for i, d := range s.Dims {
		if all := len(d.Candidates) + 1; !d.Ordered() && d.Choices[len(d.Choices)-1] < all {
			s.Dims[i].Choices = append(slices.Clone(d.Choices), all)
		}
	}
}

// params counts the numbers that a network trains.
func params(n *net.Network) (count int) {
	for _, p := range n.Params {
		count += ir.Prod(n.ParamType(p).Shape)
	}
	return count
}

// some gives the seeds 1 to n to the methods.
func some(n int, methods ...string) map[string][]uint64 {
	out := map[string][]uint64{}
	for _, m := range methods {
		for s := range n {
			out[m] = append(out[m], uint64(s+1))
		}
	}
	return out
}

func join(maps ...map[string][]uint64) map[string][]uint64 {
	out := map[string][]uint64{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// paperEpochs are the paper's lengths where its appendix gives one for all spaces.
func paperEpochs(drnas float64) map[string]float64 {
	return map[string]float64{"": drnas, "darts": 50, "darts-v2": 50, "darts-sparsemax": 50, "gdas": 250, "spos-rs": 250, "spos-es": 250}
}

// convMacro is the toy macro space on CIFAR-10: Adam without normalisation.
var convMacro = arena{
	name: "conv-macro", title: "Toy conv-macro, CIFAR-10",
	data: "cifar10:cifar", options: data.Options{Mean: []float64{0.4914, 0.4822, 0.4465}, Std: []float64{0.2470, 0.2435, 0.2616}, Scale: data.ScaleUnit},
	batch: 64, epochs: 10, full: paperEpochs(100), seeds: some(1, "drnas", "spos-rs", "spos-es", "rounds"),
	limit: 0.5, trials: 100, population: 30, separate: true,
	weights:  weights("adam", optim.Hyper{Beta1: 0.9, Beta2: 0.995, Epsilon: 1e-8, WeightDecay: 5e-4}, 3e-4, 1e-4, "flip,crop:4"),
	supernet: func(bool) models.Supernet { return models.MacroSpace() },
	spell:    spellMacro,
	table:    format{file: "conv_macro.csv.gz", header: []string{"c1", "c2", "c3", "c4", "k1", "k2", "k3", "k4", "test", "train"}, spells: 8, value: 8},
	bars:     bars{6561, 84.41, 77.90, 81.79, 83.12},
	paper: []published{
		{"drnas", 83.02, 0, "T12, 50/50"}, {"drnas-ws", 10, 0, "T12, 50/50"}, {"spos-rs", 81.253, 0.672, "T12, 50/50"}, {"spos-es", 81.890, 0.800, "T12, 50/50"},
		{"darts", 81.61, 0, "T14"}, {"darts-v2", 81.49, 0, "T14"}, {"gdas", 10, 0, "T14"},
	},
}

// weights are the constants of a space's weight steps: the gradient clipped at 5, a cosine from
// rate to least, no warm-up, labels alone.
func weights(optimiser string, h optim.Hyper, rate, least float64, augment string) train.Weights {
	w := train.DefaultWeights()
	w.Optimiser, w.Hyper, w.Rate, w.MinRate, w.Warmup, w.Clip, w.Augment = optimiser, h, rate, least, 0, 5, augment
	w.Objective = net.Objective{Labels: 1, Temperature: 1}
	return w
}

func spellMacro(s *space.Space, choice []int) (string, error) {
	if err := s.CheckChoice(choice); err != nil {
		return "", err
	}
	var out []string
	for i, d := range s.Dims {
		out = append(out, fmt.Sprint(d.Choices[choice[i]]))
	}
	return strings.Join(out, ","), nil
}
