package native

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

func open(t *testing.T, rt runtimes.Runtime, path string) (runtimes.Session, *ir.Graph) {
	t.Helper()
	raw, err := importer.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Open(runtimes.Source{Path: path, Model: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, m.Graph
}

func feed(g *ir.Graph, batch int) map[string]*ir.Tensor {
	v := g.Inputs[0]
	dims := v.Type.Sizes()
	dims[0] = batch
	x := make([]float32, ir.Prod(dims))
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	return map[string]*ir.Tensor{v.Name: ir.NewFloat32(v.Name, dims, x)}
}

// TestSizesMayChange runs one session at several batch sizes; the first sample
// must not notice.
func TestSizesMayChange(t *testing.T) {
	for _, rt := range []runtimes.Runtime{
		New(cpu.New(cpu.Options{Threads: 1}), Options{Float: prim.F32}),
		New(ref.New(), Options{Float: prim.F64}),
	} {
		t.Run(rt.Name(), func(t *testing.T) {
			s, g := open(t, rt, "../../../models/fixtures/resnet20a.onnx")
			name := g.Outputs[0].Name
			var first []float64
			for _, n := range []int{1, 3, 1} {
				out, err := s.Run(feed(g, n))
				if err != nil {
					t.Fatal(err)
				}
				y := out[name]
				if y.DType != ir.Float32 || y.Dims[0] != n {
					t.Fatalf("want float32 and batch %d, got %s", n, y.Type())
				}
				v, _ := y.Float64s()
				if first == nil {
					first = v
				}
				for i := range first {
					if math.Abs(first[i]-v[i]) > 1e-5 {
						t.Fatalf("batch %d, element %d: want %v, got %v", n, i, first[i], v[i])
					}
				}
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	v := ir.TensorType(ir.Float32, 2)
	m := &ir.Model{Opsets: []ir.Opset{{Version: 17}, {Domain: "com.example", Version: 1}}, Graph: &ir.Graph{
		Inputs:  []ir.Value{{Name: "x", Type: v}},
		Outputs: []ir.Value{{Name: "y", Type: v}},
		Nodes:   []*ir.Node{{Name: "n", OpType: "Strange", Domain: "com.example", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}}
	s, err := New(ref.New(), Options{Float: prim.F64}).Open(runtimes.Source{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Run(map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{2}, []float32{1, 2})})
	var u *runtimes.UnsupportedError
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "com.example.Strange") {
		t.Fatalf("want an UnsupportedError that names the operator, got %v", err)
	}
}

func TestInputsMustAgreeOnADimension(t *testing.T) {
	typ := ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "n"}}}
	m := &ir.Model{Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs:  []ir.Value{{Name: "a", Type: typ}, {Name: "b", Type: typ}},
		Outputs: []ir.Value{{Name: "y", Type: typ}},
		Nodes:   []*ir.Node{{Name: "add", OpType: "Add", Inputs: []string{"a", "b"}, Outputs: []string{"y"}}},
	}}
	s, err := New(ref.New(), Options{Float: prim.F64}).Open(runtimes.Source{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*ir.Tensor{"a": ir.NewFloat32("a", []int{2}, []float32{1, 2}), "b": ir.NewFloat32("b", []int{1}, []float32{5})}
	if _, err := s.Run(in); err == nil || !strings.Contains(err.Error(), `dimension "n": want 2`) {
		t.Fatalf("want an error of dimension n, got %v", err)
	}
	in["b"] = ir.NewFloat32("b", []int{2}, []float32{5, 6})
	out, err := s.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := out["y"].Float32s(); v[0] != 6 || v[1] != 8 {
		t.Fatalf("want [6 8], got %v", v)
	}
}
