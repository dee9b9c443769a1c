package ir

import (
	"slices"
	"testing"
)

// TestPart: a part of a tensor has its elements, of every width of them.
func TestPart(t *testing.T) {
	for _, d := range []DType{Float32, Float64, Float16, BFloat16, Int8, Int64} {
		w, err := NewFloats("w", d, []int{2, 3}, []float64{1, 2, 3, 4, 5, 6})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, 3)
		if err := w.Part(2, 5).ReadFloat64s(got); err != nil || !slices.Equal(got, []float64{3, 4, 5}) {
			t.Errorf("%s: want 3, 4, 5, got %v, %v", d, got, err)
		}
		if w.ReadFloat64s(got) == nil {
			t.Errorf("%s: six elements into room for three: want an error", d)
		}
	}
}
