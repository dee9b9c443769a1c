package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const variable = "ENTANGLE_TESTENV"
	for _, c := range []struct{ name, value, usual, want, fault string }{
		{"named", dir, file, dir, ""},
		{"usual place", "", dir, dir, ""},
		{"neither", "", "", "", "ENTANGLE_TESTENV is not set"},
		{"usual place absent", "", filepath.Join(dir, "gone"), "", "is not set, and"},
		{"named one absent", filepath.Join(dir, "gone"), dir, "", "the data: ENTANGLE_TESTENV: "},
		{"a file", file, dir, "", "is no folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(variable, c.value)
			got, err := find("the data", variable, c.usual)
			if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("want %q and an error with %q, got %q and %v", c.want, c.fault, got, err)
			}
		})
	}
}

// skipped is a test that only notes why it is skipped.
type skipped struct {
	testing.TB
	reason string
}

func (s *skipped) Helper()          {}
func (s *skipped) Skip(args ...any) { s.reason = fmt.Sprint(args...) }

func TestSkips(t *testing.T) {
	t.Setenv("ONNX_TESTDATA", filepath.Join(t.TempDir(), "gone"))
	t.Setenv("ENTANGLE_MODELS", "")
	for variable, f := range map[string]func(testing.TB) string{"ONNX_TESTDATA": Corpus, "ENTANGLE_MODELS": Models} {
		var inner skipped
		if f(&inner); !strings.Contains(inner.reason, variable) {
			t.Errorf("%s: want the test skipped with its name, got %q", variable, inner.reason)
		}
	}
}
