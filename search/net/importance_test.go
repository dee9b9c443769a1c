package net_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// TestOrderTaylor: the order agrees in rank with what cutting each unit alone
// does: to the loss when there are labels, to the outputs when there are none.
func TestOrderTaylor(t *testing.T) {
	for _, c := range []struct {
		name      string
		objective net.Objective
		least     float64
	}{
		{"labels", net.Objective{Labels: 1, Temperature: 1}, 0.7},
		{"outputs", net.Objective{Distill: 1, Temperature: 1}, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := runtest.New(t, "vgg-small-tiny")
			b.Job.Space.Options = space.Options{Divisor: 1, Kinds: []string{"width"}}
			p := b.Plan(t)
			n, err := net.NewNetworkOn(p.Model, 16, b.Set, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			if err := net.Order(ctx, b.Be, n, n, p.An, p.Space, "taylor", p.Views.Weights, c.objective, 32, 1, nil); err != nil {
				t.Fatal(err)
			}
			whole, err := net.Evaluate(ctx, b.Be, n, p.Views.Weights)
			if err != nil {
				t.Fatal(err)
			}
			sum, dims := 0.0, 0
			for _, d := range p.Space.Dims {
				units := len(d.Order)
				if units < 6 {
					continue
				}
				rank, harm := make([]float64, units), make([]float64, units)
				for r, u := range d.Order {
					rank[u] = -float64(r)
					less := runtest.Without(t, b, p, d, u)
					if c.objective.Labels > 0 {
						s, err := net.Evaluate(ctx, b.Be, less, p.Views.Weights)
						if err != nil {
							t.Fatal(err)
						}
						harm[u] = math.Abs(s.Loss - whole.Loss)
						continue
					}
					f, err := net.Compare(ctx, b.Be, less, n, p.Views.Weights)
					if err != nil {
						t.Fatal(err)
					}
					harm[u] = f.Error
				}
				rho := correlation(rank, ranks(harm))
				t.Logf("%s: rank correlation %.2f", d.Name, rho)
				sum += rho
				dims++
			}
			if dims == 0 || sum/float64(dims) < c.least {
				t.Errorf("mean rank correlation over %d widths: want at least %g, got %g", dims, c.least, sum/float64(dims))
			}
		})
	}
}

// ranks returns the position of each entry in ascending order.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if x[a] < x[b] {
			return -1
		}
		return 1
	})
	out := make([]float64, len(x))
	for r, i := range order {
		out[i] = float64(r)
	}
	return out
}

func correlation(a, b []float64) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(a))
	}
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	return ab / math.Sqrt(aa*bb)
}
