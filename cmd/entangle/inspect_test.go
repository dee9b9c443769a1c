package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/ir"
)

// TestInspectLoweredListsWhatIsMissing: operators without a lowering are named at once.
func TestInspectLoweredListsWhatIsMissing(t *testing.T) {
	m, err := ir.Parse(`model { ir 8 opset _ 17 opset com.example 1 } graph g { input x float32[2] output y float32[2]
		node a: (a) = com.example.Fizz(x) node b: (b) = Relu(a) node c: (c) = com.example.Buzz(b) node d: (y) = com.example.Fizz(c) }`)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := exporter.Write(path, m, exporter.Options{}); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"entangle", "inspect", path, "--stage", "lowered"}, strings.NewReader(""), &stdout, &stderr)
	const want = `lower: unsupported operators: com.example.Buzz ×1 (no rule; nodes "c"); com.example.Fizz ×2 (no rule; nodes "a", "d")`
	if code != exitModel || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
		t.Errorf("want code %d and %q, got %d and %q, with stdout %q", exitModel, want, code, stderr.String(), stdout.String())
	}
}
