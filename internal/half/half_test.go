package half

import (
	"math"
	"testing"
)

// TestEveryNumber: widening and rounding give every number back, and between two
// neighbours the nearer one, the even one in the middle.
func TestEveryNumber(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(uint16) float32
		to   func(float64) uint16
		inf  uint16
	}{{"float16", FromFloat16, Float16, 0x7c00}, {"bfloat16", FromBFloat16, BFloat16, 0x7f80}} {
		for h := range 1 << 16 {
			v := c.from(uint16(h))
			if v != v {
				if got := c.from(c.to(float64(v))); got == got {
					t.Fatalf("%s: %#x: want no number, got %g", c.name, h, got)
				}
				continue
			}
			if got := c.to(float64(v)); got != uint16(h) {
				t.Fatalf("%s: %#x is %g: want it back, got %#x", c.name, h, v, got)
			}
			if h&0x7fff >= int(c.inf)-1 {
				continue
			}
			next := c.from(uint16(h + 1))
			even := uint16(h + h&1)
			mid := (float64(v) + float64(next)) / 2
			if got := c.to(mid); got != even {
				t.Fatalf("%s: the middle %g of %#x and its neighbour: want %#x, got %#x", c.name, mid, h, even, got)
			}
			up := float64(math.Nextafter32(float32(mid), next))
			if got := c.to(up); got != uint16(h+1) {
				t.Fatalf("%s: %g above the middle: want %#x, got %#x", c.name, up, h+1, got)
			}
		}
	}
	if got := FromFloat16(Float16(1e6)); !math.IsInf(float64(got), 1) {
		t.Errorf("float16 of 1e6: want infinity, got %g", got)
	}
}
