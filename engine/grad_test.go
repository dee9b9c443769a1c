package engine_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

func vector(n int) prim.Type { return prim.Type{DType: prim.F64, Shape: []int{n}} }

// gradients builds a loss of x and y and returns its gradients at x = (1,2,3), y = (4,5,6).
func gradients(t *testing.T, loss func(b *prim.Builder, x, y prim.ID) prim.ID) (dx, dy []float64) {
	t.Helper()
	b := prim.NewBuilder()
	x, y := b.Input("x", vector(3)), b.Input("y", vector(3))
	g, err := engine.Grad(b, loss(b, x, y), []prim.ID{x, y})
	if err != nil {
		t.Fatal(err)
	}
	b.Output("dx", g[0])
	b.Output("dy", g[1])
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F64Tensor([]float64{1, 2, 3}, 3), "y": prim.F64Tensor([]float64{4, 5, 6}, 3)})
	if err != nil {
		t.Fatal(err)
	}
	return out["dx"].F64, out["dy"].F64
}

func equal(t *testing.T, what string, got []float64, want ...float64) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: want %v, got %v", what, want, got)
			return
		}
	}
}

func TestGrad(t *testing.T) {
	dx, dy := gradients(t, func(b *prim.Builder, x, y prim.ID) prim.ID { return b.Sum(b.Times(x, y), 0) })
	equal(t, "product, x", dx, 4, 5, 6)
	equal(t, "product, y", dy, 1, 2, 3)
	dx, dy = gradients(t, func(b *prim.Builder, x, y prim.ID) prim.ID {
		s := b.Plus(b.Times(x, x), b.Plus(x, b.StopGrad(b.Times(x, y))))
		return b.Sum(s, 0)
	})
	equal(t, "accumulated, stopped", dx, 3, 5, 7)
	equal(t, "unreached", dy, 0, 0, 0)
}

func TestGradOfIntermediate(t *testing.T) {
	b := prim.NewBuilder()
	x := b.Input("x", vector(3))
	h := b.Scale(x, 2)
	y := b.Sum(b.Times(h, h), 0)
	g, err := engine.Grad(b, y, []prim.ID{h, x, y})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"dh", "dx", "dy"} {
		b.Output(name, g[i])
	}
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F64Tensor([]float64{1, 2, 3}, 3)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "intermediate", out["dh"].F64, 4, 8, 12)
	equal(t, "input", out["dx"].F64, 8, 16, 24)
	equal(t, "itself", out["dy"].F64, 1)
}

// TestGradSkipsBranches counts the convolutions that the reverse pass adds.
func TestGradSkipsBranches(t *testing.T) {
	b := prim.NewBuilder()
	conv := prim.Conv{Window: prim.UnitWindow(0, 0), Groups: 1}
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{1, 1, 4, 4}})
	w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{1, 1, 1, 1}})
	before := b.Add(conv, b.Add(conv, x, w), w)
	v := b.Input("v", prim.Type{DType: prim.F32, Shape: []int{1, 1, 1, 1}})
	y := b.Sum(b.Add(conv, before, v), 0, 1, 2, 3)
	start := b.Len()
	if _, err := engine.Grad(b, y, []prim.ID{v}); err != nil {
		t.Fatal(err)
	}
	count := 0
	for i := start; i < b.Len(); i++ {
		if _, ok := b.Node(prim.ID(i)).Prim.(prim.ConvWeightGrad); ok {
			count++
		}
	}
	if count != 1 {
		t.Errorf("weight gradients: want 1, got %d", count)
	}
}

func TestGradErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		f          func(b *prim.Builder, x prim.ID) (prim.ID, prim.ID)
	}{
		{"vector loss", "want one element", func(b *prim.Builder, x prim.ID) (prim.ID, prim.ID) { return x, x }},
		{"integer loss", "want a float value", func(b *prim.Builder, x prim.ID) (prim.ID, prim.ID) {
			return b.Cast(b.Sum(x, 0), prim.I64), x
		}},
		{"integer parameter", "want a float value", func(b *prim.Builder, x prim.ID) (prim.ID, prim.ID) {
			return b.Sum(x, 0), b.Cast(x, prim.I64)
		}},
		{"no node", "want a node", func(b *prim.Builder, x prim.ID) (prim.ID, prim.ID) { return b.Sum(x, 0), 99 }},
	} {
		b := prim.NewBuilder()
		y, wrt := c.f(b, b.Input("x", vector(3)))
		if _, err := engine.Grad(b, y, []prim.ID{wrt}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
}
