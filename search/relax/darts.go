package relax

import (
	"math"

	"github.com/entangle-nas/entangle/internal/rng"
)

// darts is the softmax of Liu et al., "DARTS: Differentiable Architecture Search"
// (2019), section 2.2, equation 2.
var darts = Relaxation{
	Name:     "darts",
	Doc:      "softmax of α, no sampling (DARTS)",
	Gradient: Pathwise,
	Sample: func(alpha []float64, _ *rng.Stream, _ float64) ([]float64, Backward) {
		w := softmax(alpha, 1)
		return w, func(g []float64) []float64 { return softmaxBackward(w, g) }
	},
	Mean: func(alpha []float64) []float64 { return softmax(alpha, 1) },
	MeanBackward: func(alpha, g []float64) []float64 {
		return softmaxBackward(softmax(alpha, 1), g)
	},
}

// softmax returns exp(x/τ) divided by its sum.
func softmax(x []float64, tau float64) []float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v/tau)
	}
	w := make([]float64, len(x))
	var sum float64
	for i, v := range x {
		w[i] = math.Exp(v/tau - top)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// softmaxBackward returns Jᵀg for w = softmax: w·(g − ⟨g, w⟩).
func softmaxBackward(w, g []float64) []float64 {
	mean := dot(w, g)
	d := make([]float64, len(w))
	for i := range d {
		d[i] = w[i] * (g[i] - mean)
	}
	return d
}
