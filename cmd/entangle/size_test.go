package main

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"1.5GiB": 3 << 29, "2 MiB": 2 << 20, "3kB": 3000, "7": 7, "9B": 9} {
		if got, ok := parseSize(text); !ok || got != want {
			t.Errorf("%q: want %d, got %d %t", text, want, got, ok)
		}
	}
	for _, text := range []string{"", "GiB", "-1MB", "0", "NaN", "1e30GB", "2TB", "least"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%q: want an error, got %d", text, got)
		}
	}
}
