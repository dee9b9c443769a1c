package train

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// TestSpans: what differs by a bit is kept, in whole blocks, and read back as it was.
func TestSpans(t *testing.T) {
	begun := make([]float32, 5*spanBlock+3)
	begun[7] = 2
	now := slices.Clone(begun)
	if got := spans(now, begun); got != nil {
		t.Errorf("nothing moved: want no spans, got %v", got)
	}
	if got := spans(now, nil); !slices.Equal(got, []int{0, spanBlock}) {
		t.Errorf("beside zeros: want the first block, got %v", got)
	}
	now[spanBlock], now[2*spanBlock+1], now[len(now)-1] = 1, float32(math.Copysign(0, -1)), 3
	want := []int{spanBlock, 3 * spanBlock, 5 * spanBlock, len(now)}
	got := spans(now, begun)
	if !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	var b bytes.Buffer
	for s := got; len(s) > 0; s = s[2:] {
		if err := writeFloats(&b, now[s[0]:s[1]]); err != nil {
			t.Fatal(err)
		}
	}
	whole, back := b.Bytes(), slices.Clone(begun)
	if err := readSpans(bytes.NewReader(whole), got, back); err != nil || spans(back, now) != nil {
		t.Errorf("want what was written, got %v", err)
	}
	for name, bad := range map[string][]int{"odd": {0}, "descending": {64, 128, 0, 64}, "empty": {5, 5}, "beyond": {0, len(now) + 1}, "negative": {-1, 4}} {
		if readSpans(bytes.NewReader(whole), bad, back) == nil {
			t.Errorf("%s spans: want an error", name)
		}
	}
	if readSpans(bytes.NewReader(whole[:len(whole)-1]), got, back) == nil {
		t.Error("truncated: want an error")
	}
}
