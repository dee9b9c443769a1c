package relax

import (
	"slices"

	"github.com/entangle-nas/entangle/internal/rng"
)

// sparsemax is the Euclidean projection onto the simplex of Martins and
// Astudillo, "From Softmax to Sparsemax" (2016), section 2.1: max(α − τ, 0). Its
// Jacobian is that of section 2.5.
var sparsemax = Relaxation{
	Name:     "sparsemax",
	Doc:      "Euclidean projection of α onto the simplex: choices can reach exactly 0 and then get no gradient",
	Gradient: Pathwise,
	Sample: func(alpha []float64, _ *rng.Stream, _ float64) ([]float64, Backward) {
		w := project(alpha)
		return w, func(g []float64) []float64 { return projectBackward(w, g) }
	},
	Mean: project,
	MeanBackward: func(alpha, g []float64) []float64 {
		return projectBackward(project(alpha), g)
	},
}

// project subtracts the threshold that makes the positive parts sum to 1.
func project(alpha []float64) []float64 {
	if !finite(alpha) {
		return nans(len(alpha))
	}
	sorted := slices.Clone(alpha)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	var sum, tau float64
	for k, z := range sorted {
		sum += z
		if 1+float64(k+1)*z > sum {
			tau = (sum - 1) / float64(k+1)
		}
	}
	w := make([]float64, len(alpha))
	for i, z := range alpha {
		w[i] = max(z-tau, 0)
	}
	return w
}

// projectBackward subtracts the mean of g over the support, and is 0 off it.
func projectBackward(w, g []float64) []float64 {
	var sum, n float64
	for i, v := range w {
		if v > 0 {
			sum += g[i]
			n++
		}
	}
	d := make([]float64, len(w))
	for i, v := range w {
		if v > 0 {
			d[i] = g[i] - sum/n
		}
	}
	return d
}
