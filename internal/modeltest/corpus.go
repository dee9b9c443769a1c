package modeltest

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/testenv"
)

// Corpus returns the ONNX files of the ONNX backend test data and of the folder of
// pretrained models, or skips the test where there are none.
func Corpus(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, find := range []func() (string, error){testenv.FindCorpus, testenv.FindModels} {
		dir, err := find()
		if err != nil {
			t.Logf("left out: %v", err)
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
		t.Skip("no ONNX files: neither the ONNX backend test data nor pretrained models are there")
	}
	return files
}
