package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/ir"
)

// detector writes a small detector with its NonMaxSuppression.
func detector(t *testing.T) string {
	t.Helper()
	m, err := ir.Parse(`model { ir 8 opset _ 13 }
graph g {
  input image float32[N, 1, 8, 8]
  output selected int64[K, 3]
  output boxes float32[N, P, 4]
  input w0 float32[16, 1, 3, 3]
  input w1 float32[16, 16, 3, 3]
  input wb float32[4, 16, 1, 1]
  input ws float32[2, 16, 1, 1]
  init flat4 int64[3] = [0, 4, -1]
  init flat2 int64[3] = [0, 2, -1]
  init most int64[1] = [3]
  node conv0: (c0) = Conv(image, w0) pads=[1, 1, 1, 1]
  node relu0: (r0) = Relu(c0)
  node conv1: (c1) = Conv(r0, w1) pads=[1, 1, 1, 1]
  node relu1: (f) = Relu(c1)
  node box: (b0) = Conv(f, wb)
  node boxflat: (b1) = Reshape(b0, flat4)
  node boxes: (boxes) = Transpose(b1) perm=[0, 2, 1]
  node score: (s0) = Conv(f, ws)
  node scoreflat: (s1) = Reshape(s0, flat2)
  node sigmoid: (scores) = Sigmoid(s1)
  node nms: (selected) = NonMaxSuppression(boxes, scores, most)
}
`)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 9))
	g := m.Graph
	for _, v := range g.Inputs[1:] {
		x := make([]float32, ir.Prod(v.Type.Sizes()))
		for i := range x {
			x[i] = float32(r.NormFloat64() * 0.3)
		}
		g.Inits = append(g.Inits, ir.NewFloat32(v.Name, v.Type.Sizes(), x))
	}
	g.Inputs = g.Inputs[:1]
	path := filepath.Join(t.TempDir(), "detector.onnx")
	if err := entangle.Export(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTails: what the verbs say of a model with a tail.
func TestTails(t *testing.T) {
	path := detector(t)
	dir := filepath.Dir(path)
	space := filepath.Join(dir, "space.yaml")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string // patterns
	}{
		{"inspect " + path, 0, `(?m)^learns at boxes, scores \(before NonMaxSuppression "nms"\); 1 node behind is kept, and counted in no cost$`, ""},
		{"inspect " + path, 0, `(?m)^nms .* behind where learning ends: it stays as it is$`, ""},
		{"inspect " + path, 0, `"scores" keeps its shape: what stays as it is reads it`, ""},
		{"inspect --json " + path, 0, `"learns_at": \[\s*"boxes",\s*"scores"\s*\]`, ""},
		{"inspect --stage lowered " + path, 0, `(?m)^output "scores"`, `note: the program of what is before the tail: learns at boxes, scores`},
		{"space --divisor 4 -o " + space + " " + path, 0, "width", `note: learns at boxes, scores`},
		{"space --divisor 4 --learn-at s1,b1 --force --json -o " + space + " " + path, 0, `"learns_at": "learns at b1, s1 \(before Transpose \\"boxes\\", Sigmoid \\"sigmoid\\"\)`, `note: learns at b1, s1`},
		{"space --learn-at s11 --force -o " + space + " " + path, 2, "", `^entangle: learn_at: the model has no tensor "s11" \(did you mean s1`},
		{"verify --runtime ref --latency 0 " + path, 0, `(?m)^scores +float32\[1,2,64\]`, `note: .*detector.onnx is compared where its tail begins: boxes, scores`},
		{"verify --runtime ref --latency 0 " + path, 0, `equal within the tolerance`, ""},
		{"extract --force -o " + filepath.Join(dir, "back.onnx") + " " + path, 0, "back.onnx", ""},
	} {
		t.Run(strings.Join(strings.Fields(c.args)[:2], " "), func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.Background(), append([]string{"entangle"}, strings.Fields(c.args)...), strings.NewReader(""), &out, &errs)
			if code != c.code || !regexp.MustCompile(c.stdout).MatchString(out.String()) || !regexp.MustCompile(c.stderr).MatchString(errs.String()) {
				t.Errorf("entangle %s: want code %d, %q and %q, got code %d,\n%s\n%s", c.args, c.code, c.stdout, c.stderr, code, out.String(), errs.String())
			}
		})
	}
}
