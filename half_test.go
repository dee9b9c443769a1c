package entangle_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
)

// inHalves makes a model's floats those of half the width.
func inHalves(t *testing.T, m *ir.Model) *ir.Model {
	t.Helper()
	m = m.Clone()
	for i, x := range m.Graph.Inits {
		if x.DType != ir.Float32 {
			continue
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		if m.Graph.Inits[i], err = ir.NewFloats(x.Name, ir.Float16, x.Dims, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range [][]ir.Value{m.Graph.Inputs, m.Graph.Outputs} {
		for i := range list {
			if list[i].Type.Elem == ir.Float32 {
				list[i].Type.Elem = ir.Float16
			}
		}
	}
	return m
}

// TestHalfPrecision: a float16 file is searched, written in float16, and verified on ONNX
// Runtime where that is present.
func TestHalfPrecision(t *testing.T) {
	b := runtest.New(t, "resnet20-tiny")
	b.Job.Out, b.Job.Tune.Epochs, b.Job.ORTLib = filepath.Join(t.TempDir(), "small.onnx"), 1, os.Getenv("ONNXRUNTIME_LIB")
	b.Job.Verify = b.Job.ORTLib != ""
	p, err := entangle.Prepare(runtest.Wrap(inHalves(t, b.Model)), b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Run(context.Background(), entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v := out.Verification; b.Job.Verify && (v == nil || !v.Pass || len(v.Sizes) == 0 || v.Random) {
		t.Errorf("want it verified on samples at two batches, got %s", v)
	}
	m, err := entangle.Import(b.Job.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(m.Raw.Graph.Inputs, m.Raw.Graph.Outputs...) {
		if v.Type.Elem != ir.Float16 {
			t.Errorf("%s: want float16, got %s", v.Name, v.Type)
		}
	}
	for _, x := range m.Raw.Graph.Inits {
		if x.DType == ir.Float32 {
			t.Errorf("initialiser %q: want float16, got float32", x.Name)
		}
	}
}

// TestFileBytes: files beside the original count, and a library that cannot be loaded ends a
// run before it begins.
func TestFileBytes(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := exporter.Write(path, b.Model, exporter.Options{External: true}); err != nil {
		t.Fatal(err)
	}
	var want int64
	for _, name := range []string{path, path + ".data"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		want += info.Size()
	}
	m, err := entangle.Import(path)
	if err != nil {
		t.Fatal(err)
	}
	b.Job.Out, b.Job.Method, b.Job.Tune.Epochs = filepath.Join(dir, "s.onnx"), "uniform", 0
	b.Job.ORTLib = path
	p, err := entangle.Prepare(m, b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	var job *entangle.JobError
	if _, err := p.Run(context.Background(), entangle.Options{}); !errors.As(err, &job) || !strings.Contains(err.Error(), "ort_lib: ") {
		t.Errorf("want a JobError of ort_lib, got %v", err)
	}
	if _, err := os.Stat(p.Job.Folder()); err == nil {
		t.Error("want no run folder")
	}
	p.Job.ORTLib, p.Job.Verify = "", false
	out, err := p.Run(context.Background(), entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out.Files[0].Bytes != want || out.Unverified == "" {
		t.Errorf("want %d bytes of the original, unverified, got %d, %q", want, out.Files[0].Bytes, out.Unverified)
	}
}
