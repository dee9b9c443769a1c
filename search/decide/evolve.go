package decide

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/space"
)

// Evolution says how Evolve breeds subnets. Zero fields take the values of AutoFormer
// (Chen et al., "AutoFormer: Searching Transformers for Visual Recognition", 2021).
type Evolution struct {
	Population int     `json:"population" want:">=0" doc:"subnets of a generation of evolution; 0: 50"`
	Parents    int     `json:"parents" want:">=0" doc:"the best of all so far, which breed; 0: 10"`
	Mutation   float64 `json:"mutation" want:"[0,1]" doc:"probability that a mutant draws a dimension anew; 0: 0.2"`
	Trials     int     `json:"trials" want:">=0" doc:"subnets that evolution measures; 0: as many as cost what the architecture steps of a search would"`
}

func (e Evolution) filled() (Evolution, error) {
	e.Population = cmp.Or(e.Population, 50)
	e.Parents = cmp.Or(e.Parents, 10)
	e.Mutation = cmp.Or(e.Mutation, 0.2)
	e.Trials = cmp.Or(e.Trials, 20*e.Population)
	if e.Population < 1 || e.Parents < 1 || !(e.Mutation > 0 && e.Mutation <= 1) || e.Trials < 1 {
		return e, fmt.Errorf("search: evolution: want at least one subnet, parent and trial and a probability in (0, 1], got %+v", e)
	}
	return e, nil
}

// bredAttempts bounds the tries for a subnet that was not measured before.
const bredAttempts = 10

// measured is a subnet with its loss.
type measured struct {
	choice []int
	loss   float64
}

// Evolve measures e.Trials different subnets within the budget, fewer when breeding
// finds no more, and returns the one of least loss. The first generation is random;
// of every other, half are mutants of parents and half cross two of them, dim by
// dim. What exceeds the limit is lowered, what is left of it is used, both at random
// dims; an empty budget leaves every subnet as it was bred. Observe, when not nil, hears of every trial, the first being 1, the least loss so
// far. Errors are those of ctx, loss and Budget.Check, and settings out of range.
func Evolve(ctx context.Context, s *space.Space, b Budget, e Evolution, seed uint64, loss Loss, observe func(trial int, best float64)) ([]int, error) {
	e, err := e.filled()
	if err != nil {
		return nil, err
	}
	if len(b) > 0 {
		if err := b.Check(s); err != nil {
			return nil, err
		}
	}
	w := &breeder{s: s, budget: b, mutation: e.Mutation, draw: rng.New(seed, "search/evolve"), seen: map[string]bool{}}
	var best []measured
	for trial := 0; trial < e.Trials; {
		generation := w.generation(best, min(e.Population, e.Trials-trial))
		if len(generation) == 0 {
			break
		}
		for _, choice := range generation {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			v, err := loss(choice)
			if err != nil {
				return nil, err
			}
			trial++
			best = append(best, measured{choice, v})
			slices.SortStableFunc(best, func(x, y measured) int { return cmp.Compare(x.loss, y.loss) })
			best = best[:min(len(best), e.Parents)]
			if observe != nil {
				observe(trial, best[0].loss)
			}
		}
	}
	return best[0].choice, nil
}

// breeder proposes subnets that it has not proposed before.
type breeder struct {
	s        *space.Space
	budget   Budget
	mutation float64
	draw     *rng.Stream
	seen     map[string]bool
}

// generation returns up to n new subnets: random ones without parents.
func (w *breeder) generation(parents []measured, n int) (out [][]int) {
	pick := func() []int { return parents[w.draw.IntN(len(parents))].choice }
	for i := range n {
		breed := w.random
		switch {
		case len(parents) == 0:
		case i < n/2:
			breed = func() []int { return w.mutant(pick()) }
		default:
			breed = func() []int { return w.child(pick(), pick()) }
		}
		choice := w.unseen(breed)
		if choice == nil {
			choice = w.unseen(w.random)
		}
		if choice != nil {
			out = append(out, choice)
		}
	}
	return out
}

// unseen returns what breed gives once it is new and fits, nil after bredAttempts.
func (w *breeder) unseen(breed func() []int) []int {
	for range bredAttempts {
		choice := breed()
		if len(w.budget) > 0 {
			fit(w.s, w.budget, choice, w.draw.Perm(len(choice)), nil, w.draw.Rand)
		}
		if key := fmt.Sprint(choice); !w.seen[key] {
			w.seen[key] = true
			return choice
		}
	}
	return nil
}

func (w *breeder) random() []int {
	choice := make([]int, len(w.s.Dims))
	for d, dim := range w.s.Dims {
		choice[d] = w.draw.IntN(dim.Final())
	}
	return choice
}

// mutant draws every dim anew with the probability of a mutation.
func (w *breeder) mutant(parent []int) []int {
	choice := slices.Clone(parent)
	for d, dim := range w.s.Dims {
		if w.draw.Float64() < w.mutation {
			choice[d] = w.draw.IntN(dim.Final())
		}
	}
	return choice
}

// child takes every dim from one of two parents.
func (w *breeder) child(a, b []int) []int {
	choice := slices.Clone(a)
	for d := range choice {
		if w.draw.IntN(2) == 1 {
			choice[d] = b[d]
		}
	}
	return choice
}
