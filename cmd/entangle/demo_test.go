package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemo runs what make demo runs and holds its result to the promise: at most
// half the MACs, at most half a point of accuracy on the whole test set, equal
// to ONNX Runtime. It takes minutes: ENTANGLE_LONG=1 runs it.
func TestDemo(t *testing.T) {
	const (
		base = "../../models/pretrained/fashion.onnx"
		set  = "/usr/share/datasets/fashion-mnist"
	)
	if os.Getenv("ENTANGLE_LONG") == "" {
		t.Skip("ENTANGLE_LONG is not set: make test-long sets it")
	}
	for _, p := range []string{base, set, os.Getenv("ONNXRUNTIME_LIB")} {
		if _, err := os.Stat(p); err != nil {
			t.Skipf("a file of the demo is absent: %v", err)
		}
	}
	flags := makeVariable(t, "DEMO_FLAGS")
	out := filepath.Join(t.TempDir(), "half.onnx")
	args := append([]string{"entangle", "compress", base, "--data", "idx:" + set, "-o", out, "--json"}, strings.Fields(flags)...)
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("want exit code 0, got %d: %s", code, stderr.String())
	}
	type score struct{ Accuracy float64 }
	var r struct {
		Cost       map[string]float64 `json:"original_cost"`
		Original   struct{ Test score }
		Candidates []struct {
			Cost map[string]float64
			Test struct {
				Tuned score `json:"tuned"`
			}
		}
		Verification struct{ Pass bool }
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	best := r.Candidates[0]
	t.Logf("MACs %.0f of %.0f, accuracy %.4f of %.4f", best.Cost["macs"], r.Cost["macs"], best.Test.Tuned.Accuracy, r.Original.Test.Accuracy)
	if !(best.Cost["macs"] <= 0.5*r.Cost["macs"]) {
		t.Errorf("MACs: want at most half of %.0f, got %.0f", r.Cost["macs"], best.Cost["macs"])
	}
	if !(best.Test.Tuned.Accuracy >= r.Original.Test.Accuracy-0.005) {
		t.Errorf("accuracy: want at least %.4f − 0.005, got %.4f", r.Original.Test.Accuracy, best.Test.Tuned.Accuracy)
	}
	if !r.Verification.Pass {
		t.Error("want the result verified on ONNX Runtime")
	}
}

// makeVariable returns the value of a variable of the Makefile.
func makeVariable(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":="); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("Makefile: want a line %s := …, got none", name)
	return ""
}
