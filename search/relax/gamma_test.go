package relax

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

// lowerIncomplete returns the distribution function of Gamma(a, 1) at z by
// Simpson's rule, after a substitution without a pole: u = t^a for a ≤ 1, u⁴ = t above.
func lowerIncomplete(a, z float64) float64 {
	const n = 10000
	top := math.Pow(z, a)
	f := func(u float64) float64 { return math.Exp(-math.Pow(u, 1/a)) / a }
	if a > 1 {
		top = math.Pow(z, 0.25)
		f = func(u float64) float64 { return 4 * math.Pow(u, 4*a-1) * math.Exp(-u*u*u*u) }
	}
	h := top / n
	sum := f(0) + f(top)
	for i := 1; i < n; i++ {
		sum += float64(2+2*(i%2)) * f(float64(i)*h)
	}
	return sum * h / 3 / math.Gamma(a)
}

func TestLogGammaSlope(t *testing.T) {
	for _, a := range []float64{0.05, 0.3, 0.9, 1.4, 3, 7.5} {
		for _, z := range []float64{1e-6, 0.02, 0.4, 0.99, 1.01, 2.5, 8, 20} {
			const h = 1e-4
			dF := (lowerIncomplete(a+h, z) - lowerIncomplete(a-h, z)) / (2 * h)
			logpdf := (a-1)*math.Log(z) - z - lgamma(a)
			want := -dF / math.Exp(logpdf) / z
			// Where both sides of the difference are within rounding of 1 it says nothing.
			if 1-lowerIncomplete(a, z) < 1e-5 {
				continue
			}
			if got := logGammaSlope(a, math.Log(z)); math.Abs(got-want) > 2e-4*(math.Abs(want)+0.01) {
				t.Errorf("a %v, z %v: want %v, got %v", a, z, want, got)
			}
		}
	}
}

func TestLogGammaSlopeIsContinuous(t *testing.T) {
	for _, a := range []float64{1e-6, 1e-3, 0.1, 0.5, 1, 1.5, 2, 5, 20, 100, 1000} {
		z := max(a, 1)
		below, above := lowerSlope(a, math.Log(z)), upperSlope(a, z)
		if math.Abs(below-above) > 1e-10*math.Abs(below) {
			t.Errorf("a %v: series %v, integral %v", a, below, above)
		}
	}
}

func TestLogGammaSlopeOfExponential(t *testing.T) {
	// For small z, F ≈ z^a/Γ(a+1), so the slope tends to (ψ(a+1) − log z)/a.
	for _, a := range []float64{1e-8, 1e-3, 0.2} {
		for _, logz := range []float64{-50, -1e4, -1e9} {
			want := (digamma(a+1) - logz) / a
			if got := logGammaSlope(a, logz); math.Abs(got-want) > 1e-12*want {
				t.Errorf("a %v, log z %v: want %v, got %v", a, logz, want, got)
			}
		}
	}
}

func TestLogGammaMoments(t *testing.T) {
	const n = 200000
	for _, a := range []float64{0.2, 0.7, 1, 2.5, 9} {
		r := rng.New(1, "test/gamma")
		var mean, square float64
		for range n {
			z := math.Exp(logGamma(a, r))
			mean += z / n
			square += z * z / n
		}
		if math.Abs(mean-a) > 5*math.Sqrt(a/n) {
			t.Errorf("shape %v: want mean %v, got %v", a, a, mean)
		}
		if v := square - mean*mean; math.Abs(v-a) > 0.05*a {
			t.Errorf("shape %v: want variance %v, got %v", a, a, v)
		}
	}
}

func TestDigamma(t *testing.T) {
	const euler = 0.5772156649015329
	for _, c := range []struct{ x, want float64 }{{1, -euler}, {0.5, -euler - 2*math.Ln2}, {2, 1 - euler}} {
		if got := digamma(c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("ψ(%v): want %v, got %v", c.x, c.want, got)
		}
		const h = 1e-5
		if got, want := digamma(c.x), (lgamma(c.x+h)-lgamma(c.x-h))/(2*h); math.Abs(got-want) > 1e-8 {
			t.Errorf("ψ(%v): want the slope %v of log Γ, got %v", c.x, want, got)
		}
	}
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}
