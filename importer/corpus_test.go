package importer_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
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

// Every model has a normal form that keeps its inputs (but for initialisers) and outputs.
func TestNormalCorpus(t *testing.T) {
	n := 0
	for _, f := range corpus(t) {
		raw, err := importer.Read(f)
		if err != nil {
			continue
		}
		before := raw.Clone()
		m, err := importer.Normal(raw)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if d := ir.Diff(before, raw); d != "" {
			t.Errorf("%s: Normal changed the raw model: %s", f, d)
		}
		if len(m.Graph.Outputs) != len(raw.Graph.Outputs) {
			t.Errorf("%s: outputs: want %d, got %d", f, len(raw.Graph.Outputs), len(m.Graph.Outputs))
		}
		for i, o := range m.Graph.Outputs {
			if o.Name != raw.Graph.Outputs[i].Name {
				t.Errorf("%s: output %d: want %q, got %q", f, i, raw.Graph.Outputs[i].Name, o.Name)
			}
		}
		if len(m.Functions) > 0 {
			t.Errorf("%s: %d functions are left", f, len(m.Functions))
		}
		n++
	}
	t.Logf("%d models normalised", n)
}

// The text form says everything about every model.
func TestTextFormCorpus(t *testing.T) {
	n := 0
	for _, f := range corpus(t) {
		m, err := importer.Read(f)
		if err != nil {
			continue
		}
		var b bytes.Buffer
		if err := ir.PrintFull(&b, m); err != nil {
			t.Fatal(err)
		}
		back, err := ir.Parse(b.String())
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if d := ir.Diff(m, back); d != "" {
			t.Errorf("%s: printed and parsed: %s", f, d)
			continue
		}
		n++
	}
	t.Logf("%d models printed and parsed", n)
}
