package importer_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
)

const backendData = "/usr/share/libonnx-testdata"

// corpus returns the models of the ONNX backend test data and of ../shared/real.
func corpus(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{backendData, "../../shared/real"} {
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
		t.Skip("neither " + backendData + " nor ../shared/real is there")
	}
	return files
}

func TestReadCorpus(t *testing.T) {
	n := 0
	for _, f := range corpus(t) {
		if _, err := importer.Read(f); err != nil {
			t.Errorf("%v", err)
			continue
		}
		n++
	}
	t.Logf("%d models read", n)
}
