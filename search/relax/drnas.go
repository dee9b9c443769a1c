package relax

import (
	"math"

	"github.com/entangle-nas/entangle/internal/rng"
)

// minConcentration is the smallest concentration that is sampled; α below about
// −18 acts as if it stood there.
const minConcentration = 1e-8

// drnas draws the coefficients from a Dirichlet distribution with concentration
// ELU(α)+1 and differentiates through the sample: Chen et al., "DrNAS: Dirichlet
// Neural Architecture Search" (2021), section 2.2. A sample is Gamma variables over
// their sum, each differentiated at its quantile (logGammaSlope).
var drnas = Relaxation{
	Name:     "drnas",
	Doc:      "sample of a Dirichlet distribution with concentration ELU(α)+1, pathwise gradient (DrNAS)",
	Gradient: Pathwise,
	Sample: func(alpha []float64, r *rng.Stream, _ float64) ([]float64, Backward) {
		if !finite(alpha) {
			return nans(len(alpha)), func(g []float64) []float64 { return nans(len(g)) }
		}
		c, dc := concentration(alpha)
		logz := make([]float64, len(c))
		for i := range c {
			logz[i] = logGamma(c[i], r)
		}
		w := softmax(logz, 1)
		return w, func(g []float64) []float64 {
			d := softmaxBackward(w, g)
			for i := range d {
				if d[i] != 0 {
					d[i] *= logGammaSlope(c[i], logz[i]) * dc[i]
				}
			}
			return d
		}
	},
	Mean: func(alpha []float64) []float64 {
		c, _ := concentration(alpha)
		var sum float64
		for _, v := range c {
			sum += v
		}
		for i := range c {
			c[i] /= sum
		}
		return c
	},
	MeanBackward: func(alpha, g []float64) []float64 {
		c, dc := concentration(alpha)
		var sum float64
		for _, v := range c {
			sum += v
		}
		mean := dot(c, g) / sum
		d := make([]float64, len(c))
		for i := range d {
			d[i] = (g[i] - mean) / sum * dc[i]
		}
		return d
	},
}

// concentration returns c = ELU(α)+1 (α+1 above 0, e^α below) and dc/dα.
func concentration(alpha []float64) (c, dc []float64) {
	c, dc = make([]float64, len(alpha)), make([]float64, len(alpha))
	for i, a := range alpha {
		if a > 0 {
			c[i], dc[i] = a+1, 1
		} else {
			dc[i] = math.Exp(a)
			c[i] = max(dc[i], minConcentration)
		}
	}
	return c, dc
}
