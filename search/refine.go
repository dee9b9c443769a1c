package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// refineBatches is how many architecture batches judge a subnet in a refinement.
const refineBatches = 2

// Refiner compares subnets by the loss that the supernet has at their vertices: the
// search's objective, on the same architecture batches for all, normalisation by the
// batch. Mean coefficients say how much the mixture minds each dim alone; what a
// subnet loses with several of them gone is seen at its vertex only.
type Refiner struct {
	be      engine.Backend
	net     *Network
	fwd     *step
	env     Env
	batches []Env
	known   map[string]float64
	// Trials counts the subnets whose loss was measured.
	Trials int
}

// NewRefiner prepares a supernet with its trained weights on the first batches of a
// view, in a seeded order. teach may be nil unless the objective distils.
func NewRefiner(be engine.Backend, n, teach *Network, weights map[string]*ir.Tensor, view data.View, o Objective, seed uint64) (*Refiner, error) {
	if n.Super == nil {
		return nil, fmt.Errorf("search: refine: want a supernet, got a plain network")
	}
	_, n, err := n.with(weights)
	if err != nil {
		return nil, err
	}
	labelled := view.Part().Labelled() && n.Classes > 0
	if err := o.Check(n, labelled); err != nil {
		return nil, err
	}
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.loss(g, o, labelled)
	g.b.Output(lossName, loss)
	r := &Refiner{be: be, net: n, env: Env{}, known: map[string]float64{}}
	if r.fwd, err = compile(be, "vertex loss", g.b); err != nil {
		return nil, err
	}
	if err := n.load(be, r.env); err != nil {
		return nil, err
	}
	if r.env[seedName], err = be.Upload(prim.I64Tensor([]int64{int64(seed), 0}, 2)); err != nil {
		return nil, err
	}
	f, err := newFeed(be, n, teach, o, view.Set(), labelled)
	if err != nil {
		return nil, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Shuffle: true, DropLast: true, Seed: seed, Name: "refine"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	for range min(refineBatches, l.Batches()) {
		b, err := l.Next()
		if err != nil {
			return nil, err
		}
		in, err := f.batch(b)
		if err != nil {
			return nil, err
		}
		r.batches = append(r.batches, in)
	}
	return r, nil
}

// Loss returns the mean loss at a choice's vertex; +Inf when it is not finite.
func (r *Refiner) Loss(choice []int) (float64, error) {
	if err := r.net.Super.Space.CheckChoice(choice); err != nil {
		return 0, err
	}
	key := choiceKey(choice)
	if v, ok := r.known[key]; ok {
		return v, nil
	}
	coef, err := uploadCoef(r.be, r.net.Super.Space.OneHot(choice))
	if err != nil {
		return 0, err
	}
	defer coef.free()
	sum := 0.0
	for _, in := range r.batches {
		out, err := r.fwd.run(r.env, coef, in)
		if err != nil {
			return 0, err
		}
		v, err := scalar(out[lossName])
		out.free()
		if err != nil {
			return 0, err
		}
		sum += v / float64(len(r.batches))
	}
	if math.IsNaN(sum) {
		sum = math.Inf(1)
	}
	r.known[key] = sum
	r.Trials++
	return sum, nil
}

func choiceKey(choice []int) string {
	parts := make([]string, len(choice))
	for i, k := range choice {
		parts[i] = strconv.Itoa(k)
	}
	return strings.Join(parts, ",")
}

// Refine measures trials subnets within the budget and returns the one of least loss.
// The first are the given starts; a third of the rest are drawn by the scores (each
// with Gumbel noise, then Choose and Spend); the others change one or two dims of the
// best so far, and as many others as the budget then asks for. Observe, when not nil,
// hears of every trial the least loss so far.
func (r *Refiner) Refine(ctx context.Context, c *space.CostModel, b Budget, score [][]float64, starts [][]int, trials int, seed uint64, observe func(trial int, best float64)) ([]int, error) {
	s := r.net.Super.Space
	draw := rng.New(seed, "search/refine")
	var best []int
	least := math.Inf(1)
	for i := 0; i < trials || best == nil; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var next []int
		switch {
		case i < len(starts):
			next = starts[i]
		case i < len(starts)+(trials-len(starts))/3:
			noisy := make([][]float64, len(score))
			for d, row := range score {
				for _, v := range row {
					noisy[d] = append(noisy[d], v-math.Log(draw.ExpFloat64()))
				}
			}
			var err error
			if next, err = Choose(s, c, &b, noisy); err != nil {
				return nil, err
			}
			next = Spend(s, c, b, noisy, next)
		default:
			next = mutate(s, c, b, best, draw)
		}
		v, err := r.Loss(next)
		if err != nil {
			return nil, err
		}
		if best == nil || v < least {
			best, least = slices.Clone(next), v
		}
		if observe != nil {
			observe(i+1, least)
		}
	}
	return best, nil
}

// mutate changes one or two dims of a choice at random, and fits the others.
func mutate(s *space.Space, c *space.CostModel, b Budget, choice []int, draw *rng.Stream) []int {
	out := slices.Clone(choice)
	order := draw.Perm(len(s.Dims))
	changed := order[:min(1+draw.IntN(2), len(order))]
	for _, d := range changed {
		if n := len(s.Dims[d].Choices); n > 1 {
			out[d] = (out[d] + 1 + draw.IntN(n-1)) % n
		}
	}
	fit(s, c, b, out, order, changed, draw.Rand)
	return out
}

// fit lowers dims of a choice at random, those that were changed last of all, while the
// limit is exceeded, then raises dims in random order while it allows. Order holds all dims.
func fit(s *space.Space, c *space.CostModel, b Budget, choice, order, changed []int, draw *rand.Rand) {
	for c.At(choice) > b.Limit {
		var can []int
		for _, d := range order {
			if choice[d] > 0 && !slices.Contains(changed, d) {
				can = append(can, d)
			}
		}
		if len(can) == 0 {
			changed = nil
			if slices.Max(choice) == 0 {
				break
			}
			continue
		}
		choice[can[draw.IntN(len(can))]]--
	}
	for raised := true; raised; {
		raised = false
		for _, i := range draw.Perm(len(s.Dims)) {
			if choice[i]+1 >= len(s.Dims[i].Choices) {
				continue
			}
			if choice[i]++; c.At(choice) > b.Limit {
				choice[i]--
			} else {
				raised = true
			}
		}
	}
}
