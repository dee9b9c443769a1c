package decide

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/space"
)

// Loss measures a choice, by index per dim; +Inf when it is not finite.
type Loss func(choice []int) (float64, error)

// Refine measures trials subnets within the budget and returns the one of least loss.
// The first are the given starts; a third of the rest are drawn by the scores (each
// with Gumbel noise, then Choose and Spend); the others change one or two dims of the
// best so far, and as many others as the budget then asks for. The starts must meet the
// budget; there is one trial at least. Observe, when not nil, hears of every trial, the
// first being 1, the least loss so far. Errors are those of ctx, loss and Budget.Check.
func Refine(ctx context.Context, s *space.Space, b Budget, score [][]float64, starts [][]int, trials int, seed uint64, loss Loss, observe func(trial int, best float64)) ([]int, error) {
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
			if next, err = Choose(s, b, noisy); err != nil {
				return nil, err
			}
			next = Spend(s, b, noisy, next)
		default:
			next = mutate(s, b, best, draw)
		}
		v, err := loss(next)
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
func mutate(s *space.Space, b Budget, choice []int, draw *rng.Stream) []int {
	out := slices.Clone(choice)
	order := draw.Perm(len(s.Dims))
	changed := order[:min(1+draw.IntN(2), len(order))]
	for _, d := range changed {
		if n := s.Dims[d].Final(); n > 1 {
			out[d] = (out[d] + 1 + draw.IntN(n-1)) % n
		}
	}
	fit(s, b, out, order, changed, draw.Rand)
	return out
}

// fit lowers dims of a choice at random, those that were changed last of all, while the
// limit is exceeded, then raises dims in random order while it allows. Order holds all dims.
func fit(s *space.Space, b Budget, choice, order, changed []int, draw *rand.Rand) {
	for !b.holds(choice) {
		var can []int
		for _, d := range order {
			if choice[d] > 0 && !slices.Contains(changed, d) {
				can = append(can, d)
			}
		}
		if len(can) == 0 {
			changed = nil
			if slices.Max(choice) == 0 {
				copy(choice, b.least(s))
				break
			}
			continue
		}
		choice[can[draw.IntN(len(can))]]--
	}
	for raised := true; raised; {
		raised = false
		for _, i := range draw.Perm(len(s.Dims)) {
			if choice[i]+1 >= s.Dims[i].Final() {
				continue
			}
			if choice[i]++; !b.holds(choice) {
				choice[i]--
			} else {
				raised = true
			}
		}
	}
}
