// Package orttest gives tests ONNX Runtime.
package orttest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/ir"
)

// Library returns the path of the shared library: what ONNXRUNTIME_LIB names, else what
// make deps put below root, the module's folder; "" when there is neither.
func Library(root string) string {
	if lib := os.Getenv("ONNXRUNTIME_LIB"); lib != "" {
		return lib
	}
	found, _ := filepath.Glob(filepath.Join(root, ".cache/onnxruntime/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// Open returns ONNX Runtime without graph optimisation, or skips the test where it is
// absent. The test's package stands in a folder of the module's.
func Open(t testing.TB) runtimes.Runtime {
	t.Helper()
	rt := ort.New(ort.Options{Library: Library(".."), NoOptimise: true})
	if _, err := rt.Describe(); err != nil {
		var gone *runtimes.UnavailableError
		if errors.As(err, &gone) {
			t.Skipf("ONNX Runtime is absent: %v", err)
		}
		t.Fatal(err)
	}
	return rt
}

// Session opens m, written as a file, on rt until the test ends.
func Session(t testing.TB, rt runtimes.Runtime, m *ir.Model) runtimes.Session {
	t.Helper()
	data, err := exporter.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Open(runtimes.Source{Data: data, Model: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Run returns what m computes on rt.
func Run(t testing.TB, rt runtimes.Runtime, m *ir.Model, in map[string]*ir.Tensor) map[string]*ir.Tensor {
	t.Helper()
	out, err := Session(t, rt, m).Run(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
