package lower_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

var update = flag.Bool("update", false, "rewrite testdata/*.mlir")

func f32(shape ...int) prim.Type { return prim.Type{DType: prim.F32, Shape: shape} }

// programs are small ones whose modules stand in testdata.
var programs = []struct {
	name  string
	opt   lower.Options
	build func(b *prim.Builder)
}{
	{"map", lower.Options{}, func(b *prim.Builder) {
		x, s := b.Input("x", f32(2, 3)), b.Input("s", f32(1, 3))
		e := prim.Op(prim.Select, prim.Op(prim.Lt, prim.A(0), prim.L(0)), prim.Op(prim.Mul, prim.A(0), prim.Op(prim.Rsqrt, prim.A(1))), prim.Op(prim.Max, prim.A(0), prim.A(1)))
		b.Output("y", b.Map(e, x, s))
	}},
	{"reduce", lower.Options{}, func(b *prim.Builder) {
		b.Output("y", b.Reduce(prim.ReduceSum, []int{1}, prim.Op(prim.Mul, prim.A(0), prim.A(0)), b.Input("x", f32(2, 3))))
	}},
	{"conv", lower.Options{Precision: lower.TF32}, func(b *prim.Builder) {
		c := prim.Conv{Window: prim.Window{Strides: []int{2, 2}, Dilations: []int{1, 1}, PadLo: []int{1, 1}, PadHi: []int{1, 1}}, Groups: 2}
		x, w := b.Input("x", f32(8, 32, 16, 16)), b.Input("w", f32(64, 16, 3, 3))
		y := b.Add(c, x, w)
		b.Output("y", y)
		b.Output("dx", b.Add(prim.ConvInputGrad{Conv: c, In: []int{16, 16}}, y, w))
		b.Output("dw", b.Add(prim.ConvWeightGrad{Conv: c, Kernel: []int{3, 3}}, x, y))
	}},
	{"matmul-bf16", lower.Options{Precision: lower.BF16}, func(b *prim.Builder) {
		b.Output("y", b.MatMul(b.Input("x", f32(16, 64, 64)), b.Input("w", f32(1, 64, 64)), false, true))
	}},
	{"matmul-small", lower.Options{Precision: lower.BF16}, func(b *prim.Builder) {
		b.Output("y", b.MatMul(b.Input("x", f32(4, 4)), b.Input("w", f32(4, 4)), false, false))
	}},
	// What goes from one large product to another is bfloat16, its statistics are not, and
	// the sum that takes part in them reads what is.
	{"chain-bf16", lower.Options{Precision: lower.BF16}, func(b *prim.Builder) {
		c := prim.Conv{Window: prim.Window{Strides: []int{1, 1}, Dilations: []int{1, 1}, PadLo: []int{1, 1}, PadHi: []int{1, 1}}, Groups: 1}
		x, w, scale := b.Input("x", f32(4, 16, 32, 32)), b.Input("w", f32(16, 16, 3, 3)), b.Input("scale", f32(1, 16, 1, 1))
		y := b.Add(c, x, w)
		mean := b.Mean(y, 0, 2, 3)
		z := b.Map(prim.Op(prim.Max, prim.Op(prim.Mul, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.A(2)), prim.L(0)), y, mean, scale)
		next := b.Add(c, z, w)
		b.Output("next", next)
		b.Output("back", b.Add(prim.ConvInputGrad{Conv: c, In: []int{32, 32}}, next, w)) // the kernel is flipped last
		b.Output("mean", mean)
		b.Output("branch", b.Sum(b.Plus(b.Transpose(y, 0, 2, 3, 1), b.Transpose(z, 0, 2, 3, 1)), 0, 1, 2))
	}},
	{"moments", lower.Options{}, func(b *prim.Builder) {
		x := b.Input("x", f32(4, 3, 5, 5))
		mean := b.Mean(x, 0, 2, 3)
		d := prim.Op(prim.Sub, prim.A(0), prim.A(1))
		b.Output("mean", mean)
		b.Output("squares", b.Reduce(prim.ReduceSum, []int{0, 2, 3}, prim.Op(prim.Mul, d, d), x, mean))
	}},
	{"gather", lower.Options{}, func(b *prim.Builder) {
		b.Output("y", b.Gather(b.Input("x", f32(5, 3)), b.Input("i", prim.Type{DType: prim.I64, Shape: []int{2}}), 0))
	}},
	{"donate", lower.Options{}, func(b *prim.Builder) {
		w, g := b.Input("w", f32(4)), b.Input("g", f32(4))
		b.Donate("w")
		b.Output("loss", b.Sum(g, 0))
		b.Output("other", g)
		b.Output("w", b.Minus(w, g))
	}},
	{"mesh", lower.Options{Devices: 2}, func(b *prim.Builder) {
		w, x, labels := b.Input("w", f32(3, 5)), b.Input("x", f32(8, 3)), b.Input("labels", f32(8, 5))
		b.Donate("w")
		b.Batch("x")
		b.Batch("labels")
		loss := b.Sum(b.Times(b.MatMul(x, w, false, false), labels), 0, 1)
		b.Output("loss", loss)
		b.Output("w", b.Map(prim.Op(prim.Sub, prim.A(0), prim.A(1)), w, b.MatMul(x, labels, true, false)))
	}},
	{"mesh-forward", lower.Options{Devices: 2}, func(b *prim.Builder) {
		b.Output("y", b.MatMul(b.Input("x", f32(8, 4)), b.Input("w", f32(8, 4)), false, true))
		b.Batch("x")
	}},
	{"mesh-odd", lower.Options{Devices: 2}, func(b *prim.Builder) {
		b.Output("y", b.MatMul(b.Input("x", f32(7, 4)), b.Input("w", f32(4, 4)), false, false))
		b.Batch("x")
	}},
	{"barrier", lower.Options{}, func(b *prim.Builder) {
		x, g := b.Input("x", f32(4)), b.Input("g", f32(2))
		b.Output("y", b.Unary(prim.Exp, b.Add(prim.Barrier{}, x, g)))
	}},
	{"random", lower.Options{}, func(b *prim.Builder) {
		b.Output("y", b.Add(prim.Random{Shape: []int{2, 2}, Out: prim.F32}, b.Input("seed", prim.Type{DType: prim.I64, Shape: []int{2}})))
	}},
}

// TestModules holds the modules of small programs to their text; -update rewrites it.
func TestModules(t *testing.T) {
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			b := prim.NewBuilder()
			c.build(b)
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			m, err := lower.Lower(p, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", c.name+".mlir")
			if *update {
				if err := os.WriteFile(file, []byte(m.Text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if m.Text != string(want) {
				t.Errorf("want\n%s\ngot\n%s", want, m.Text)
			}
			again, err := lower.Lower(p, c.opt)
			if err != nil || again.Text != m.Text {
				t.Errorf("a second lowering differs: %v", err)
			}
			if indexed := c.name == "gather"; (m.Fault >= 0) != indexed || len(m.Faults) > 0 != indexed {
				t.Errorf("fault: got %d, %v", m.Fault, m.Faults)
			}
		})
	}
}

func TestLowerRefuses(t *testing.T) {
	p := &prim.Program{Nodes: []prim.Node{{Prim: prim.StopGrad{}, In: []prim.ID{0}, Type: f32(1)}}}
	if _, err := lower.Lower(p, lower.Options{}); err == nil || !strings.Contains(err.Error(), "node 0") {
		t.Errorf("want an error that names the node, got %v", err)
	}
}
