package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// rounds is a search along subnets, after Yang et al., "NetAdapt: Platform-Aware Neural
// Network Adaptation for Mobile Applications", 2018. Before every round weight steps have
// trained the subnet that stands; in a round the budget falls, choices near to its own are
// measured one by one, and it moves to the subnet within the budget of which the least is
// lost, as sums of what was measured. What it left out has been given to what is there, and can
// come back to learn anew.
type rounds struct {
	fwd   *net.Step
	refit *net.Refit // nil: subnets are measured with the weights that there are
}

const (
	// roundsShare is the share of a search's steps before the last round.
	roundsShare = 0.65
	// farLoss is what a smaller choice is taken to lose that was not measured, or without end;
	// leastLoss what it loses at least: a budget is there to be used.
	farLoss   = 1e6
	leastLoss = 1e-6
)

func newRounds(be engine.Backend, n *net.Network, c Config, labelled bool) (*rounds, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.Loss(g, c.Weights.Objective, labelled)
	g.Builder.Output(net.LossName, loss)
	r := &rounds{}
	if r.fwd, err = net.Compile(be, "subnet's loss", g.Builder); err != nil || !c.Refit {
		return r, err
	}
	r.refit, err = net.NewRefit(be, n)
	return r, err
}

// most is the larger number of bytes of a round's programs.
func (r *rounds) most(bytes func(*net.Step) int) int {
	if r.refit == nil || r.refit.Step == nil {
		return bytes(r.fwd)
	}
	return max(bytes(r.fwd), bytes(r.refit.Step))
}

// roundDue reports whether a round comes before the next weight step.
func (s *searcher) roundDue() bool {
	every := roundsShare * float64(s.Total) / float64(max(s.cfg.Rounds-1, 1))
	if s.cfg.FreezeWeights {
		every = 1
	}
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
// all that may stay. A path of equal widths measures none that have an order.
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
	if s.cfg.even() == 1 {
		return nil
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
func (s *searcher) takeRound(ctx context.Context) error {
	sp := s.Net.Super.Space
	score := make([][]float64, len(sp.Dims))
	trials := [][]int{s.Pos.Choice}
	var others []train.Trial
	for d := range sp.Dims {
		for _, k := range s.near(d) {
			c := slices.Clone(s.Pos.Choice)
			c[d] = k
			trials = append(trials, c)
			others = append(others, train.Trial{Dim: d, Choice: k})
		}
	}
	s.began = time.Now()
	losses, err := s.measure(ctx, trials)
	if err != nil {
		return err
	}
	s.note(losses, others)
	if blind := losses[1:]; s.cfg.Shuffle {
		s.draw.Shuffle(len(blind), func(i, k int) { blind[i], blind[k] = blind[k], blind[i] })
	}
	s.aloss += losses[0]
	s.asteps++
	next := 1
	for d, dim := range sp.Dims {
		at := s.Pos.Choice[d]
		gain := map[int]float64{}
		for _, k := range s.near(d) {
			if v := losses[0] - losses[next]; !math.IsNaN(v) && !math.IsInf(v, 0) {
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
	budget := s.roundBudget()
	if err := s.level(sp, budget, score); err != nil {
		return err
	}
	choice, err := decide.Choose(sp, budget, score)
	if err != nil {
		return err
	}
	if s.rounds.refit != nil {
		fitted, err := s.rounds.refit.To(s.Env, s.Pos.Choice, choice)
		if err != nil {
			return err
		}
		for name, b := range fitted {
			s.Env[name].Free()
			s.Env[name] = b
		}
	}
	s.Pos.Choice = choice
	s.Pos.Round++
	return nil
}

// note keeps what a round measured.
func (s *searcher) note(losses []float64, others []train.Trial) {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	r := train.Round{Choice: slices.Clone(s.Pos.Choice)}
	if v := losses[0]; finite(v) {
		r.Loss = &v
	}
	for i, t := range others {
		if t.Loss = losses[i+1]; finite(t.Loss) {
			r.Trials = append(r.Trials, t)
		}
	}
	s.Pos.Rounds = append(s.Pos.Rounds, r)
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

// measure returns the losses of subnets on as many architecture batches as a round has,
// normalised by the batch. Weights are fitted on the way from the first, which stands.
func (s *searcher) measure(ctx context.Context, subnets [][]int) (losses []float64, err error) {
	var batches []net.Env
	defer func() {
		for _, in := range batches {
			in.Free()
		}
	}()
	for range s.cfg.RoundBatches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, err := s.Take(s.aload, s.afeed)
		if err != nil {
			return nil, err
		}
		for part := range x.Parts {
			in, err := s.MicroBatch(x, part, s.alphaDraw(x.Parts, part))
			if err != nil {
				return nil, err
			}
			batches = append(batches, in)
		}
	}
	if s.rounds.refit != nil {
		if err := s.rounds.refit.Run(s.Env, subnets[0], batches); err != nil {
			return nil, err
		}
	}
	for i, c := range subnets {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.tell(i, len(subnets))
		loss, err := s.lossOf(subnets[0], c, batches)
		if err != nil {
			return nil, err
		}
		losses = append(losses, loss/float64(len(batches)))
	}
	s.tell(len(subnets), len(subnets))
	return losses, nil
}

// tell makes progress of a round.
func (s *searcher) tell(done, of int) {
	if s.Hooks.Observe != nil && done > 0 {
		s.Hooks.Observe(train.Event{Stage: fmt.Sprintf("%s round %d", s.Hooks.Stage, s.Pos.Round+1), Kind: "progress", Step: done, Total: of, Seconds: time.Since(s.began).Seconds()})
	}
}

// lossOf sums the losses of a subnet on batches, its weights fitted on the way from another.
func (s *searcher) lossOf(from, subnet []int, batches []net.Env) (sum float64, err error) {
	coef, err := net.UploadCoef(s.Be, s.Net.Super.Space.OneHot(subnet))
	if err != nil {
		return 0, err
	}
	defer coef.Free()
	var fitted net.Env
	if s.rounds.refit != nil {
		if fitted, err = s.rounds.refit.To(s.Env, from, subnet); err != nil {
			return 0, err
		}
		defer fitted.Free()
	}
	for _, in := range batches {
		out, err := s.rounds.fwd.Run(s.Env, fitted, coef, in)
		if err != nil {
			return 0, err
		}
		loss, err := net.Scalar(out[net.LossName])
		if err != nil {
			return 0, err
		}
		sum += loss
		out.Free()
	}
	return sum, nil
}
