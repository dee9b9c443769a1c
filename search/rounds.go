package search

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// rounds is a search along subnets, after Yang et al., "NetAdapt: Platform-Aware Neural
// Network Adaptation for Mobile Applications", 2018. Before every round weight steps have
// trained the subnet that stands; in a round the budget falls, choices near to its own are
// measured one by one, and it moves to the subnet within the budget of which the least is
// lost, as sums of what was measured. Weights that it left out are kept, so it can move back.
type rounds struct {
	fwd *net.Step
}

const (
	// roundsShare is the share of a search's steps before the last round.
	roundsShare = 0.8
	// roundBatches are the batches of a round's measurements.
	roundBatches = 2
	// farLoss is what a smaller choice is taken to lose that was not measured, or without end;
	// leastLoss what it loses at least: a budget is there to be used.
	farLoss   = 1e6
	leastLoss = 1e-6
)

func newRounds(be engine.Backend, n *net.Network, o net.Objective, labelled bool) (*rounds, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.Loss(g, o, labelled)
	g.Builder.Output(net.LossName, loss)
	fwd, err := net.Compile(be, "subnet's loss", g.Builder)
	return &rounds{fwd}, err
}

// roundDue reports whether a round comes before the next weight step.
func (s *searcher) roundDue() bool {
	every := roundsShare * float64(s.Total) / float64(max(s.cfg.Rounds-1, 1))
	return s.Pos.Round < s.cfg.Rounds && float64(s.Pos.Step) >= float64(s.Pos.Round)*every
}

// fall is the factor by which a round lowers a budget: by equal ones from what the first
// subnet costs to the target, which the last two rounds have in common.
func (s *searcher) fall(l int) float64 {
	return math.Pow(min(s.budget[l].Limit/s.first[l], 1), 1/float64(max(s.cfg.Rounds-1, 1)))
}

// roundBudget is that of the next round.
func (s *searcher) roundBudget() decide.Budget {
	out := slices.Clone(s.budget)
	if s.Pos.Round+1 < s.cfg.Rounds-1 {
		for i := range out {
			out[i].Limit = max(out[i].Limit, s.first[i]*math.Pow(s.fall(i), float64(s.Pos.Round+1)))
		}
	}
	return out
}

// near lists the other choices of a dim that a round measures: the next larger one, and
// smaller ones down to the square of the round's fall, at least one; of a dim without order
// all that may stay.
func (s *searcher) near(d int) (out []int) {
	dim, at := s.Net.Super.Space.Dims[d], s.Pos.Choice[d]
	if !dim.Ordered() {
		for k := range dim.Final() {
			if k != at {
				out = append(out, k)
			}
		}
		return out
	}
	low := 1.0
	for i := range s.budget {
		low = min(low, s.fall(i)*s.fall(i))
	}
	for k := at - 1; k >= 0; k-- {
		if k < at-1 && float64(dim.Choices[k]) < low*float64(dim.Choices[at]) {
			break
		}
		out = append(out, k)
	}
	if at+1 < len(dim.Choices) {
		out = append(out, at+1)
	}
	return out
}

// takeRound measures on architecture batches and moves the subnet that stands.
func (s *searcher) takeRound() error {
	sp := s.Net.Super.Space
	score := make([][]float64, len(sp.Dims))
	trials := [][]int{s.Pos.Choice}
	for d := range sp.Dims {
		for _, k := range s.near(d) {
			c := slices.Clone(s.Pos.Choice)
			c[d] = k
			trials = append(trials, c)
		}
	}
	losses := make([]float64, len(trials))
	for range roundBatches {
		if err := s.measure(trials, losses); err != nil {
			return err
		}
	}
	if blind := losses[1:]; s.cfg.Shuffle {
		s.draw.Shuffle(len(blind), func(i, k int) { blind[i], blind[k] = blind[k], blind[i] })
	}
	s.aloss += losses[0] / roundBatches
	s.asteps++
	next := 1
	for d, dim := range sp.Dims {
		at := s.Pos.Choice[d]
		gain := map[int]float64{}
		for _, k := range s.near(d) {
			if v := (losses[0] - losses[next]) / roundBatches; !math.IsNaN(v) && !math.IsInf(v, 0) {
				gain[k] = v
			}
			next++
		}
		score[d] = make([]float64, len(dim.Choices))
		if !dim.Ordered() {
			for k := range score[d] {
				if v, ok := gain[k]; ok {
					score[d][k] = v
				} else if k != at {
					score[d][k] = -farLoss
				}
			}
			continue
		}
		for k := at - 1; k >= 0; k-- {
			v, ok := gain[k]
			if !ok {
				v = score[d][k+1] - farLoss
			}
			score[d][k] = min(v, score[d][k+1]-leastLoss)
		}
		for k := at + 1; k < len(dim.Choices); k++ {
			score[d][k] = max(gain[k], score[d][k-1]+leastLoss)
		}
	}
	if s.Pos.Round+1 < s.cfg.Rounds-1 {
		sp = undecided(sp)
	}
	choice, err := decide.Choose(sp, s.roundBudget(), score)
	if err != nil {
		return err
	}
	s.Pos.Choice = choice
	s.Pos.Round++
	return nil
}

// undecided lets operations stay the sum of their candidates, until the last two rounds.
func undecided(sp *space.Space) *space.Space {
	out := *sp
	out.Dims = slices.Clone(sp.Dims)
	for d := range out.Dims {
		out.Dims[d].Whole = true
	}
	return &out
}

// measure adds the losses of subnets on an architecture batch, normalised by the batch, to sums.
func (s *searcher) measure(subnets [][]int, sums []float64) error {
	x, err := s.Take(s.aload, s.afeed)
	if err != nil {
		return err
	}
	for part := range x.Parts {
		in, err := s.MicroBatch(x, part, s.alphaDraw(x.Parts, part))
		if err != nil {
			return err
		}
		for i, c := range subnets {
			coef, err := net.UploadCoef(s.Be, s.Net.Super.Space.OneHot(c))
			if err != nil {
				return err
			}
			out, err := s.rounds.fwd.Run(s.Env, coef, in)
			if err != nil {
				return err
			}
			loss, err := net.Scalar(out[net.LossName])
			if err != nil {
				return err
			}
			sums[i] += loss / float64(x.Parts)
			out.Free()
			coef.Free()
		}
		in.Free()
	}
	return nil
}
