package testenv

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestOCR(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ENTANGLE_OCR", dir)
	if got, want := OCR(t), filepath.Join(dir, "assets"); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	t.Setenv("ENTANGLE_OCR", "")
	var inner skipped
	if OCR(&inner); !strings.Contains(inner.reason, "ENTANGLE_OCR") {
		t.Errorf("want the test skipped with the variable's name, got %q", inner.reason)
	}
}
