package relax

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

// TestNoGradient: the gradients of a relaxation that declares none are zeros.
func TestNoGradient(t *testing.T) {
	for _, x := range declared(t, None) {
		r := rng.New(1, "test/none")
		for _, alpha := range [][]float64{{0.3}, {1, 2}, {-1, 0, 4}} {
			_, back := x.Sample(alpha, r, 0.5)
			g := []float64{3, -4, 0.5}[:len(alpha)]
			if d := back(g); !slices.Equal(d, make([]float64, len(alpha))) {
				t.Errorf("%s: want zeros at %v, got %v", x.Name, alpha, d)
			}
		}
	}
}

// surrogates are the functions of the papers: what Backward differentiates at x = alpha
// in place of the coefficients w, which were drawn there from a stream in the state of r.
var surrogates = map[string]func(alpha, w []float64, r *rng.Stream, progress float64) func(x []float64) []float64{
	// Dong and Yang 2019, section 3.2: h_k ∝ exp((log p_k + o_k)/τ), with p_k ∝ exp(x_k)
	// and o_k = −log(−log u), τ falling linearly from 10 to 0.1.
	"gdas": func(alpha, _ []float64, r *rng.Stream, progress float64) func([]float64) []float64 {
		o := make([]float64, len(alpha))
		for k := range o {
			o[k] = -math.Log(r.ExpFloat64()) // −log u is exponential
		}
		return func(x []float64) []float64 {
			p, h := shares(x), make([]float64, len(x))
			for k := range h {
				h[k] = (math.Log(p[k]) + o[k]) / (10 - 9.9*progress)
			}
			return shares(h)
		}
	},
	// Liu et al. 2023, algorithm 2: π₁ = (D + softmax(θ))/2, then
	// π₁ = softmax(stop(log π₁ − θ) + θ), and π₂ = 2π₁ − π₀/2 takes D's place.
	"reinmax": func(alpha, w []float64, _ *rng.Stream, _ float64) func([]float64) []float64 {
		stopped := shares(alpha)
		for k := range stopped {
			stopped[k] = math.Log((w[k]+stopped[k])/2) - alpha[k]
		}
		return func(x []float64) []float64 {
			theta := slices.Clone(x)
			for k := range theta {
				theta[k] += stopped[k]
			}
			p0, p1 := shares(x), shares(theta)
			for k := range p1 {
				p1[k] = 2*p1[k] - p0[k]/2
			}
			return p1
		}
	},
}

// TestSurrogateGradient compares each draw's gradient with differences of the surrogate.
func TestSurrogateGradient(t *testing.T) {
	g := []float64{2, -1, 0.3, 1.2}
	for _, x := range declared(t, Surrogate) {
		surrogate := surrogates[x.Name]
		if surrogate == nil {
			t.Errorf("%s: want its surrogate in this test, got none", x.Name)
			continue
		}
		for _, alpha := range [][]float64{{0.5, -0.2}, {0.7, -0.3, 0.2, 0.4}, {-2, 1, 0.5}} {
			r, same := rng.New(5, "test/surrogate"), rng.New(5, "test/surrogate")
			for k := range 30 {
				progress := float64(k) / 32
				if err := same.Restore(r.State()); err != nil {
					t.Fatal(err)
				}
				w, back := x.Sample(alpha, r, progress)
				f := surrogate(alpha, w, same, progress)
				want := differences(alpha, func(a []float64) float64 { return dot(f(a), g[:len(a)]) })
				near(t, x.Name, back(g[:len(alpha)]), want, 1e-6)
			}
		}
	}
}

// TestGDASTakesTheLargest: the coefficients are the vertex nearest to the surrogate.
func TestGDASTakesTheLargest(t *testing.T) {
	alpha := []float64{0.5, -0.2, 0.1}
	r, same := rng.New(5, "test/gdas"), rng.New(5, "test/gdas")
	for range 20 {
		w, _ := gdas.Sample(alpha, r, 0.9)
		h := surrogates["gdas"](alpha, w, same, 0.9)(alpha)
		if want := OneHot(3, Argmax(h)); !slices.Equal(w, want) {
			t.Errorf("want the one-hot %v, got %v", want, w)
		}
	}
}

// smooth is a function of coefficients, and its gradient.
func smooth(w []float64) (value float64, grad []float64) {
	grad = make([]float64, len(w))
	for i, v := range w {
		a, b := []float64{1, -2, 0.5, 1.5}[i], []float64{-0.5, 0.8, 1, -1}[i]
		value += a*v + b*math.Sin(3*v)
		grad[i] = a + 3*b*math.Cos(3*v)
	}
	return value + w[0]*w[1], append([]float64{grad[0] + w[1], grad[1] + w[0]}, grad[2:]...)
}

// TestPathwiseGradient averages over draws, within five standard errors: the gradient
// of a smooth function of the coefficients less its differences at equal noise, and
// the gradient of a linear one against that of the exact mean. No draw need agree on
// its own: drnas rejects, so that its noise is not a function of the stream alone.
func TestPathwiseGradient(t *testing.T) {
	const draws, bias = 20000, 1e-4 // of the differences
	lin := []float64{1, -2, 0.5, 3}
	for _, x := range declared(t, Pathwise) {
		// Within two steps no entry of sparsemax joins or leaves the support, and drnas
		// keeps its way of drawing.
		for _, alpha := range [][]float64{{-0.4, 0.3}, {0.7, -0.45, 0.2, 0.4}, {2, 1.5, -0.7}, {-1, -2.5, -0.5}} {
			r, same := rng.New(11, "test/pathwise"), rng.New(11, "test/pathwise")
			excess, size, slope := newSample(alpha), newSample(alpha), newSample(alpha)
			for k := range draws {
				progress := float64(k) / draws
				state := r.State()
				w, back := x.Sample(alpha, r, progress)
				_, g := smooth(w)
				want := slopes(alpha, func(a []float64) float64 {
					if err := same.Restore(state); err != nil {
						t.Fatal(err)
					}
					w, _ := x.Sample(a, same, progress)
					v, _ := smooth(w)
					return v
				})
				got := back(g)
				for i := range got {
					got[i] -= want[i]
				}
				excess.add(got)
				size.add(want)
				slope.add(back(lin[:len(alpha)]))
			}
			exact := differences(alpha, func(a []float64) float64 { return dot(x.Mean(a), lin[:len(a)]) })
			off, offError := excess.mean()
			want, _ := size.mean()
			got, gotError := slope.mean()
			for i := range alpha {
				if math.Abs(off[i]) > 5*offError[i]+bias {
					t.Errorf("%s at %v, entry %d: want a mean of %v, got %v ± %v", x.Name, alpha, i, want[i], want[i]+off[i], offError[i])
				}
				if math.Abs(got[i]-exact[i]) > 5*gotError[i]+bias {
					t.Errorf("%s at %v, entry %d, of the mean: want %v, got %v ± %v", x.Name, alpha, i, exact[i], got[i], gotError[i])
				}
			}
			// A bound that a factor of 1.1 could pass says nothing.
			if 5*slices.Max(offError)+bias > 0.1*largest(want) || 5*slices.Max(gotError)+bias > 0.1*largest(exact) {
				t.Errorf("%s at %v: standard errors of %v and %v are too large to judge %v and %v", x.Name, alpha, offError, gotError, want, exact)
			}
		}
	}
}

// declared returns the relaxations whose gradient is of that kind, at least one.
func declared(t *testing.T, kind Gradient) []Relaxation {
	t.Helper()
	list := slices.DeleteFunc(All(), func(x Relaxation) bool { return x.Gradient != kind })
	if len(list) == 0 {
		t.Errorf("no relaxation with a gradient of kind %q", kind)
	}
	return list
}

// shares returns exp(x) over its sum.
func shares(x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(v)
	}
	p := make([]float64, len(x))
	for k, v := range x {
		p[k] = math.Exp(v) / sum
	}
	return p
}

// slopes returns f's derivatives by differences of fourth order, with a step so wide
// that draws which jump within it do not drown the rest.
func slopes(x []float64, f func([]float64) float64) []float64 {
	const h = 0.05
	d := make([]float64, len(x))
	for i := range x {
		at := func(step float64) float64 {
			a := slices.Clone(x)
			a[i] += step
			return f(a)
		}
		d[i] = (8*(at(h)-at(-h)) - at(2*h) + at(-2*h)) / (12 * h)
	}
	return d
}

// sample gathers the moments of vectors.
type sample struct {
	n           float64
	sum, square []float64
}

func newSample(like []float64) *sample {
	return &sample{sum: make([]float64, len(like)), square: make([]float64, len(like))}
}

func (s *sample) add(v []float64) {
	s.n++
	for i := range v {
		s.sum[i] += v[i]
		s.square[i] += v[i] * v[i]
	}
}

// mean returns the means and their standard errors.
func (s *sample) mean() (mean, deviation []float64) {
	for i := range s.sum {
		m := s.sum[i] / s.n
		mean = append(mean, m)
		deviation = append(deviation, math.Sqrt(max(s.square[i]/s.n-m*m, 0)/s.n))
	}
	return mean, deviation
}

// largest returns the largest magnitude.
func largest(x []float64) float64 { return max(slices.Max(x), -slices.Min(x)) }
