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
