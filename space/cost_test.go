package space_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// pick leaves n random dims of a space.
func pick(s *space.Space, n int, r *rand.Rand) *space.Space {
	out := &space.Space{Source: s.Source}
	for _, i := range r.Perm(len(s.Dims))[:min(n, len(s.Dims))] {
		out.Dims = append(out.Dims, s.Dims[i])
	}
	return out
}

// every calls f with every choice vector whose coefficients are not 0.
func every(coef [][]float64, f func(choice []int, p float64)) {
	choice := make([]int, len(coef))
	var walk func(d int, p float64)
	walk = func(d int, p float64) {
		if d == len(coef) {
			f(choice, p)
			return
		}
		for k, q := range coef[d] {
			if q != 0 {
				choice[d] = k
				walk(d+1, p*q)
			}
		}
	}
	walk(0, 1)
}

// checkExpect compares Expect with the enumeration of all choices, and its
// gradient with differences, which are exact: the cost is linear in each coefficient.
func checkExpect(t *testing.T, name string, c *space.CostModel, coef [][]float64) {
	t.Helper()
	want := 0.0
	every(coef, func(choice []int, p float64) { want += p * c.At(choice) })
	got, grad := c.Expect(coef)
	if math.Abs(got-want) > 1e-9*want {
		t.Errorf("%s: %s: expected cost: want %.12g, got %.12g", name, c.Metric.Name, want, got)
	}
	for d, row := range coef {
		for k, p := range row {
			const step = 0.25
			row[k] = p + step
			high, _ := c.Expect(coef)
			row[k] = p - step
			low, _ := c.Expect(coef)
			row[k] = p
			if slope := (high - low) / (2 * step); math.Abs(slope-grad[d][k]) > 1e-9*(want+math.Abs(slope)) {
				t.Errorf("%s: %s: gradient of choice %d of dim %d: want %.12g, got %.12g", name, c.Metric.Name, k, d, slope, grad[d][k])
			}
		}
	}
}

// checkBound compares Expect of a largest sum with the enumeration of all choices: it is
// no more, and the plain price where one choice is left. Its gradient lies between the
// slopes to both sides, which differ where two sums are the largest: each is linear in
// every coefficient.
func checkBound(t *testing.T, name string, c *space.CostModel, coef [][]float64, r *rand.Rand) {
	t.Helper()
	mean := 0.0
	every(coef, func(choice []int, p float64) { mean += p * c.At(choice) })
	got, grad := c.Expect(coef)
	if got > mean*(1+1e-12) || got < 0.5*mean {
		t.Errorf("%s: %s: want a bound not far below the expectation %g, got %g", name, c.Metric.Name, mean, got)
	}
	for d, row := range coef {
		for k, p := range row {
			const step = 1e-6
			row[k] = p + step
			high, _ := c.Expect(coef)
			row[k] = p - step
			low, _ := c.Expect(coef)
			row[k] = p
			left, right, slack := (got-low)/step, (high-got)/step, 1e-6*mean
			if grad[d][k] < left-slack || grad[d][k] > right+slack {
				t.Errorf("%s: %s: gradient of choice %d of dim %d: want a slope from %g to %g, got %g", name, c.Metric.Name, k, d, left, right, grad[d][k])
			}
		}
	}
	for range 20 {
		choice, vertex := make([]int, len(coef)), make([][]float64, len(coef))
		for d, row := range coef {
			choice[d], vertex[d] = r.IntN(len(row)), make([]float64, len(row))
			vertex[d][choice[d]] = 1
		}
		if got, _ := c.Expect(vertex); got != c.At(choice) {
			t.Errorf("%s: %s at %v: want %g, got %g", name, c.Metric.Name, choice, c.At(choice), got)
		}
	}
}

// TestExpectIsEnumeration: on small spaces over every tiny network.
func TestExpectIsEnumeration(t *testing.T) {
	several := 0
	for i, e := range networks() {
		r := rand.New(rand.NewPCG(11, uint64(i)))
		an := analysed(t, e.Name, models.Options{})
		s := pick(offered(t, an, space.Options{Divisor: 1}), 6, r)
		scramble(s, 3, r)
		costs, err := entangled(t, an, s, space.Every).Costs()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range space.Metrics {
			if c := costs[m.Name]; c.Sums() == 1 {
				checkExpect(t, e.Name, c, simplex(s, r))
			} else {
				checkBound(t, e.Name, c, simplex(s, r), r)
				several++
			}
		}
	}
	if several == 0 {
		t.Error("no metric is the largest of several sums")
	}
}

// TestProductForm: a joint of many branches has more combinations than a table
// holds. Its cost is still that of the extracted subnet, and its expectation that
// of the enumeration, although its kernel and the stream's width stand on two axes each.
func TestProductForm(t *testing.T) {
	an := analysed(t, "knot", models.Options{Width: 9, Depth: 5})
	s := offered(t, an, space.Options{Divisor: 1, MinRatio: 0.1})
	net := entangled(t, an, s, space.Every)
	r := rand.New(rand.NewPCG(3, 1))
	for _, m := range []string{space.MACs, space.Params, space.Bytes, space.Peak} {
		c, err := net.Cost(m)
		if err != nil {
			t.Fatal(err)
		}
		if c.Products() == 0 {
			t.Fatalf("%s: no term in product form", m)
		}
		for range 5 {
			choice := make([]int, len(s.Dims))
			coef := make([][]float64, len(s.Dims))
			for d, dim := range s.Dims {
				choice[d] = r.IntN(len(dim.Choices))
				coef[d] = make([]float64, len(dim.Choices))
				p := 0.2 + 0.6*r.Float64()
				if d >= 8 {
					p = 1
				}
				coef[d][r.IntN(len(dim.Choices))] += p
				coef[d][r.IntN(len(dim.Choices))] += 1 - p
			}
			if m == space.Peak {
				checkBound(t, "knot", c, coef, r)
				continue // subnet.TestPeakOfSkippedBranches counts what a subnet holds
			}
			checkExpect(t, "knot", c, coef)
			cut, err := subnet.Cut(net, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := ops.InferModel(cut, map[string]int{"batch": 1})
			if err != nil {
				t.Fatal(err)
			}
			price := ops.ModelCost(cut, f)
			want := map[string]float64{space.MACs: price.MACs, space.Params: float64(price.Params), space.Bytes: c.At(choice)}[m]
			if got := c.At(choice); math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s at %v: the extracted subnet has %g, the cost model says %g", m, choice, want, got)
			}
		}
	}
}
