package decide

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/entangle-nas/entangle/space"
)

// Choose returns the choice (indices per dim) of the largest total log-probability
// that meets the budget; score holds log-probabilities per dim. It
// starts from the most probable choice, trades the least log-probability per unit
// of excess saved until all limits hold, then takes every improvement by one or two
// dims that keeps it. Without a budget it is the most probable choice. Errors are those of
// Budget.Check.
func Choose(s *space.Space, b Budget, score [][]float64) ([]int, error) {
	choice := make([]int, len(s.Dims))
	for d, row := range score {
		for k, v := range row[:s.Dims[d].Final()] {
			if v > row[choice[d]] {
				choice[d] = k
			}
		}
	}
	if b == nil {
		return choice, nil
	}
	if err := b.Check(s); err != nil {
		return nil, err
	}
	// with evaluates f at the choice with dim d at k.
	with := func(d, k int, f func([]int) float64) float64 {
		old := choice[d]
		choice[d] = k
		v := f(choice)
		choice[d] = old
		return v
	}
	for !b.holds(choice) {
		excess := b.excess(choice)
		best, bd, bk := math.Inf(1), -1, -1
		for d := range choice {
			for k := range lower(s, d, choice[d]) {
				if k == choice[d] {
					continue
				}
				saved := excess - with(d, k, b.excess)
				if saved <= 0 {
					continue
				}
				if price := (score[d][choice[d]] - score[d][k]) / saved; price < best {
					best, bd, bk = price, d, k
				}
			}
		}
		if bd < 0 {
			copy(choice, b.least(s))
			break
		}
		choice[bd] = bk
	}
	holds := func(d, k int) bool {
		old := choice[d]
		choice[d] = k
		ok := b.holds(choice)
		choice[d] = old
		return ok
	}
	for improve(s, choice, score, holds) {
	}
	return choice, nil
}

// spendPrice is the most log-probability that Spend gives up for one upgrade.
const spendPrice = 1.5

// Spend uses what a choice leaves of the budget: while some dim can take a larger
// choice within the limit for at most spendPrice of log-probability, it takes the
// one with the best ratio of cost gained to log-probability given up. The cost term
// of a search is silent below the limit, so what is left there was not decided by it.
// score is as for Choose; the choice must hold and is not changed.
func Spend(s *space.Space, b Budget, score [][]float64, choice []int) []int {
	choice = slices.Clone(choice)
	for {
		now := b.use(choice)
		best, bd, bk := 0.0, -1, -1
		for d := range choice {
			old := choice[d]
			from := old + 1
			if !s.Dims[d].Ordered() {
				from = 0
			}
			for k := from; k < s.Dims[d].Final(); k++ {
				if k == old {
					continue
				}
				choice[d] = k
				price := max(score[d][old]-score[d][k], 1e-3)
				if gain := (b.use(choice) - now) / price; price <= spendPrice && gain > best && b.holds(choice) {
					best, bd, bk = gain, d, k
				}
			}
			choice[d] = old
		}
		if bd < 0 {
			return choice
		}
		choice[bd] = bk
	}
}

// lower bounds the choices that may cost less than choice k of a dim: those below it, or of a
// dim without order all that may stay.
func lower(s *space.Space, d, k int) int {
	if s.Dims[d].Ordered() {
		return k
	}
	return s.Dims[d].Final()
}

// improve makes the best change of one dim, or of a pair of dims, that raises the
// score within the limit.
func improve(s *space.Space, choice []int, score [][]float64, holds func(d, k int) bool) bool {
	best, bd, bk, ed, ek := 1e-12, -1, 0, -1, 0
	for d := range choice {
		for k := range s.Dims[d].Final() {
			if gain := score[d][k] - score[d][choice[d]]; gain > best && holds(d, k) {
				best, bd, bk, ed = gain, d, k, -1
			}
		}
	}
	if bd < 0 {
		for d := range choice {
			from := choice[d] + 1
			if !s.Dims[d].Ordered() {
				from = 0
			}
			for k := from; k < s.Dims[d].Final(); k++ {
				up := score[d][k] - score[d][choice[d]]
				if up <= best {
					continue
				}
				old := choice[d]
				choice[d] = k
				for e := range choice {
					for j := range lower(s, e, choice[e]) {
						if gain := up + score[e][j] - score[e][choice[e]]; e != d && gain > best && holds(e, j) {
							best, bd, bk, ed, ek = gain, d, k, e, j
						}
					}
				}
				choice[d] = old
			}
		}
	}
	if bd < 0 {
		return false
	}
	choice[bd] = bk
	if ed >= 0 {
		choice[ed] = ek
	}
	return true
}

// Uniform returns one width ratio everywhere, kernels and depth whole, at a cost of
// at most the budget: the baseline of uniform scaling. Widths round down to their
// choices; what that leaves goes to one dim after the other, each raised to its
// choice at the next larger ratio while the limits hold. Errors are those of Budget.Check.
func Uniform(s *space.Space, b Budget) ([]int, error) {
	if err := b.Check(s); err != nil {
		return nil, err
	}
	base := make([]int, len(s.Dims))
	for d, dim := range s.Dims {
		base[d] = dim.Final() - 1
	}
	return Even(s, b, base), nil
}

// Even is Uniform with the choices of base, by index per dim, for all that is no width. The
// smallest subnet must meet the budget; it is returned where base leaves nothing for widths.
func Even(s *space.Space, b Budget, base []int) []int {
	at := func(ratio float64) []int {
		choice := slices.Clone(base)
		for d, dim := range s.Dims {
			if !dim.CountsUnits() {
				continue
			}
			full := float64(dim.Choices[len(dim.Choices)-1])
			choice[d] = 0
			for k, v := range dim.Choices {
				if float64(v) <= ratio*full+1e-9 {
					choice[d] = k
				}
			}
		}
		return choice
	}
	const steps = 1000
	for i := steps; i >= 0; i-- {
		choice := at(float64(i) / steps)
		if !b.holds(choice) {
			continue
		}
		next := choice
		for k := i + 1; k <= steps && slices.Equal(next, choice); k++ {
			next = at(float64(k) / steps)
		}
		for d, k := range next {
			old := choice[d]
			if choice[d] = k; !b.holds(choice) {
				choice[d] = old
			}
		}
		return choice
	}
	return b.least(s)
}

// RandomChoice draws uniform choices until one meets the budget and costs at least a share
// low of its tightest limit; after 10,000 draws it takes the largest affordable one seen,
// and raises dims in random order while the limits allow. Errors are those of Budget.Check.
func RandomChoice(s *space.Space, b Budget, low float64, r *rand.Rand) ([]int, error) {
	if err := b.Check(s); err != nil {
		return nil, err
	}
	best, most := b.least(s), b.tightest(b.least(s))
	for range 10000 {
		choice := make([]int, len(s.Dims))
		for d, dim := range s.Dims {
			choice[d] = r.IntN(dim.Final())
		}
		v := b.tightest(choice)
		if !b.holds(choice) || v <= most {
			continue
		}
		best, most = choice, v
		if v >= low {
			return best, nil
		}
	}
	fit(s, b, best, r.Perm(len(best)), nil, r)
	return best, nil
}

// Ordinal turns mean coefficients, per dim and choice, into scores for Choose that know the order of
// choices, of dims that have one. Choice k is k steps up from the smallest; S_j, the probability of a choice
// of at least j, is the coefficient that the supernet gives to the units of step j. The
// score of k is Σ_{j≤k} log S_j + Σ_{j>k} log(1 − S_j): each step is kept or left by its
// own coefficient, so cutting deep into one dim costs every step on the way. Where choices have no
// order, the score is the logarithm of the coefficient.
func Ordinal(s *space.Space, mean [][]float64) [][]float64 {
	const low = 1e-6
	out := make([][]float64, len(mean))
	for d, p := range mean {
		out[d] = make([]float64, len(p))
		if !s.Dims[d].Ordered() {
			for k, v := range p {
				out[d][k] = math.Log(max(v, low))
			}
			continue
		}
		reach := 0.0
		for j := len(p) - 1; j > 0; j-- {
			reach += p[j]
			kept := min(max(reach, low), 1-low)
			for k := range p {
				if k >= j {
					out[d][k] += math.Log(kept)
				} else {
					out[d][k] += math.Log(1 - kept)
				}
			}
		}
	}
	return out
}
