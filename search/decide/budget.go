package decide

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/space"
)

// Limit is the most that a subnet may cost in one metric, in the metric's unit.
type Limit struct {
	Metric string           `json:"metric"`
	Limit  float64          `json:"limit"` // above 0
	Cost   *space.CostModel `json:"-"`     // of Metric, in its unit
}

// Budget holds the limits of a subnet, which must meet all of them. A nil Budget has none.
type Budget []Limit

// holds reports whether a choice meets every limit.
func (b Budget) holds(choice []int) bool {
	for _, l := range b {
		if l.Cost.At(choice) > l.Limit {
			return false
		}
	}
	return true
}

// excess is how far a choice is above its limits, as shares of them, summed; 0 when it
// meets all.
func (b Budget) excess(choice []int) float64 {
	sum := 0.0
	for _, l := range b {
		sum += max(l.Cost.At(choice)/l.Limit-1, 0)
	}
	return sum
}

// use is the sum of costs as shares of their limits.
func (b Budget) use(choice []int) float64 {
	sum := 0.0
	for _, l := range b {
		sum += l.Cost.At(choice) / l.Limit
	}
	return sum
}

// tightest is the largest cost as a share of its limit.
func (b Budget) tightest(choice []int) float64 {
	most := 0.0
	for _, l := range b {
		most = max(most, l.Cost.At(choice)/l.Limit)
	}
	return most
}

// least is a subnet of least use of the limits: the smallest choices, and of dims without
// order those that cost least, taken one after the other until none changes.
func (b Budget) least(s *space.Space) []int {
	choice := s.Smallest()
	for changed := true; changed; {
		changed = false
		for d, dim := range s.Dims {
			if dim.Ordered() {
				continue
			}
			best, at := b.tightest(choice), choice[d]
			for k := range dim.Final() {
				choice[d] = k
				if v := b.tightest(choice); v < best {
					best, at, changed = v, k, true
				}
			}
			choice[d] = at
		}
	}
	return choice
}

// TargetError says that no choice meets a limit. Limit and the costs of the smallest subnet
// and of the original are in the metric's unit.
type TargetError struct {
	Metric          string
	Limit           float64
	Smallest, Whole float64
	// Measured is what the smallest subnet took, where that was measured; 0: not.
	Measured float64
}

// Error gives the limit, and the smallest and the original cost.
func (e *TargetError) Error() string {
	if e.Measured > 0 {
		return fmt.Sprintf("search: target %s ≤ %.6g (%.3g of the original): no choice meets it, the smallest subnet was measured at %.6g (%.3g)",
			e.Metric, e.Limit, e.Limit/e.Whole, e.Measured, e.Measured/e.Whole)
	}
	return fmt.Sprintf("search: target %s ≤ %.6g (%.3g of the original): no choice meets it, the smallest subnet has %.6g (%.3g)",
		e.Metric, e.Limit, e.Limit/e.Whole, e.Smallest, e.Smallest/e.Whole)
}

// Smallest is the least that a subnet costs.
func Smallest(cost *space.CostModel, s *space.Space) float64 {
	return cost.At(Budget{{Limit: 1, Cost: cost}}.least(s))
}

// Check returns a *TargetError when even the smallest subnet costs more than a limit, and
// refuses a budget without limits and limits that are not above 0.
// Where every metric grows with every choice, limits that the smallest subnet meets one by
// one it meets together.
func (b Budget) Check(s *space.Space) error {
	if len(b) == 0 {
		return fmt.Errorf("search: target: want at least one limit, got none")
	}
	for _, l := range b {
		if math.IsNaN(l.Limit) || l.Limit <= 0 {
			return fmt.Errorf("search: target %s: want a positive limit, got %g", l.Metric, l.Limit)
		}
		if low := l.Cost.At(Budget{l}.least(s)); low > l.Limit {
			return &TargetError{Metric: l.Metric, Limit: l.Limit, Smallest: low, Whole: l.Cost.Whole}
		}
	}
	return nil
}
