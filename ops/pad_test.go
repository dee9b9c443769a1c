package ops_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// TestPadCrops: position k of a padded axis is position k-lo of its input where that is one,
// else the value, also where more is cropped than there is.
func TestPadCrops(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for lo := -5; lo <= 5; lo++ {
			for hi := -5; hi <= 5; hi++ {
				if n+lo+hi < 1 {
					continue
				}
				m, err := ir.Parse(fmt.Sprintf(`model { ir 8 opset _ 13 }
					graph g { input x float32[%d] output y float32[%d] init p int64[2] = [%d, %d] init v float32[] = [9]
						node pad: (y) = Pad(x, p, v) }`, n, n+lo+hi, lo, hi))
				if err != nil {
					t.Fatal(err)
				}
				p, _, err := ops.Program(m, nil, prim.F64)
				if err != nil {
					t.Fatalf("%d, %d, %d: %v", n, lo, hi, err)
				}
				x := prim.NewTensor(prim.Type{DType: prim.F64, Shape: []int{n}})
				for i := range x.F64 {
					x.F64[i] = float64(i + 1)
				}
				out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": x})
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float64, n+lo+hi)
				for k := range want {
					if want[k] = 9; k-lo >= 0 && k-lo < n {
						want[k] = float64(k - lo + 1)
					}
				}
				if !slices.Equal(out["y"].F64, want) {
					t.Errorf("size %d, pads %d and %d: want %v, got %v", n, lo, hi, want, out["y"].F64)
				}
			}
		}
	}
}
