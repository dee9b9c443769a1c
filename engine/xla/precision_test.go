package xla

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/workloads"
)

// TestPrecision: large products in bfloat16 are off by its rounding and no more, and sums
// of many terms no further, since they are float32; small products stay float32.
func TestPrecision(t *testing.T) { runPrecision(t, interpreter{}, 1e-6, 1e-6) }

// runPrecision judges the precisions of a device, whose float32 and fast float32 products
// may be so far off.
func runPrecision(t *testing.T, d device, f32, tf32 float64) {
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
		{lower.F32, "large", 0, f32}, {lower.F32, "conv", 0, f32},
		{lower.TF32, "large", 0, tf32}, {lower.TF32, "conv", 0, tf32},
		{lower.BF16, "large", 1e-3, 5e-3}, {lower.BF16, "conv", 1e-3, 5e-3}, {lower.BF16, "small", 0, f32},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.precision, c.output), func(t *testing.T) {
			got, err := engine.RunHost(newBackend(d, lower.Options{Precision: c.precision}), p, in)
			if err != nil {
				t.Fatal(err)
			}
			if e := relativeError(got[c.output], want[c.output]); !(e >= c.lo && e <= c.hi) {
				t.Errorf("want an error in [%g, %g], got %g", c.lo, c.hi, e)
			}
		})
	}
}

// TestMoments: a mean over the batch and the squares around it are exact to float32's
// rounding, also of values far from zero, and where the element that both are taken around
// is itself far out.
func TestMoments(t *testing.T) {
	random := rng.New(2, "xla/moments")
	const n, channels = 32, 3
	for _, c := range []struct {
		name              string
		mean, spread, out float64 // the middle element is so many spreads off
		most              float64
	}{{"around zero", 0, 1, 1, 1e-5}, {"far from zero", 1000, 0.1, 1, 1e-2}, {"middle element far out", 5, 1, 20, 1e-4}, {"all equal", 7, 0, 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			x := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n, channels, 4, 4}})
			for i := range x.F32 {
				x.F32[i] = float32(c.mean + c.spread*random.NormFloat64())
				if i/(16*channels) == n/2 && i%16 == 2*4+2 {
					x.F32[i] = float32(c.mean + c.spread*c.out)
				}
			}
			b := prim.NewBuilder()
			id := b.Input("x", x.Type)
			mean := b.Mean(id, 0, 2, 3)
			d := prim.Op(prim.Sub, prim.A(0), prim.A(1))
			b.Output("mean", mean)
			b.Output("squares", b.Reduce(prim.ReduceSum, []int{0, 2, 3}, prim.Op(prim.Mul, d, d), id, mean))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			got, err := engine.RunHost(newBackend(interpreter{}, lower.Options{}), p, map[string]*prim.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			for k := range channels {
				sum, squares := 0.0, 0.0
				each := func(f func(v float64)) {
					for i := range n * 16 {
						f(float64(x.F32[i/16*16*channels+k*16+i%16]))
					}
				}
				each(func(v float64) { sum += v })
				m := sum / (n * 16)
				each(func(v float64) { squares += (v - m) * (v - m) })
				if e := math.Abs(float64(got["mean"].F32[k]) - m); e > 1e-6*(math.Abs(m)+c.spread) {
					t.Errorf("channel %d: mean: want %g, got %g", k, m, got["mean"].F32[k])
				}
				if e := math.Abs(float64(got["squares"].F32[k]) - squares); e > c.most*squares {
					t.Errorf("channel %d: squares: want %g, got %g", k, squares, got["squares"].F32[k])
				}
			}
		})
	}
}

// TestPrecisionStep runs whole training steps in bfloat16: the loss and the gradients are
// those of float32 to its rounding.
func TestPrecisionStep(t *testing.T) {
	if testing.Short() {
		t.Skip("interprets whole training steps: skipped by -short")
	}
	for _, c := range []struct {
		name string
		most float64
	}{
		// Untrained, on noise: PyTorch 1.13's autocast is off by 0.25 to 0.27 on this network.
		{"resnet20", 0.35},
		{"vit_tiny", 0.03},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := workloads.ByName(c.name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := w.Build(2)
			if err != nil {
				t.Fatal(err)
			}
			ph := s.Phases[len(s.Phases)-1]
			in := inputs(s, ph)
			want, err := engine.RunHost(ref.New(), ph.Program, in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := engine.RunHost(newBackend(interpreter{}, lower.Options{Precision: lower.BF16}), ph.Program, in)
			if err != nil {
				t.Fatal(err)
			}
			// The first velocity is the gradient.
			all := func(out map[string]*prim.Tensor) *prim.Tensor {
				var v []float32
				for _, o := range ph.Program.Outputs {
					if strings.HasSuffix(o.Name, "/velocity") {
						v = append(v, out[o.Name].F32...)
					}
				}
				return prim.F32Tensor(v, len(v))
			}
			e, loss := relativeError(all(got), all(want)), relativeError(got["loss"], want["loss"])
			t.Logf("gradient off by %.4f, loss by %.5f", e, loss)
			if !(e > 1e-3 && e < c.most) || loss > 0.01 {
				t.Errorf("want gradients off by 0.001 to %g and the loss by less than 0.01, got %g and %g", c.most, e, loss)
			}
		})
	}
}
