package models_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
)

// TestInheritIsMasking states what Inherit means: the small architecture equals
// the largest one with everything outside the small one's weights set to zero.
func TestInheritIsMasking(t *testing.T) {
	o := models.Options{Classes: 5, Channels: 1, Size: 16, Width: 64, Seed: 1, Scatter: true}
	large, err := models.Macro{Channels: [4]int{6, 8, 6, 8}, Kernels: [4]int{5, 5, 5, 7}}.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	small, err := models.Macro{Channels: [4]int{2, 8, 3, 5}, Kernels: [4]int{3, 1, 5, 3}}.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	if small, err = models.Inherit(small, large); err != nil {
		t.Fatal(err)
	}
	masked := large.Clone()
	for i, x := range large.Graph.Inits {
		if x.DType.IsFloat() {
			masked.Graph.Inits[i] = zeroOutside(t, x, small.Graph.Init(x.Name).Dims)
		}
	}
	in := batch(large)
	want, got := run(t, ref.New(), prim.F64, small, in)["logits"], run(t, ref.New(), prim.F64, masked, in)["logits"]
	if d := apart(t, want, got); d > 1e-12 {
		t.Errorf("masked largest network: want the small one's logits within 1e-12, got a difference of %g", d)
	}
	if d := apart(t, want, run(t, ref.New(), prim.F64, large, in)["logits"]); d < 1e-3 {
		t.Errorf("unmasked largest network: want other logits, got a difference of %g only", d)
	}
}

// zeroOutside keeps the block of size dims that is a prefix along axes 0 and 1 and centred along the others.
func zeroOutside(t *testing.T, x *ir.Tensor, dims []int) *ir.Tensor {
	t.Helper()
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i := range v {
		for k, r := len(x.Dims)-1, i; k >= 0; k-- {
			at, lo := r%x.Dims[k], 0
			r /= x.Dims[k]
			if k >= 2 {
				lo = (x.Dims[k] - dims[k]) / 2
			}
			if at < lo || at >= lo+dims[k] {
				v[i] = 0
			}
		}
	}
	return ir.NewFloat32(x.Name, x.Dims, v)
}

// TestCellIsMasking states the same for the cell space: an architecture equals
// the supernet whose other branches end in a BN of zeros and whose 5×5 kernels
// keep their centres only where 3×3 is chosen.
func TestCellIsMasking(t *testing.T) {
	e, _ := models.Lookup("toy-cell-tiny")
	super := build(t, e)
	g := models.Genotype{Normal: [3]models.CellOp{models.Dil3, models.Sep5, models.Sep3}, Reduce: [3]models.CellOp{models.Sep3, models.Dil5, models.Dil3}}
	small, err := g.Build(e.Defaults)
	if err != nil {
		t.Fatal(err)
	}
	if small, err = models.Inherit(small, super); err != nil {
		t.Fatal(err)
	}
	masked := super.Clone()
	for i, x := range super.Graph.Inits {
		kept := small.Graph.Init(x.Name)
		last := strings.HasSuffix(x.Name, ".sep.b.bn.weight") || strings.HasSuffix(x.Name, ".sep.b.bn.bias") ||
			strings.HasSuffix(x.Name, ".dil.bn.weight") || strings.HasSuffix(x.Name, ".dil.bn.bias")
		switch {
		case kept == nil && last:
			masked.Graph.Inits[i] = ir.NewFloat32(x.Name, x.Dims, make([]float32, x.Len()))
		case kept != nil && x.DType.IsFloat():
			masked.Graph.Inits[i] = zeroOutside(t, x, kept.Dims)
		}
	}
	in := batch(super)
	want, got := run(t, ref.New(), prim.F64, small, in)["logits"], run(t, ref.New(), prim.F64, masked, in)["logits"]
	if d := apart(t, want, got); d > 1e-12 {
		t.Errorf("masked supernet: want the architecture's logits within 1e-12, got a difference of %g", d)
	}
	if d := apart(t, want, run(t, ref.New(), prim.F64, super, in)["logits"]); d < 1e-3 {
		t.Errorf("unmasked supernet: want other logits, got a difference of %g only", d)
	}
}
