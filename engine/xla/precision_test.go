package xla

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/internal/rng"
)

// TestPrecision: large products in bfloat16 are off by its rounding and no more, and sums
// of many terms no further, since they are float32; small products stay float32.
func TestPrecision(t *testing.T) {
	random := rng.New(1, "xla/precision")
	fill := func(shape ...int) *prim.Tensor {
		x := prim.NewTensor(prim.Type{DType: prim.F32, Shape: shape})
		for i := range x.F32 {
			x.F32[i] = float32(random.NormFloat64())
		}
		return x
	}
	b := prim.NewBuilder()
	in := map[string]*prim.Tensor{"x": fill(64, 256), "w": fill(256, 32), "a": fill(4, 8), "c": fill(8, 4), "image": fill(2, 8, 12, 12), "kernel": fill(24, 8, 3, 3)}
	ids := map[string]prim.ID{}
	for _, name := range []string{"x", "w", "a", "c", "image", "kernel"} {
		ids[name] = b.Input(name, in[name].Type)
	}
	b.Output("large", b.MatMul(ids["x"], ids["w"], false, false))
	b.Output("small", b.MatMul(ids["a"], ids["c"], false, false))
	b.Output("conv", b.Add(prim.Conv{Window: prim.UnitWindow(1, 1), Groups: 1}, ids["image"], ids["kernel"]))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	want, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		precision lower.Precision
		output    string
		lo, hi    float64 // of the relative root mean square error
	}{
		{lower.F32, "large", 0, 1e-6}, {lower.TF32, "large", 0, 1e-6}, {lower.BF16, "large", 1e-3, 5e-3},
		{lower.BF16, "conv", 1e-3, 5e-3}, {lower.BF16, "small", 0, 1e-6},
	} {
		got, err := engine.RunHost(newBackend(interpreter{}, lower.Options{Precision: c.precision}), p, in)
		if err != nil {
			t.Fatal(err)
		}
		off, size := 0.0, 0.0
		for i, v := range want[c.output].F32 {
			d := float64(got[c.output].F32[i] - v)
			off, size = off+d*d, size+float64(v)*float64(v)
		}
		if e := math.Sqrt(off / size); !(e >= c.lo && e <= c.hi) {
			t.Errorf("%s of %s: want an error in [%g, %g], got %g", c.output, c.precision, c.lo, c.hi, e)
		}
	}
}
