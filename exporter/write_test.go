package exporter_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
)

func TestCorpusIsLossless(t *testing.T) {
	n := 0
	for _, f := range modeltest.Corpus(t) {
		m, err := importer.Read(f)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		b, err := exporter.Encode(m)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		back, err := importer.Decode(b, "")
		if err != nil {
			t.Errorf("%s: read back: %v", f, err)
			continue
		}
		if d := ir.Diff(m, back); d != "" {
			t.Errorf("%s: written and read back: %s", f, d)
			continue
		}
		again, err := exporter.Encode(back)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s: the same model gives other bytes (%v)", f, err)
			continue
		}
		n++
	}
	t.Logf("%d models unchanged", n)
}

// net is y = Relu(x·w + b) with a weight of 4 KiB.
func net() *ir.Model {
	w := make([]float32, 1024)
	for i := range w {
		w[i] = float32(i) / 7
	}
	return &ir.Model{
		IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, ProducerName: "test", Doc: "a net",
		Meta: []ir.Prop{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}},
		Graph: &ir.Graph{
			Name:    "g",
			Inputs:  []ir.Value{{Name: "x", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "batch"}, {Size: 32}}}}},
			Outputs: []ir.Value{{Name: "y", Type: ir.TensorType(ir.Float32, -1, 32)}},
			Inits:   []*ir.Tensor{ir.NewFloat32("w", []int{32, 32}, w), ir.NewFloat32("b", []int{32}, w[:32])},
			Nodes: []*ir.Node{
				{Name: "fc", OpType: "Gemm", Inputs: []string{"x", "w", "b"}, Outputs: []string{"h"}, Attrs: []ir.Attr{ir.FloatAttr("alpha", 1)}},
				{Name: "act", OpType: "Relu", Inputs: []string{"h"}, Outputs: []string{"y"}},
			},
		},
	}
}

func TestWriteExternal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.onnx")
	m := net()
	if err := exporter.Write(path, m, exporter.Options{External: true, Threshold: 64}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + ".data")
	if err != nil {
		t.Fatal(err)
	}
	if want := 4096 + 128; len(data) != want {
		t.Errorf("side file: want %d bytes (the second tensor on its own page), got %d", want, len(data))
	}
	if !bytes.Equal(data[4096:], m.Graph.Inits[1].Raw) {
		t.Error("side file: the second tensor is not at byte 4096")
	}
	back, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := ir.Diff(m, back); d != "" {
		t.Errorf("read back: %s", d)
	}
	if left := entries(t, filepath.Dir(path)); len(left) != 2 {
		t.Errorf("want the model and its side file, got %v", left)
	}
}

func TestWriteInlineHasNoSideFile(t *testing.T) {
	for _, opts := range []exporter.Options{{}, {External: true, Threshold: 1 << 20}} {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := exporter.Write(path, net(), opts); err != nil {
			t.Fatal(err)
		}
		if left := entries(t, filepath.Dir(path)); len(left) != 1 || left[0] != "net.onnx" {
			t.Errorf("%+v: want net.onnx alone, got %v", opts, left)
		}
	}
}

// A model that cannot be written leaves the files that were there as they were.
func TestWriteLeavesNothingBehind(t *testing.T) {
	for _, external := range []bool{false, true} {
		dir := t.TempDir()
		path := filepath.Join(dir, "net.onnx")
		opts := exporter.Options{External: external, Threshold: 64}
		if err := exporter.Write(path, net(), opts); err != nil {
			t.Fatal(err)
		}
		before, names := contents(t, dir), entries(t, dir)
		bad := net()
		bad.Graph.Nodes[1].Inputs[0] = "nowhere"
		if err := exporter.Write(path, bad, opts); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
			t.Errorf("want an error that names the missing value, got %v", err)
		}
		if after := contents(t, dir); after != before {
			t.Errorf("external %t: the failed write changed the files: %v then %v", external, names, entries(t, dir))
		}
	}
}

// The model's place is taken by a folder, so the last rename fails after the side file is in place.
func TestWriteRestoresSideFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "net.onnx")
	if err := os.MkdirAll(filepath.Join(path, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".data", []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := exporter.Write(path, net(), exporter.Options{External: true, Threshold: 64}); err == nil {
		t.Fatal("want an error: the path is a folder")
	}
	if b, _ := os.ReadFile(path + ".data"); string(b) != "old" {
		t.Errorf("side file: want the old contents, got %d bytes", len(b))
	}
	if left := entries(t, dir); len(left) != 2 {
		t.Errorf("want the folder and the old side file, got %v", left)
	}
}

func TestWriteToMissingFolder(t *testing.T) {
	if err := exporter.Write(filepath.Join(t.TempDir(), "no", "net.onnx"), net(), exporter.Options{}); err == nil {
		t.Error("want an error: the folder does not exist")
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range entries(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + "\x00" + string(data) + "\x00")
	}
	return b.String()
}
