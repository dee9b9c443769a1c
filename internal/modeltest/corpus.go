package modeltest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/testenv"
)

// Corpus returns the ONNX files of the ONNX backend test data and of the models beside
// the project, or skips the test where there are none. The test's package stands in a
// folder of the module's.
func Corpus(t testing.TB) []string {
	t.Helper()
	dirs := []string{"../../shared/real"}
	if dir, err := testenv.FindCorpus(); err != nil {
		t.Logf("skipped: %v", err)
	} else {
		dirs = append([]string{dir}, dirs...)
	}
	var files []string
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			t.Logf("skipped: %s is absent", dir)
			continue
		}
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".onnx") {
				files = append(files, path)
			}
			return nil
		})
	}
	if len(files) == 0 {
		t.Skip("neither the ONNX backend test data nor ../shared/real is there")
	}
	return files
}
