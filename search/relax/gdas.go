package relax

import (
	"math"

	"github.com/entangle-nas/entangle/internal/rng"
)

// Temperatures of gdas at progress 0 and 1.
const (
	gdasFirst = 10.0
	gdasLast  = 0.1
	// gdasTries bounds the draws until one is finite.
	gdasTries = 100
)

// gdas is the straight-through Gumbel softmax of Dong and Yang, "Searching for a
// Robust Neural Architecture in Four GPU Hours" (2019), section 3.2. With Gumbel
// noise o, it takes the choice where log softmax(α) + o is largest; the surrogate
// is softmax((log softmax(α) + o)/τ).
var gdas = Relaxation{
	Name:     "gdas",
	Doc:      "straight-through Gumbel softmax, one choice per step, temperature 10 → 0.1 (GDAS)",
	Gradient: Surrogate,
	Sample: func(alpha []float64, r *rng.Stream, progress float64) ([]float64, Backward) {
		tau := Temperature(progress)
		logp := logSoftmax(alpha)
		z := make([]float64, len(alpha))
		for range gdasTries {
			for i := range z {
				z[i] = logp[i] + gumbel(r)
			}
			p := softmax(z, tau)
			if finite(p) {
				return OneHot(len(p), Argmax(p)), func(g []float64) []float64 {
					d := softmaxBackward(p, g)
					for i := range d {
						d[i] /= tau
					}
					return d
				}
			}
		}
		return nans(len(alpha)), func(g []float64) []float64 { return nans(len(g)) }
	},
	Mean:         darts.Mean,
	MeanBackward: darts.MeanBackward,
}

// Temperature returns gdas's τ, linear from 10 at progress 0 to 0.1 at 1.
func Temperature(progress float64) float64 {
	return gdasFirst + (gdasLast-gdasFirst)*min(max(progress, 0), 1)
}

func gumbel(r *rng.Stream) float64 { return -math.Log(r.ExpFloat64()) }

func logSoftmax(x []float64) []float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v - top - math.Log(sum)
	}
	return out
}
