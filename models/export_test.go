package models

import (
	"os"
	"testing"
)

// Update reports whether golden files are to be rewritten.
func Update() bool { return *update }

// Golden holds got to a golden file.
func Golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s: want\n%s\ngot\n%s", file, want, got)
	}
}

// MACs returns the builder's own count of e with its defaults, per image.
func MACs(e Entry) (int, error) {
	n, err := e.net(Options{})
	if err != nil {
		return 0, err
	}
	return n.MACs(), nil
}
