//go:build cgo

package ort

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
)

// open returns a session, or skips the test where the library or the file is absent.
func open(t *testing.T, path string, o Options) runtimes.Session {
	t.Helper()
	if o.Library = os.Getenv("ONNXRUNTIME_LIB"); o.Library == "" {
		t.Skip("ONNXRUNTIME_LIB names no library: make test sets it")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("a model is absent: %v", err)
	}
	m, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(o).Open(runtimes.Source{Path: path, Model: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRunNodeCases(t *testing.T) {
	for _, name := range []string{"test_conv_with_strides_padding", "test_cast_FLOAT_to_DOUBLE", "test_cast_FLOAT_to_FLOAT16", "test_shape", "test_and2d", "test_argmax_keepdims_example", "test_bitshift_left_uint8", "test_add_uint8"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(testenv.Corpus(t), "node", name)
			path := filepath.Join(dir, "model.onnx")
			s := open(t, path, Options{})
			m, err := importer.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]*ir.Tensor{}
			for i, v := range m.Graph.Inputs {
				in[v.Name] = readTensor(t, dir, "input", i)
			}
			out, err := s.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range m.Graph.Outputs {
				same(t, readTensor(t, dir, "output", i), out[v.Name])
			}
		})
	}
}

func readTensor(t *testing.T, dir, kind string, i int) *ir.Tensor {
	t.Helper()
	x, err := importer.ReadTensor(filepath.Join(dir, "test_data_set_0", kind+"_"+string(rune('0'+i))+".pb"))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func same(t *testing.T, want, got *ir.Tensor) {
	t.Helper()
	if got.Type().String() != want.Type().String() {
		t.Fatalf("want %s, got %s", want.Type(), got.Type())
	}
	if !want.DType.IsFloat() {
		if !bytes.Equal(want.Raw, got.Raw) {
			t.Fatalf("want %v, got %v", want.Raw, got.Raw)
		}
		return
	}
	a, _ := want.Float64s()
	b, _ := got.Float64s()
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-5*(1+math.Abs(a[i])) {
			t.Fatalf("element %d: want %v, got %v", i, a[i], b[i])
		}
	}
}

func TestThreadsAndOptimisationGiveEqualResults(t *testing.T) {
	path := filepath.Join(testenv.Models(t), "resnet20.onnx")
	x := make([]float32, 2*3*32*32)
	for i := range x {
		x[i] = float32(i%13)/6 - 1
	}
	var outs []*ir.Tensor
	for _, o := range []Options{{Threads: 1}, {Threads: 2, NoOptimise: true}} {
		s := open(t, path, o)
		out, err := s.Run(map[string]*ir.Tensor{"input": ir.NewFloat32("input", []int{2, 3, 32, 32}, x)})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out {
			outs = append(outs, v)
		}
	}
	a, _ := outs[0].Float64s()
	b, _ := outs[1].Float64s()
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-4 {
			t.Fatalf("element %d: want %v, got %v", i, a[i], b[i])
		}
	}
}

func TestRunErrors(t *testing.T) {
	s := open(t, filepath.Join(testenv.Models(t), "resnet20.onnx"), Options{})
	var feed *runtimes.FeedError
	if _, err := s.Run(nil); !errors.As(err, &feed) || !strings.Contains(err.Error(), `input "input": want a tensor, got nothing`) {
		t.Errorf("want a FeedError, got %v", err)
	}
	bad := ir.NewFloat32("input", []int{1, 3, 32, 31}, make([]float32, 3*32*31))
	if _, err := s.Run(map[string]*ir.Tensor{"input": bad}); !errors.As(err, &feed) {
		t.Errorf("want a FeedError for a wrong shape, got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("want a second Close to be harmless, got %v", err)
	}
	good := ir.NewFloat32("input", []int{1, 3, 32, 32}, make([]float32, 3*32*32))
	if _, err := s.Run(map[string]*ir.Tensor{"input": good}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("want an error of the closed session, got %v", err)
	}
}

func TestOpenMalformed(t *testing.T) {
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		t.Skip("ONNXRUNTIME_LIB names no library: make test sets it")
	}
	v := []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 1)}}
	m := &ir.Model{Graph: &ir.Graph{Inputs: v, Outputs: v}}
	rt := New(Options{Library: lib})
	if _, err := rt.Open(runtimes.Source{Data: []byte("no model"), Model: m}); err == nil {
		t.Error("want an error for bytes that are no model")
	}
	if _, err := rt.Open(runtimes.Source{Data: []byte{}, Model: m}); err == nil {
		t.Error("want an error for no bytes")
	}
	info, err := rt.Describe()
	if err != nil || !strings.HasPrefix(info.Version, "ONNX Runtime 1.") || info.Threads != 1 {
		t.Errorf("want a version and 1 thread, got %+v, %v", info, err)
	}
}

func TestMissingLibrary(t *testing.T) {
	var missing *runtimes.UnavailableError
	_, err := New(Options{Library: filepath.Join(t.TempDir(), "none.so")}).Describe()
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "none.so") {
		t.Fatalf("want an UnavailableError that names the file, got %v", err)
	}
}

// TestHalves: inputs and outputs of float16, whose open sizes follow from the inputs'.
func TestHalves(t *testing.T) {
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		t.Skip("ONNXRUNTIME_LIB names no library: make test sets it")
	}
	typ := func(name string) ir.Value {
		return ir.Value{Name: name, Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Float16, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "n"}, {Size: 3}}}}
	}
	m := &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{Name: "half", Inputs: []ir.Value{typ("x")}, Outputs: []ir.Value{typ("y")},
		Nodes: []*ir.Node{{OpType: "Add", Inputs: []string{"x", "x"}, Outputs: []string{"y"}}}}}
	data, err := exporter.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Library: lib}).Open(runtimes.Source{Data: data, Model: m})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, rows := range []int{1, 4} {
		v := make([]float64, 3*rows)
		for i := range v {
			v[i] = float64(i) - 2.5
		}
		x, err := ir.NewFloats("x", ir.Float16, []int{rows, 3}, v)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(map[string]*ir.Tensor{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		got, err := out["y"].Float64s()
		if err != nil || out["y"].DType != ir.Float16 || !slices.Equal(out["y"].Dims, []int{rows, 3}) {
			t.Fatalf("want float16[%d,3], got %s, %v", rows, out["y"].Type(), err)
		}
		for i := range v {
			if got[i] != 2*v[i] {
				t.Errorf("element %d: want %g, got %g", i, 2*v[i], got[i])
			}
		}
	}
}
