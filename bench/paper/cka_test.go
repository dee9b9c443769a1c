package main

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

// TestAlike: the alignment is 1 with itself, does not change under rotations, scaling and shifts, and does under other
// linear maps; it is the ratio of its definition in features.
func TestAlike(t *testing.T) {
	r := rng.New(1, "test/alike")
	random := func(rows, columns int) [][]float32 {
		out := make([][]float32, rows)
		for i := range out {
			for range columns {
				out[i] = append(out[i], float32(r.NormFloat64()))
			}
		}
		return out
	}
	of := func(x, y [][]float32) float64 {
		t.Helper()
		v, err := alike(x, y)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-5 {
			t.Errorf("%s: want %g, got %g", what, want, got)
		}
	}
	x, y := random(40, 6), random(40, 9)
	base := of(x, y)
	near("itself", of(x, x), 1)
	near("the other way", of(y, x), base)
	// A Householder reflection, a rotation of two axes, a factor and a shift.
	v := random(1, 6)[0]
	norm := 0.0
	for _, a := range v {
		norm += float64(a) * float64(a)
	}
	moved := make([][]float32, len(x))
	stretched := make([][]float32, len(x))
	for i, row := range x {
		dot := 0.0
		for k, a := range row {
			dot += float64(a) * float64(v[k])
		}
		for k, a := range row {
			moved[i] = append(moved[i], float32(3*(float64(a)-2*dot/norm*float64(v[k]))+5))
			stretched[i] = append(stretched[i], a*float32(1+10*k))
		}
		c, s := math.Cos(0.7), math.Sin(0.7)
		a, b := float64(moved[i][0]), float64(moved[i][4])
		moved[i][0], moved[i][4] = float32(c*a-s*b), float32(s*a+c*b)
	}
	near("moved", of(moved, x), 1)
	near("moved, and the other", of(moved, y), base)
	if d := of(stretched, x); d > 0.95 {
		t.Errorf("stretched: want less than 0.95, got %g", d)
	}

	centre := func(x [][]float32) [][]float64 {
		out := make([][]float64, len(x))
		for k := range x[0] {
			mean := 0.0
			for _, row := range x {
				mean += float64(row[k]) / float64(len(x))
			}
			for i, row := range x {
				out[i] = append(out[i], float64(row[k])-mean)
			}
		}
		return out
	}
	product := func(a, b [][]float64) (sum float64) {
		for k := range a[0] {
			for l := range b[0] {
				v := 0.0
				for i := range a {
					v += a[i][k] * b[i][l]
				}
				sum += v * v
			}
		}
		return sum
	}
	cx, cy := centre(x), centre(y)
	near("definition", base, product(cx, cy)/math.Sqrt(product(cx, cx)*product(cy, cy)))

	for _, bad := range [][2][][]float32{{x, y[:3]}, {x[:1], y[:1]}, {{{1, 2}, {1}}, {{1}, {2}}}, {nil, nil}} {
		if _, err := alike(bad[0], bad[1]); err == nil {
			t.Errorf("%v: want an error", bad)
		}
	}
}
