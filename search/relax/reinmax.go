package relax

import (
	"github.com/entangle-nas/entangle/internal/rng"
)

// reinmax is the second-order straight-through estimator of Liu et al.,
// "Bridging Discrete and Backpropagation: Straight-Through and Beyond" (2023),
// algorithm 2 with temperature 1: exact for quadratic losses. With e the one-hot
// drawn at α, the surrogate of x is 2·softmax(x − α + log((softmax(α)+e)/2)) −
// ½·softmax(x), differentiated at x = α.
var reinmax = Relaxation{
	Name:     "reinmax",
	Doc:      "one choice drawn from softmax(α), second-order straight-through gradient (ReinMax)",
	Gradient: Surrogate,
	Sample: func(alpha []float64, r *rng.Stream, _ float64) ([]float64, Backward) {
		p := softmax(alpha, 1)
		if !finite(p) {
			return nans(len(p)), func(g []float64) []float64 { return nans(len(g)) }
		}
		k := categorical(p, r)
		return OneHot(len(p), k), func(g []float64) []float64 { return reinmaxBackward(p, k, g) }
	},
	Mean:         darts.Mean,
	MeanBackward: darts.MeanBackward,
}

// reinmaxBackward returns 2·J((p+e_k)/2)ᵀg − ½·J(p)ᵀg, J being softmax's Jacobian
// written in its result.
func reinmaxBackward(p []float64, k int, g []float64) []float64 {
	half := make([]float64, len(p))
	for i := range p {
		half[i] = p[i] / 2
	}
	half[k] += 0.5
	d, e := softmaxBackward(half, g), softmaxBackward(p, g)
	for i := range d {
		d[i] = 2*d[i] - e[i]/2
	}
	return d
}

// categorical draws a position with the given probabilities.
func categorical(p []float64, r *rng.Stream) int {
	u := r.Float64()
	for i, v := range p {
		if u -= v; u < 0 {
			return i
		}
	}
	return Argmax(p)
}
