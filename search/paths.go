package search

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// pathBatches is how many architecture batches judge the end of a path.
const pathBatches = 8

// runPaths runs a search in rounds for each entry of c.Even, on equal shares of the steps, and
// returns that whose subnet has the least loss with the weights that its path trained. What
// rounds measure is before any training at the new size: a path whose every round loses more
// can end ahead.
func runPaths(ctx context.Context, be engine.Backend, n, teach *net.Network, weights, alpha, val data.View, c Config, b decide.Budget, first []int, seed uint64, h train.Hooks) (*Decision, error) {
	if !slices.ContainsFunc(n.Super.Space.Dims, space.Dim.CountsUnits) {
		c.Even = []float64{0} // there are no widths
	}
	step := float64(n.Batch*c.Weights.Parts()) / float64(max(weights.Len(), 1))
	share := max(c.Weights.Epochs/train.Epochs(len(c.Even)), train.Epochs(step))
	var best *Decision
	var rounds []train.Round
	var paths []Path
	least := math.Inf(1)
	for i, even := range c.Even {
		own, hooks := c, h
		own.Even, own.Weights.Epochs = []float64{even}, share
		if suffix := fmt.Sprintf("-%d", i+1); i > 0 {
			hooks.Stage += suffix
			if h.Checkpoint != "" {
				hooks.Checkpoint += suffix
			}
		}
		d, err := RunFrom(ctx, be, n, teach, weights, alpha, val, own, b, first, seed, hooks)
		if err != nil {
			return nil, err
		}
		v, err := net.NewVertices(be, n, teach, d.Weights, alpha, c.Weights.Objective, pathBatches*c.Weights.Parts(), seed)
		if err != nil {
			return nil, err
		}
		loss, err := v.Loss(d.Choice)
		if err != nil {
			return nil, err
		}
		paths = append(paths, Path{even, loss})
		for _, r := range d.Rounds {
			r.Path = i
			rounds = append(rounds, r)
		}
		if best == nil || loss < least {
			best, least = d, loss
		}
	}
	best.Rounds, best.Paths = rounds, paths
	return best, nil
}

// Path is one that a search in rounds tried: the entry of Config.Even, and the loss on
// architecture batches, normalised by the batch, of the subnet that it ended at.
type Path struct {
	Even float64 `json:"even"`
	Loss float64 `json:"loss"`
}

// even is the weight of equal widths in the rounds of one path.
func (c Config) even() float64 {
	if len(c.Even) == 0 {
		return 0
	}
	return c.Even[0]
}

// level draws scores of a round to equal widths, by their weight in the path. The distance is
// the square of a width's log ratio to the equal one of the budget; half of the weight makes
// it cost as much, at what the scores alone would choose, as that is said to lose. All of the weight
// leaves measurements to what is no width, and of the budget what equal widths do not use to more.
func (s *searcher) level(sp *space.Space, b decide.Budget, score [][]float64) error {
	even := s.cfg.even()
	if even == 0 {
		return nil
	}
	base := sp.Largest()
	for d, dim := range sp.Dims {
		if dim.Ordered() {
			continue
		}
		base[d] = 0
		for k := range dim.Final() {
			if score[d][k] > score[d][base[d]] {
				base[d] = k
			}
		}
	}
	equal := decide.Even(sp, b, base)
	far := func(d, k int) float64 {
		dim := sp.Dims[d]
		if !dim.CountsUnits() {
			return 0
		}
		x := math.Log(float64(dim.Choices[k]) / float64(dim.Choices[equal[d]]))
		return x * x
	}
	if even == 1 {
		for d, row := range score {
			for k := range row {
				row[k] = -math.Abs(float64(k - equal[d]))
				if k > equal[d] && sp.Dims[d].Ordered() {
					row[k] = leastLoss * float64(k-equal[d])
				}
			}
		}
		return nil
	}
	choice, err := decide.Choose(sp, b, score)
	if err != nil {
		return err
	}
	lost, apart := 0.0, 0.0
	for d, k := range choice {
		lost -= min(score[d][k], 0)
		apart += far(d, k)
	}
	if apart == 0 {
		return nil
	}
	pull := even / (1 - even) * lost / apart
	for d, row := range score {
		for k := range row {
			row[k] -= pull * far(d, k)
		}
	}
	return nil
}
