package relax

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

func TestConcentration(t *testing.T) {
	c, dc := concentration([]float64{2, 0, -1, -1000})
	near(t, "c", c, []float64{3, 1, math.Exp(-1), minConcentration}, 1e-15)
	near(t, "dc", dc, []float64{1, 1, math.Exp(-1), 0}, 1e-15)
}

func TestDirichletMoments(t *testing.T) {
	const n = 100000
	alpha := []float64{1.5, 0, -1.2}
	c, _ := concentration(alpha)
	var sum float64
	for _, v := range c {
		sum += v
	}
	r := rng.New(1, "test/dirichlet")
	mean, square := make([]float64, 3), make([]float64, 3)
	for range n {
		w, _ := drnas.Sample(alpha, r, 0)
		for i, v := range w {
			mean[i] += v / n
			square[i] += v * v / n
		}
	}
	for i := range c {
		m := c[i] / sum
		v := m * (1 - m) / (sum + 1)
		if math.Abs(mean[i]-m) > 5*math.Sqrt(v/n) {
			t.Errorf("choice %d: want mean %v, got %v", i, m, mean[i])
		}
		if got := square[i] - mean[i]*mean[i]; math.Abs(got-v) > 0.03*v {
			t.Errorf("choice %d: want variance %v, got %v", i, v, got)
		}
	}
	near(t, "Mean", drnas.Mean(alpha), []float64{c[0] / sum, c[1] / sum, c[2] / sum}, 1e-15)
}

// TestPathwiseGradient averages the gradient of g(w) over many samples and
// compares it with the derivative of E[g(w)], known in closed form:
// E[w_i] = c_i/s and E[w_i w_j] = c_i (c_j + [i=j]) / (s(s+1)).
func TestPathwiseGradient(t *testing.T) {
	const n = 50000
	lin := []float64{1, -2, 0.5}
	q := [3][3]float64{{1, 0.5, -0.3}, {0.5, -2, 0.8}, {-0.3, 0.8, 3}}
	expected := func(alpha []float64) float64 {
		c, _ := concentration(alpha)
		s := c[0] + c[1] + c[2]
		var e float64
		for i := range c {
			e += lin[i] * c[i] / s
			for j := range c {
				m := c[i] * c[j]
				if i == j {
					m += c[i]
				}
				e += q[i][j] * m / (s * (s + 1))
			}
		}
		return e
	}
	for _, alpha := range [][]float64{{0, 0, 0.001}, {2, 0.5, -0.7}, {-2, -3, -1}} {
		r := rng.New(11, "test/pathwise")
		sum, square := make([]float64, 3), make([]float64, 3)
		for range n {
			w, back := drnas.Sample(alpha, r, 0)
			g := make([]float64, 3)
			for i := range g {
				g[i] = lin[i]
				for j := range w {
					g[i] += 2 * q[i][j] * w[j]
				}
			}
			for i, v := range back(g) {
				sum[i] += v / n
				square[i] += v * v / n
			}
		}
		want := differences(alpha, expected)
		for i := range want {
			deviation := math.Sqrt((square[i] - sum[i]*sum[i]) / n)
			if math.Abs(sum[i]-want[i]) > 5*deviation || deviation > 0.04 {
				t.Errorf("alpha %v, entry %d: want %v, got %v ± %v", alpha, i, want[i], sum[i], deviation)
			}
		}
	}
}

func TestSmallConcentrationsAreStable(t *testing.T) {
	r := rng.New(1, "test/small")
	count := make([]int, 3)
	for range 3000 {
		w, back := drnas.Sample([]float64{-15, -15, -15}, r, 0)
		count[Argmax(w)]++
		if w[Argmax(w)] < 0.999 {
			t.Fatalf("want nearly a one-hot, got %v", w)
		}
		if d := back([]float64{1, -1, 2}); !finite(d) || math.Abs(d[0])+math.Abs(d[1])+math.Abs(d[2]) > 1e3 {
			t.Fatalf("gradient: got %v", d)
		}
	}
	for i, n := range count {
		if n < 850 || n > 1150 {
			t.Errorf("choice %d: want about a third of 3000, got %d", i, n)
		}
	}
}

func TestDirichletKL(t *testing.T) {
	value, grad := dirichletKL([]float64{0, 0, 0, 0})
	if math.Abs(value) > 1e-14 {
		t.Errorf("want 0 at concentration 1, got %v", value)
	}
	near(t, "gradient at concentration 1", grad, []float64{0, 0, 0, 0}, 1e-14)

	alpha := []float64{1.2, -0.8, 0.3}
	value, grad = dirichletKL(alpha)
	near(t, "gradient", grad, differences(alpha, func(a []float64) float64 {
		v, _ := dirichletKL(a)
		return v
	}), 1e-8)

	// KL(p ‖ 1) = E_p[log p(w)] − log Γ(3), by sampling.
	c, _ := concentration(alpha)
	r := rng.New(1, "test/kl")
	const n = 100000
	var mean float64
	for range n {
		w, _ := drnas.Sample(alpha, r, 0)
		logp := lgamma(c[0] + c[1] + c[2])
		for i, v := range w {
			logp += (c[i]-1)*math.Log(v) - lgamma(c[i])
		}
		mean += (logp - lgamma(3)) / n
	}
	if math.Abs(mean-value) > 0.02 {
		t.Errorf("want about %v, got %v", mean, value)
	}
}
