package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/data"
)

// TestShapes: two calls write the same files, and data reads them with every class.
func TestShapes(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := write(dir, 12, 4); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"train/images/0011.png", "test/masks/0003.png"} {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		if y, err := os.ReadFile(filepath.Join(b, name)); err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: want the same bytes again (%v)", name, err)
		}
	}
	set, err := data.Open("masks:"+a, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Parts) != 2 || set.Parts[0].Len() != 12 || set.Parts[1].Len() != 4 || len(set.LabelShape) != 2 || set.LabelShape[0] != side {
		t.Errorf("want 12 and 4 masks of %d pixels a side, got parts %v of %v", side, set.Parts, set.LabelShape)
	}
}
