// Package testenv finds the folders outside the repository that tests read.
package testenv

import (
	"fmt"
	"os"
	"testing"
)

// Corpus returns the folder of the ONNX backend test data, which holds node, simple and
// the other suites: what ONNX_TESTDATA names, else where the Debian package
// libonnx-testdata puts it. It skips the test where that is no folder.
func Corpus(t testing.TB) string {
	t.Helper()
	return orSkip(t, FindCorpus)
}

// Models returns the folder of pretrained models that ENTANGLE_MODELS names. It skips the
// test where the variable is not set or names no folder.
func Models(t testing.TB) string {
	t.Helper()
	return orSkip(t, FindModels)
}

// FindCorpus is Corpus for callers that can do without: an error says why there is none.
func FindCorpus() (string, error) {
	return find("the ONNX backend test data", "ONNX_TESTDATA", "/usr/share/libonnx-testdata/data")
}

// FindModels is Models for callers that can do without: an error says why there are none.
func FindModels() (string, error) {
	return find("the folder of pretrained models", "ENTANGLE_MODELS", "")
}

func find(what, variable, usual string) (string, error) {
	dir, set := os.LookupEnv(variable)
	if dir == "" {
		dir, set = usual, false
	}
	if dir == "" {
		return "", fmt.Errorf("%s: %s is not set", what, variable)
	}
	i, err := os.Stat(dir)
	switch {
	case err == nil && i.IsDir():
		return dir, nil
	case err == nil:
		err = fmt.Errorf("%s is no folder", dir)
	}
	if !set {
		return "", fmt.Errorf("%s: %s is not set, and %w", what, variable, err)
	}
	return "", fmt.Errorf("%s: %s: %w", what, variable, err)
}

func orSkip(t testing.TB, find func() (string, error)) string {
	t.Helper()
	dir, err := find()
	if err != nil {
		t.Skip(err)
	}
	return dir
}
