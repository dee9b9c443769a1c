package rng

import "testing"

// TestStreams: a name and a seed decide a stream, other names and seeds give
// others, and a restored stream goes on where it was.
func TestStreams(t *testing.T) {
	first := func(seed uint64, name string) uint64 { return New(seed, name).Uint64() }
	one := first(1, "a")
	if first(1, "a") != one {
		t.Error("one seed and name gave two streams")
	}
	if one == first(1, "b") || one == first(2, "a") {
		t.Error("another name or seed gave the same stream")
	}
	s := New(3, "x")
	s.Float64()
	state := s.State()
	want := s.Uint64()
	r := New(9, "y")
	if err := r.Restore(state); err != nil {
		t.Fatal(err)
	}
	if got := r.Uint64(); got != want {
		t.Errorf("restored stream: want %d, got %d", want, got)
	}
	if err := r.Restore(state[:3]); err == nil {
		t.Error("a truncated state was accepted")
	}
}
