package exporter_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// The normal form of a model, written as a file, computes what the file it came
// from computes. Runs on the models whose normal form has other nodes and whose
// inputs the test data give as tensors; scalars are beyond the runtime's binding.
func TestNormalFormOnRuntime(t *testing.T) {
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		t.Skip("ONNXRUNTIME_LIB names no library: make test sets it")
	}
	rt := ort.New(ort.Options{Library: lib})
	equal, refused := 0, 0
	for _, f := range modeltest.Corpus(t) {
		raw, err := importer.Read(f)
		if err != nil {
			t.Fatal(err)
		}
		normal, err := importer.Normal(raw, importer.WithFold(ops.ConstantValues))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if len(normal.Graph.Nodes) == len(raw.Graph.Nodes) && len(normal.Graph.Inputs) == len(raw.Graph.Inputs) {
			continue
		}
		feed, err := recorded(f, normal)
		if err != nil || slices.ContainsFunc(raw.Graph.Outputs, func(v ir.Value) bool { return v.Type.Rank() < 1 }) {
			continue
		}
		b, err := exporter.Encode(normal)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		_, err = exporter.Verify(context.Background(),
			exporter.Subject{Source: runtimes.Source{Path: f, Model: raw}, Runtime: rt},
			exporter.Subject{Source: runtimes.Source{Data: b, Model: normal}, Runtime: rt},
			exporter.VerifyOptions{Inputs: func(yield func([2]exporter.Feed, error) bool) { yield([2]exporter.Feed{feed, feed}, nil) }})
		var missing *runtimes.UnavailableError
		var mismatch *exporter.MismatchError
		switch {
		case errors.As(err, &missing):
			t.Skipf("a runtime is absent: %v", err)
		case errors.As(err, &mismatch):
			t.Errorf("%s: %v", f, err)
		case err != nil:
			refused++
			t.Logf("%s: %v", f, err)
		default:
			equal++
		}
	}
	if equal == 0 {
		t.Error("no model was compared")
	}
	t.Logf("%d models equal, %d refused by the runtime", equal, refused)
}

// recorded reads the inputs of the first data set beside a model of the backend test data.
func recorded(model string, m *ir.Model) (exporter.Feed, error) {
	feed := exporter.Feed{}
	for i, in := range m.Graph.Inputs {
		x, err := importer.ReadTensor(filepath.Join(filepath.Dir(model), "test_data_set_0", fmt.Sprintf("input_%d.pb", i)))
		if err != nil {
			return nil, err
		}
		if len(x.Dims) == 0 {
			return nil, fmt.Errorf("input %q: want a rank of at least 1", in.Name)
		}
		feed[in.Name] = x
	}
	return feed, nil
}
