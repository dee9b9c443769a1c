package relax

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

func TestListIsValid(t *testing.T) {
	if err := Validate(All()); err != nil {
		t.Error(err)
	}
	if _, err := ByName(Default); err != nil {
		t.Error(err)
	}
	bad := append(All(), Relaxation{Name: Default})
	if err := Validate(bad); err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), "Sample") || !strings.Contains(err.Error(), "Gradient") {
		t.Errorf("want the faults of a double, empty entry, got %v", err)
	}
	if _, err := ByName("nothing"); err == nil || !strings.Contains(err.Error(), "gdas") {
		t.Errorf("want an error that lists the names, got %v", err)
	}
}

func TestCoefficientsLieOnTheSimplex(t *testing.T) {
	for _, x := range All() {
		for _, alpha := range [][]float64{{0.3}, {0, 0}, {5, -3, 0.1, 0}, {-40, -40, -40}, {700, -700, 0}} {
			r := rng.New(7, "test/"+x.Name)
			for k := range 50 {
				w, back := x.Sample(alpha, r, float64(k)/49)
				mean := x.Mean(alpha)
				for name, c := range map[string][]float64{"sample": w, "mean": mean} {
					var sum float64
					for _, v := range c {
						if !(v >= 0) {
							t.Fatalf("%s: %s of %v: want at least 0, got %v", x.Name, name, alpha, c)
						}
						sum += v
					}
					if len(c) != len(alpha) || math.Abs(sum-1) > 1e-12 {
						t.Fatalf("%s: %s of %v: want a sum of 1, got %v", x.Name, name, alpha, c)
					}
				}
				g := make([]float64, len(alpha))
				for i := range g {
					g[i] = float64(i) - 0.5
				}
				if d := back(g); !finite(d) || len(d) != len(alpha) {
					t.Fatalf("%s: gradient of %v at %v: got %v", x.Name, alpha, w, d)
				}
			}
		}
	}
}

func TestRerunIsBitEqual(t *testing.T) {
	for _, x := range All() {
		run := func() (out []float64) {
			alpha, r := Init(5, rng.New(3, "alpha")), rng.New(3, "relax")
			for k := range 20 {
				w, back := x.Sample(alpha, r, float64(k)/19)
				out = append(append(out, w...), back(w)...)
			}
			return out
		}
		if a, b := run(), run(); !slices.Equal(a, b) {
			t.Errorf("%s: two runs of one seed differ", x.Name)
		}
	}
}

// TestResumedStreamContinues stops between two samples and goes on from the stored stream.
func TestResumedStreamContinues(t *testing.T) {
	alpha := []float64{0.1, -0.4, 0.2}
	for _, x := range All() {
		r := rng.New(3, "relax")
		x.Sample(alpha, r, 0)
		state := r.State()
		want, _ := x.Sample(alpha, r, 0.5)
		other := rng.New(99, "other")
		if err := other.Restore(state); err != nil {
			t.Fatal(err)
		}
		if got, _ := x.Sample(alpha, other, 0.5); !slices.Equal(got, want) {
			t.Errorf("%s: want %v after a restore, got %v", x.Name, want, got)
		}
	}
}

func TestMeanBackward(t *testing.T) {
	alpha, g := []float64{0.7, -0.3, 0.2, -1.1}, []float64{1, -2, 0.5, 3}
	for _, x := range All() {
		got := x.MeanBackward(alpha, g)
		want := differences(alpha, func(a []float64) float64 { return dot(x.Mean(a), g) })
		near(t, x.Name, got, want, 1e-8)
	}
}

func TestSparsemaxByHand(t *testing.T) {
	for _, c := range []struct{ alpha, want []float64 }{
		{[]float64{0, 0}, []float64{0.5, 0.5}},
		{[]float64{1, 0}, []float64{1, 0}},
		{[]float64{0.5, 0.1, -1}, []float64{0.7, 0.3, 0}},
		{[]float64{-3, 7, 6.5}, []float64{0, 0.75, 0.25}},
	} {
		w, back := sparsemax.Sample(c.alpha, nil, 0)
		near(t, "coefficients", w, c.want, 1e-15)
		d := back([]float64{3, 1, 10}[:len(w)])
		for i, v := range w {
			if v == 0 && d[i] != 0 {
				t.Errorf("%v: want no gradient off the support, got %v", c.alpha, d)
			}
		}
	}
	_, back := sparsemax.Sample([]float64{0.5, 0.1, -1}, nil, 0)
	near(t, "gradient", back([]float64{3, 1, 10}), []float64{1, -1, 0}, 0)
}

func TestGDASSchedule(t *testing.T) {
	for _, c := range []struct{ progress, want float64 }{{0, 10}, {0.5, 5.05}, {1, 0.1}, {2, 0.1}} {
		if got := Temperature(c.progress); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("temperature at %v: want %v, got %v", c.progress, c.want, got)
		}
	}
}

func TestOneHotSamplersFollowTheirDistribution(t *testing.T) {
	const n = 20000
	alpha := []float64{1, 0, -0.5, 0.2}
	for _, c := range []struct {
		x    Relaxation
		want []float64
	}{{gdas, softmax(alpha, 1)}, {reinmax, softmax(alpha, 1)}, {spos, []float64{.25, .25, .25, .25}}} {
		r, count := rng.New(1, "test"), make([]float64, 4)
		for range n {
			w, _ := c.x.Sample(alpha, r, 0.3)
			count[Argmax(w)]++
			if slices.Max(w) != 1 {
				t.Fatalf("%s: want a one-hot, got %v", c.x.Name, w)
			}
		}
		var chi float64
		for i, v := range count {
			chi += (v - n*c.want[i]) * (v - n*c.want[i]) / (n * c.want[i])
		}
		if chi > 16.27 { // 0.1 % point for 3 degrees of freedom
			t.Errorf("%s: want frequencies %v, got counts %v (chi-square %v)", c.x.Name, c.want, count, chi)
		}
	}
}

// TestReinMaxIsExactForQuadratics sums the estimate over all draws.
func TestReinMaxIsExactForQuadratics(t *testing.T) {
	alpha := []float64{0.4, -0.9, 0.1}
	q := [3][3]float64{{2, 0.3, -1}, {0.3, -1, 0.7}, {-1, 0.7, 0.5}}
	lin := []float64{1, -2, 0.4}
	value := func(k int) float64 { return q[k][k]/2 + lin[k] }
	p := softmax(alpha, 1)
	got := make([]float64, 3)
	for k := range p {
		g := make([]float64, 3)
		for i := range g {
			g[i] = q[i][k] + lin[i]
		}
		for i, v := range reinmaxBackward(p, k, g) {
			got[i] += p[k] * v
		}
	}
	want := differences(alpha, func(a []float64) float64 {
		return dot(softmax(a, 1), []float64{value(0), value(1), value(2)})
	})
	near(t, "expected gradient", got, want, 1e-8)
}

func TestNotFiniteShows(t *testing.T) {
	for _, x := range All() {
		if x.Gradient == None {
			continue
		}
		w, _ := x.Sample([]float64{math.NaN(), 0}, rng.New(1, "x"), 0)
		if finite(w) {
			t.Errorf("%s: want coefficients that are not finite, got %v", x.Name, w)
		}
	}
}

func TestArgmax(t *testing.T) {
	for _, c := range []struct {
		alpha []float64
		want  int
	}{{[]float64{1}, 0}, {[]float64{1, 3, 3}, 1}, {[]float64{-5, -2, -9}, 1}, {[]float64{math.NaN(), -1}, 1}} {
		if got := Argmax(c.alpha); got != c.want {
			t.Errorf("argmax of %v: want %d, got %d", c.alpha, c.want, got)
		}
	}
}

func TestInit(t *testing.T) {
	var sum float64
	a := Init(10000, rng.New(1, "alpha"))
	for _, v := range a {
		sum += v * v
	}
	if sd := math.Sqrt(sum / 10000); math.Abs(sd-1e-3) > 5e-5 {
		t.Errorf("want a deviation of 10⁻³, got %v", sd)
	}
}

// TestToyProblem descends on a loss whose best choice is known.
func TestToyProblem(t *testing.T) {
	cost := []float64{0.9, 0.2, 0.6, 0.7}
	for _, x := range All() {
		if x.Gradient == None {
			continue
		}
		alpha, r := Init(4, rng.New(1, "alpha")), rng.New(1, "relax")
		for k := range 2000 {
			_, back := x.Sample(alpha, r, float64(k)/1999)
			for i, d := range back(cost) {
				alpha[i] -= 0.1 * d
			}
		}
		if Argmax(alpha) != 1 {
			t.Errorf("%s: want choice 1, got %v", x.Name, alpha)
		}
	}
}

func differences(x []float64, f func([]float64) float64) []float64 {
	const h = 1e-6
	d := make([]float64, len(x))
	for i := range x {
		a, b := slices.Clone(x), slices.Clone(x)
		a[i] += h
		b[i] -= h
		d[i] = (f(a) - f(b)) / (2 * h)
	}
	return d
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || math.Abs(got[i]-want[i]) > tol {
			t.Errorf("%s: want %v, got %v", what, want, got)
			return
		}
	}
}
