package relax

import (
	"math"

	"github.com/entangle-nas/entangle/internal/rng"
)

// logGamma draws the logarithm of a Gamma(shape, 1) variable by Marsaglia and
// Tsang's method ("A simple method for generating gamma variables", 2000). Below
// shape 1 it draws at shape+1 and adds log(u)/shape, so that values far under the
// smallest float64 keep their logarithm.
func logGamma(shape float64, r *rng.Stream) float64 {
	boost := 0.0
	if shape < 1 {
		boost = -r.ExpFloat64() / shape
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d*(1-v+math.Log(v)) {
			return math.Log(d) + math.Log(v) + boost
		}
	}
}

// logGammaSlope returns d log z / d shape at a fixed quantile of Gamma(shape, 1):
// the implicit gradient −(∂F/∂shape)/(z·pdf) of Figurnov, Mohamed and Mnih,
// "Implicit Reparameterization Gradients" (2018), given log z.
//
// For z ≤ max(shape, 1) it differentiates the series of the lower incomplete gamma
// function; beyond, it integrates the upper one, where the series would cancel.
func logGammaSlope(shape, logz float64) float64 {
	if z := math.Exp(logz); z > max(shape, 1) {
		return upperSlope(shape, z)
	}
	return lowerSlope(shape, logz)
}

// lowerSlope sums, with t₀ = 1/a and tₙ = tₙ₋₁·z/(a+n),
//
//	Σ tₙ·(ψ(a+1) − log z + Hₙ),  Hₙ = Σ_{j=1..n} 1/(a+j).
func lowerSlope(a, logz float64) float64 {
	z := math.Exp(logz)
	base := digamma(a+1) - logz
	t, h := 1/a, 0.0
	sum := t * base
	for n := 1.0; ; n++ {
		h += 1 / (a + n)
		t *= z / (a + n)
		add := t * (base + h)
		sum += add
		if n > z && math.Abs(add) <= 1e-17*math.Abs(sum) || t == 0 {
			return sum
		}
	}
}

// upperSlope integrates (1/z)·∫₀^∞ (1+s/z)^(a−1)·(log z − ψ(a) + log(1+s/z))·e^(−s) ds
// by Gauss–Legendre on panels that grow with s.
func upperSlope(a, z float64) float64 {
	base := math.Log(z) - digamma(a)
	f := func(s float64) float64 {
		l := math.Log1p(s / z)
		return math.Exp((a-1)*l-s) * (base + l)
	}
	var sum float64
	for lo, width := 0.0, 0.5; ; lo, width = lo+width, width*1.25 {
		var panel float64
		for i, x := range legendreX {
			panel += legendreW[i] * (f(lo+width*(0.5-x/2)) + f(lo+width*(0.5+x/2)))
		}
		panel *= width / 2
		sum += panel
		if math.Abs(panel) <= 1e-17*math.Abs(sum) {
			return sum / z
		}
	}
}

// Positive nodes and their weights of the eight-point Gauss–Legendre rule on [−1, 1].
var (
	legendreX = [...]float64{0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363}
	legendreW = [...]float64{0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763}
)

// digamma returns ψ(x) = d log Γ(x)/dx for x > 0.
func digamma(x float64) float64 {
	var s float64
	for ; x < 10; x++ {
		s -= 1 / x
	}
	y := 1 / (x * x)
	return s + math.Log(x) - 0.5/x - y*(1.0/12-y*(1.0/120-y*(1.0/252-y*(1.0/240-y*(1.0/132-y*691.0/32760)))))
}
