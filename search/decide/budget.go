package decide

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/space"
)

// Budget is the most a subnet may cost.
type Budget struct {
	Metric string `json:"metric" yaml:"metric"`
	// Limit is the largest cost in the metric's unit.
	Limit float64 `json:"limit" yaml:"limit"`
}

// TargetError says that no choice meets a budget.
type TargetError struct {
	Metric          string
	Limit           float64
	Smallest, Whole float64
}

// Error gives the limit, and the smallest and the original cost.
func (e *TargetError) Error() string {
	return fmt.Sprintf("search: target %s ≤ %.6g (%.3g of the original): no choice meets it, the smallest subnet has %.6g (%.3g)",
		e.Metric, e.Limit, e.Limit/e.Whole, e.Smallest, e.Smallest/e.Whole)
}

// CheckBudget returns a *TargetError when even the smallest subnet costs more than
// the limit.
func CheckBudget(s *space.Space, c *space.CostModel, b Budget) error {
	if math.IsNaN(b.Limit) || b.Limit <= 0 {
		return fmt.Errorf("search: target %s: want a positive limit, got %g", b.Metric, b.Limit)
	}
	if low := c.At(s.Smallest()); low > b.Limit {
		return &TargetError{b.Metric, b.Limit, low, c.At(s.Largest())}
	}
	return nil
}
