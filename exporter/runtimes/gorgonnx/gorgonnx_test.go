package gorgonnx

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

const (
	nodes  = "/usr/share/libonnx-testdata/data/node/"
	models = "../../../../shared/real/"
)

func source(t *testing.T, path string) runtimes.Source {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
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
			src := source(t, nodes+name+"/model.onnx")
			src.Model = src.Model.Clone()
			src.Model.Opsets[0].Version = min(src.Model.Opsets[0].Version, maxOpset) // these operators have not changed since
			s, err := New().Open(src)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]*ir.Tensor{}
			for i, v := range src.Model.Graph.Inputs {
				in[v.Name] = tensor0(t, name, "input", i)
			}
			out, err := s.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range src.Model.Graph.Outputs {
				equal(t, tensor0(t, name, "output", i), out[v.Name])
			}
		})
	}
}

func tensor0(t *testing.T, name, kind string, i int) *ir.Tensor {
	t.Helper()
	x, err := importer.ReadTensor(nodes + name + "/test_data_set_0/" + kind + "_" + string(rune('0'+i)) + ".pb")
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

// TestRunTwice holds that a run leaves the weights as they were.
func TestRunTwice(t *testing.T) {
	s, err := New().Open(source(t, models+"mnist_cntk.onnx"))
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
	_, err := New().Open(source(t, models+"resnet20.onnx"))
	var u *runtimes.UnsupportedError
	if !errors.As(err, &u) {
		t.Fatalf("want an UnsupportedError, got %v", err)
	}
	for _, want := range []string{"opset 13", "Shape: no such operator", "Pad: no such operator"} {
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
