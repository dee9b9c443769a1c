package gorgonnx

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
)

func source(t *testing.T, path string) runtimes.Source {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("a model is absent: %v", err)
	}
	m, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return runtimes.Source{Path: path, Model: m}
}

// TestRunNodeCases runs official cases that Supports lets through.
func TestRunNodeCases(t *testing.T) {
	for _, name := range []string{"test_relu", "test_add", "test_globalaveragepool", "test_concat_2d_axis_1", "test_transpose_all_permutations_2", "test_maxpool_2d_default"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(testenv.Corpus(t), "node", name)
			src := source(t, filepath.Join(dir, "model.onnx"))
			s, err := New().Open(src)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]*ir.Tensor{}
			for i, v := range src.Model.Graph.Inputs {
				in[v.Name] = tensor0(t, dir, "input", i)
			}
			out, err := s.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range src.Model.Graph.Outputs {
				equal(t, tensor0(t, dir, "output", i), out[v.Name])
			}
		})
	}
}

func tensor0(t *testing.T, dir, kind string, i int) *ir.Tensor {
	t.Helper()
	x, err := importer.ReadTensor(filepath.Join(dir, "test_data_set_0", kind+"_"+string(rune('0'+i))+".pb"))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func equal(t *testing.T, want, got *ir.Tensor) {
	t.Helper()
	if want.Type().String() != got.Type().String() {
		t.Fatalf("want %s, got %s", want.Type(), got.Type())
	}
	a, _ := want.Float64s()
	b, _ := got.Float64s()
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-4*(1+math.Abs(a[i])) {
			t.Fatalf("element %d: want %v, got %v", i, a[i], b[i])
		}
	}
}

// TestTinyNetwork runs a network with several outputs against a second batch size:
// gorgonnx has another BatchNormalization for batches of one.
func TestTinyNetwork(t *testing.T) {
	src := source(t, "../../../models/fixtures/multi-output.onnx")
	s, err := New().Open(src)
	if err != nil {
		t.Fatal(err)
	}
	v := src.Model.Graph.Inputs[0]
	dims := v.Type.Sizes()
	run := func(n int) map[string]*ir.Tensor {
		dims[0] = n
		x := make([]float32, ir.Prod(dims))
		for i := range x {
			x[i] = float32(i%ir.Prod(dims[1:])%17)/8 - 1
		}
		out, err := s.Run(map[string]*ir.Tensor{v.Name: ir.NewFloat32(v.Name, dims, x)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	one, two := run(1), run(2)
	for _, o := range src.Model.Graph.Outputs {
		a, _ := one[o.Name].Float64s()
		b, _ := two[o.Name].Float64s()
		for i := range b {
			if math.Abs(b[i]-a[i%len(a)]) > 1e-4 {
				t.Fatalf("output %q, element %d: want %v, got %v", o.Name, i, a[i%len(a)], b[i])
			}
		}
	}
}

// TestRunTwice holds that a run leaves the weights as they were.
func TestRunTwice(t *testing.T) {
	s, err := New().Open(source(t, filepath.Join(testenv.Models(t), "mnist_cntk.onnx")))
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 28*28)
	for i := range x {
		x[i] = float32(i % 255)
	}
	var last *ir.Tensor
	for range 3 {
		out, err := s.Run(map[string]*ir.Tensor{"Input3": ir.NewFloat32("Input3", []int{1, 1, 28, 28}, x)})
		if err != nil {
			t.Fatal(err)
		}
		y := out["Plus214_Output_0"]
		if last != nil {
			equal(t, last, y)
		}
		last = y
	}
}

func TestSupportsListsEverything(t *testing.T) {
	_, err := New().Open(source(t, filepath.Join(testenv.Models(t), "resnet20.onnx")))
	var u *runtimes.UnsupportedError
	if !errors.As(err, &u) {
		t.Fatalf("want an UnsupportedError, got %v", err)
	}
	for _, want := range []string{"6 × Slice: no such operator", "Shape: no such operator", "Pad: no such operator"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}

func TestSupportsRules(t *testing.T) {
	for _, c := range []struct {
		name string
		node *ir.Node
		want string
	}{
		{"plain convolution", &ir.Node{OpType: "Conv", Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 3, 3), ir.IntsAttr("pads", 1, 1, 1, 1)}}, ""},
		{"groups", &ir.Node{OpType: "Conv", Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 3, 3), ir.IntAttr("group", 2)}}, "1 × Conv: groups"},
		{"unequal pads", &ir.Node{OpType: "Conv", Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 3, 3), ir.IntsAttr("pads", 0, 0, 1, 1)}}, "unequal pads"},
		{"one-dimensional", &ir.Node{OpType: "Conv", Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 3)}}, "not two-dimensional"},
		{"ceil", &ir.Node{OpType: "MaxPool", Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 2, 2), ir.IntAttr("ceil_mode", 1)}}, "ceil_mode"},
		{"two inputs", &ir.Node{OpType: "Gemm", Inputs: []string{"a", "b"}}, "no third input"},
		{"negative axis", &ir.Node{OpType: "Concat", Attrs: []ir.Attr{ir.IntAttr("axis", -1)}}, "negative axis"},
		{"mask output", &ir.Node{OpType: "Dropout", Outputs: []string{"y", "mask"}}, "more than one output"},
		{"axes as input", &ir.Node{OpType: "Squeeze", Inputs: []string{"x", "axes"}}, "axes as an input"},
		{"training", &ir.Node{OpType: "BatchNormalization", Attrs: []ir.Attr{ir.IntAttr("training_mode", 1)}}, "training_mode"},
		{"other domain", &ir.Node{OpType: "Relu", Domain: "com.example"}, "com.example.Relu: no such operator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Supports(&ir.Model{Opsets: []ir.Opset{{Version: 9}}, Graph: &ir.Graph{Nodes: []*ir.Node{c.node}}})
			if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestSupportsByOpset(t *testing.T) {
	m := &ir.Model{Opsets: []ir.Opset{{Version: 12}}, Graph: &ir.Graph{Nodes: []*ir.Node{{OpType: "Softmax"}}}}
	if err := Supports(m); err != nil {
		t.Fatal(err)
	}
	m.Opsets[0].Version = 13
	if err := Supports(m); err == nil {
		t.Fatal("want Softmax refused from opset 13 on")
	}
}

// TestNotImplementedIsUnsupported runs a model that passes Supports and that
// gorgonnx refuses when it sees the sizes: padding that differs between sides.
func TestNotImplementedIsUnsupported(t *testing.T) {
	src := source(t, "../../../models/fixtures/old-ir3.onnx")
	s, err := New().Open(src)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*ir.Tensor{}
	for _, name := range runtimes.FeedNames(src.Model.Graph) {
		for _, v := range src.Model.Graph.Inputs {
			if v.Name == name {
				dims := v.Type.Sizes()
				dims[0] = 1
				in[name] = ir.NewFloat32(name, dims, make([]float32, ir.Prod(dims)))
			}
		}
	}
	var u *runtimes.UnsupportedError
	if _, err := s.Run(in); !errors.As(err, &u) {
		t.Fatalf("want an UnsupportedError, got %v", err)
	}
}

func TestPanicsBecomeErrors(t *testing.T) {
	v := []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, 1)}}
	m := &ir.Model{Graph: &ir.Graph{Inputs: v, Outputs: v, Nodes: []*ir.Node{{OpType: "Relu"}}}}
	if _, err := New().Open(runtimes.Source{Data: []byte("no model"), Model: m}); err == nil {
		t.Fatal("want an error for bytes that are no model")
	}
	s := &session{label: "m"}
	var err error
	func() {
		defer s.catch("run", &err)
		panic("boom")
	}()
	if err == nil || !strings.Contains(err.Error(), "onnx-go panicked: boom") {
		t.Fatalf("want the panic as an error, got %v", err)
	}
}
