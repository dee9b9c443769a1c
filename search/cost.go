package search

import (
	"context"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Memory compiles the steps of a search as Run does and says how many bytes the larger one
// works on. No sample is read and nothing runs.
func Memory(be engine.Backend, n *net.Network, c Config, weights data.View) (int, error) {
	weight, err := train.Memory(be, n, c.Weights, weights)
	if err != nil {
		return 0, err
	}
	if c.ByRounds() {
		r, err := newRounds(be, n, c, n.Learns(weights.Part()))
		if err != nil {
			return 0, err
		}
		return max(weight, r.most((*net.Step).Footprint)), nil
	}
	alpha, err := alphaStep(be, n, c.Weights.Objective, n.Learns(weights.Part()), 0)
	if err != nil {
		return 0, err
	}
	return max(weight, alpha.Footprint()), nil
}

// Measure takes a weight step of what Run would do, then one with an architecture step, or
// a round of measurements, before it, and throws the result away. Arch is what the architecture step adds.
func Measure(be engine.Backend, n, teach *net.Network, weights, alpha data.View, c Config, b decide.Budget, seed uint64, stage string) (weight, arch train.Cost, err error) {
	s, err := newSearcher(be, n, teach, weights, alpha, c, b, nil, seed, train.Hooks{Stage: stage})
	if err != nil {
		return weight, arch, err
	}
	defer s.close()
	weight = train.Cost{Steps: s.Total, Bytes: s.Loop.Bytes()}
	if s.rounds != nil {
		arch = train.Cost{Steps: c.Rounds, Bytes: s.rounds.most((*net.Step).Memory)}
		s.Pos.Round = c.Rounds
		if c.FreezeWeights {
			weight.Steps = 0
		}
		if weight.Seconds, err = s.Time(func() error { return s.advance(context.Background()) }); err != nil {
			return weight, arch, err
		}
		s.Pos.Round = 0
		arch.Seconds, err = s.Time(func() error { return s.takeRound(context.Background()) })
		return weight, arch, err
	}
	first := min(int(math.Ceil(c.AlphaFrom*float64(s.PerEpoch))), s.Total)
	arch = train.Cost{Steps: s.Total - first, Bytes: s.alphas.Memory()}
	if s.unrolled != nil {
		arch.Bytes = max(arch.Bytes, s.unrolled.bytes())
	}
	s.cfg.AlphaFrom = math.Inf(1)
	if weight.Seconds, err = s.Time(func() error { return s.advance(context.Background()) }); err != nil || arch.Steps == 0 {
		return weight, arch, err
	}
	if s.unrolled == nil {
		arch.Seconds, err = s.Time(func() error {
			move, err := s.alphaStep(nil)
			if err != nil {
				return err
			}
			return move()
		})
		return weight, arch, err
	}
	s.cfg.AlphaFrom = 0
	both, err := s.Time(func() error { return s.advance(context.Background()) })
	arch.Seconds = max(both-weight.Seconds, 0)
	return weight, arch, err
}
