package relax

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/entangle-nas/entangle/internal/rng"
)

// Backward carries the gradient with respect to the coefficients (one entry per
// choice) to the gradient with respect to α. It neither keeps nor writes its argument.
type Backward func(dcoef []float64) (dalpha []float64)

// Gradient is what the Backward of a Sample computes.
type Gradient string

const (
	// Pathwise is the exact derivative of the coefficients for the noise that was
	// drawn, so that its mean over draws is the derivative of the mean.
	Pathwise Gradient = "pathwise"
	// Surrogate is the derivative of another function of α, which stands in for
	// coefficients that have none; the relaxation's comment states it.
	Surrogate Gradient = "surrogate"
	// None is zeros: α stays where it is.
	None Gradient = "none"
)

// Relaxation is one way of making coefficients from α.
type Relaxation struct {
	Name     string
	Doc      string
	Gradient Gradient
	// Sample draws coefficients for α (at least one entry, all finite). They are
	// non-negative and sum to 1. progress runs from 0 at the first step to 1 at the
	// last; only annealed relaxations look at it. When α is not finite the
	// coefficients are NaN, so that the loss shows it.
	Sample func(alpha []float64, r *rng.Stream, progress float64) (coef []float64, back Backward)
	// Mean returns the deterministic coefficients for evaluation and for the expected cost.
	Mean func(alpha []float64) []float64
	// MeanBackward carries a gradient with respect to Mean's coefficients to α.
	MeanBackward func(alpha, dcoef []float64) []float64
}

// All lists the relaxations; the first is the default.
func All() []Relaxation {
	return []Relaxation{drnas, darts, sparsemax, gdas, spos, reinmax}
}

// Default is the name of the relaxation used when none is named.
const Default = "drnas"

// ByName returns the relaxation of that name, or an error that lists the names.
func ByName(name string) (Relaxation, error) {
	var names []string
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Relaxation{}, fmt.Errorf("relaxation: want one of %s, got %q", strings.Join(names, ", "), name)
}

// Validate reports every relaxation that is incomplete or listed twice.
func Validate(list []Relaxation) error {
	var errs []error
	seen := map[string]bool{}
	for i, r := range list {
		if r.Name == "" || r.Doc == "" || r.Sample == nil || r.Mean == nil || r.MeanBackward == nil {
			errs = append(errs, fmt.Errorf("relaxation %d (%q): want Name, Doc, Sample, Mean and MeanBackward", i, r.Name))
		}
		if r.Gradient != Pathwise && r.Gradient != Surrogate && r.Gradient != None {
			errs = append(errs, fmt.Errorf("relaxation %d (%q): Gradient: want %q, %q or %q, got %q", i, r.Name, Pathwise, Surrogate, None, r.Gradient))
		}
		if seen[r.Name] {
			errs = append(errs, fmt.Errorf("relaxation %q: listed twice", r.Name))
		}
		seen[r.Name] = true
	}
	return errors.Join(errs...)
}

// Init returns n parameters drawn from a normal distribution with deviation 10⁻³.
func Init(n int, r *rng.Stream) []float64 {
	alpha := make([]float64, n)
	for i := range alpha {
		alpha[i] = 1e-3 * r.NormFloat64()
	}
	return alpha
}

// Argmax returns the position of the largest entry, the first among equals.
// Entries that are NaN are never chosen unless all are.
func Argmax(alpha []float64) int {
	best := 0
	for i, a := range alpha {
		if a > alpha[best] || (math.IsNaN(alpha[best]) && !math.IsNaN(a)) {
			best = i
		}
	}
	return best
}

// OneHot returns n zeros with a 1 at position i.
func OneHot(n, i int) []float64 {
	w := make([]float64, n)
	w[i] = 1
	return w
}

func finite(xs []float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

func nans(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.NaN()
	}
	return w
}

func dot(a, b []float64) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}
