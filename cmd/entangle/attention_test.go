package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// oddDecoder is a language model of one block over 8 tokens, the heads of which have a
// projection each and are stacked by Concat: no axis of a weight holds them.
func oddDecoder() *ir.Model {
	const width, heads, deep, hidden, vocab, seq = 16, 2, 4, 32, 8, 8
	g := &ir.Graph{Name: "odd"}
	r := rng.New(1, "test/odd")
	weight := func(name string, dims ...int) string {
		v := make([]float32, ir.Prod(dims))
		for i := range v {
			v[i] = float32(r.NormFloat64() * 0.3)
		}
		g.Inits = append(g.Inits, ir.NewFloat32(name, dims, v))
		return name
	}
	node := func(out, op string, in []string, attrs ...ir.Attr) string {
		g.Nodes = append(g.Nodes, &ir.Node{Name: out, OpType: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
		return out
	}
	ids := ir.TensorType(ir.Int64, -1, seq)
	ids.Shape[0].Param = "batch"
	g.Inputs = []ir.Value{{Name: "ids", Type: ids}}
	g.Inits = append(g.Inits, ir.NewInt64("one", []int{1}, []int64{1}), ir.NewInt64("flat", []int{3}, []int64{0, 0, heads * deep}))
	low := make([]float32, seq*seq)
	for i := range low {
		if i%seq > i/seq {
			low[i] = -1e4
		}
	}
	g.Inits = append(g.Inits, ir.NewFloat32("causal", []int{seq, seq}, low))
	x := node("embedded", "Gather", []string{weight("table", vocab, width), "ids"})
	stacked := func(name string) string {
		var all []string
		for i := range heads {
			part := name + string(rune('0'+i))
			all = append(all, node(part+".up", "Unsqueeze", []string{node(part, "MatMul", []string{x, weight(part+".w", width, deep)}), "one"}))
		}
		return node(name, "Concat", all, ir.IntAttr("axis", 1))
	}
	q, k, v := stacked("q"), stacked("k"), stacked("v")
	scores := node("scores", "MatMul", []string{q, node("turned", "Transpose", []string{k}, ir.IntsAttr("perm", 0, 1, 3, 2))})
	p := node("odd.softmax", "Softmax", []string{node("masked", "Add", []string{scores, "causal"})}, ir.IntAttr("axis", -1))
	back := node("back", "Transpose", []string{node("mix", "MatMul", []string{p, v})}, ir.IntsAttr("perm", 0, 2, 1, 3))
	y := node("out", "MatMul", []string{node("joined", "Reshape", []string{back, "flat"}), weight("out.w", heads*deep, width)})
	x = node("first", "Add", []string{x, y})
	h := node("act", "Relu", []string{node("up", "MatMul", []string{x, weight("up.w", width, hidden)})})
	x = node("second", "Add", []string{x, node("down", "MatMul", []string{h, weight("down.w", hidden, width)})})
	node("logits", "MatMul", []string{x, weight("head.w", width, vocab)})
	logits := ir.TensorType(ir.Float32, -1, seq, vocab)
	logits.Shape[0].Param = "batch"
	g.Outputs = []ir.Value{{Name: "logits", Type: logits}}
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: g}
}

// squares writes a stream of 1500 tokens below 8.
func squares(t *testing.T, path string) {
	t.Helper()
	var raw []byte
	for i := range 1500 {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(i*i%8))
	}
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

// succeed runs a command that must end with exit code 0 and returns its stdout.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), append([]string{"entangle"}, args...), strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("%s: want exit code 0, got %d: %s", args[0], code, stderr.String())
	}
	return stdout.String()
}

// TestHeadWidths: with the kind head-width the heads of a decoder get narrower and stay
// as many; the recipe alone cuts the same model.
func TestHeadWidths(t *testing.T) {
	dir := t.TempDir()
	model, tokens, out, again := filepath.Join("..", "..", "models", "fixtures", "decoder.onnx"), filepath.Join(dir, "tokens.u16"), filepath.Join(dir, "small.onnx"), filepath.Join(dir, "again.onnx")
	squares(t, tokens)
	succeed(t, "compress", model, "--data", "lm:"+tokens, "--seq", "8", "--batch", "16", "--target", "macs=0.9", "--kinds", "head-width", "--divisor", "1",
		"--optimizer", "adamw", "--search-epochs", "0.5", "--epochs", "0", "--augment", "none", "--set", "inherit=original", "--threads", "1", "--no-verify", "-o", out, "-q")
	succeed(t, "extract", model, "--recipe", filepath.Join(dir, "small.run", "recipe.json"), "-o", again)
	read := func(path string) *ir.Graph {
		m, err := importer.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return m.Graph
	}
	full, small, cut := read(model), read(out), read(again)
	narrower := 0
	for _, w := range full.Inits {
		x, y := small.Init(w.Name), cut.Init(w.Name)
		if x == nil || y == nil {
			continue
		}
		if !bytes.Equal(x.Raw, y.Raw) {
			t.Errorf("weight %q: the compressed model and the recipe's differ", w.Name)
		}
		if w.DType.IsFloat() && ir.Prod(x.Dims) < ir.Prod(w.Dims) {
			narrower++
		}
	}
	if narrower == 0 {
		t.Error("no weight got smaller")
	}
}

// TestUnknownAttention: a model with an attention that is not recognised is inspected and
// compressed in its other dimensions, and the report names the node.
func TestUnknownAttention(t *testing.T) {
	dir := t.TempDir()
	model, tokens, out := filepath.Join(dir, "odd.onnx"), filepath.Join(dir, "tokens.u16"), filepath.Join(dir, "small.onnx")
	if err := exporter.Write(model, oddDecoder(), exporter.Options{}); err != nil {
		t.Fatal(err)
	}
	squares(t, tokens)
	entangle := func(args ...string) string { return succeed(t, args...) }
	const why = `the attention around "odd.softmax" is not recognised`
	if text := entangle("inspect", model); !strings.Contains(text, why) || !strings.Contains(text, "elastic: 32 units") || strings.Contains(text, "heads tied") {
		t.Errorf("inspect: want the reason %q, 32 elastic units and no elastic heads, got:\n%s", why, text)
	}
	text := entangle("compress", model, "--data", "lm:"+tokens, "--seq", "8", "--batch", "16", "--target", "macs=0.7", "--kinds", "width", "--divisor", "4",
		"--optimizer", "adamw", "--search-epochs", "1", "--search-lr", "0.005", "--epochs", "1", "--lr", "0.005", "--augment", "none", "--set", "refine=8", "--threads", "1", "-o", out, "-q")
	if os.Getenv("ONNXRUNTIME_LIB") != "" && !strings.Contains(text, "verified on") {
		t.Errorf("compress: want the result verified, got:\n%s", text)
	}
	m, err := importer.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	for name, full := range map[string][]int{"q0.w": {16, 4}, "k1.w": {16, 4}, "v0.w": {16, 4}} {
		if d := m.Graph.Init(name).Dims; d[1] != full[1] {
			t.Errorf("weight %q: want a head of %d positions as before, got %v", name, full[1], d)
		}
	}
	up, table := m.Graph.Init("up.w").Dims, m.Graph.Init("table").Dims
	if up[1] >= 32 && table[1] >= 16 {
		t.Errorf("want a smaller hidden layer or embedding, got %v and %v", up, table)
	}
}
