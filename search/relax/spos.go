package relax

import "github.com/entangle-nas/entangle/internal/rng"

// spos is the uniform single path of Guo et al., "Single Path One-Shot Neural
// Architecture Search with Uniform Sampling" (2020), section 3: it trains a
// supernet and leaves α where it is.
var spos = Relaxation{
	Name:     "spos",
	Doc:      "one choice at random, each equally likely; α gets no gradient (SPOS)",
	Gradient: None,
	Sample: func(alpha []float64, r *rng.Stream, _ float64) ([]float64, Backward) {
		return OneHot(len(alpha), r.IntN(len(alpha))), func(g []float64) []float64 { return make([]float64, len(g)) }
	},
	Mean: func(alpha []float64) []float64 {
		w := make([]float64, len(alpha))
		for i := range w {
			w[i] = 1 / float64(len(w))
		}
		return w
	},
	MeanBackward: func(alpha, _ []float64) []float64 { return make([]float64, len(alpha)) },
}
