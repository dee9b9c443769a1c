package ort

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"libonnxruntime.so.1.24.3", "libonnxruntime.so.1.9.0", "other.so"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "other.so")
	for _, c := range []struct{ name, explicit, want string }{
		{"file", file, file},
		{"folder", dir, filepath.Join(dir, "libonnxruntime.so.1.9.0")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Find(c.explicit)
			if err != nil || got != c.want {
				t.Fatalf("want %s, got %s, %v", c.want, got, err)
			}
		})
	}
	if _, err := Find(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Fatalf("want an error that names the path, got %v", err)
	}
	if _, err := findIn([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "ONNXRUNTIME_LIB") {
		t.Fatalf("want an error that says how to name the library, got %v", err)
	}
}
