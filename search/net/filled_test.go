package net

import (
	"math"
	"testing"
)

// TestFillings: what masks put in is told from numbers that are too large.
func TestFillings(t *testing.T) {
	inf, least := float32(math.Inf(-1)), float32(-math.MaxFloat32)
	for name, c := range map[string]struct {
		values []float32
		fault  bool
	}{
		"none":                   {[]float32{1, -5e8}, false},
		"a mask":                 {[]float32{1, -1e9, -1e9 + 64}, false},
		"two masks":              {[]float32{1, -1e9, -2e9, inf}, false},
		"the type's least":       {[]float32{1, least, inf, -1e9}, false},
		"nothing else":           {[]float32{-1e9, -1e9}, true},
		"large numbers":          {[]float32{1, 3e9, -3e9}, true},
		"large numbers, one way": {[]float32{1, 2e9, 7e10}, true},
		"all too large":          {[]float32{1e20, 2e20}, true},
	} {
		var f fillings
		f.add(c.values)
		if err := f.fault(); (err != nil) != c.fault {
			t.Errorf("%s: want a fault %t, got %v", name, c.fault, err)
		}
	}
}
