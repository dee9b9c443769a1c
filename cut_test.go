package entangle_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// openConvs is conv, relu, conv over images whose sizes are left open.
func openConvs(sizes ...ir.Dim) *ir.Model {
	weight := func(name string, dims ...int) *ir.Tensor {
		v := make([]float32, ir.Prod(dims))
		for i := range v {
			v[i] = float32(i%7) - 3
		}
		return ir.NewFloat32(name, dims, v)
	}
	conv := func(name string, in, w, out string) *ir.Node {
		return &ir.Node{Name: name, OpType: "Conv", Inputs: []string{in, w}, Outputs: []string{out}, Attrs: []ir.Attr{ir.IntsAttr("kernel_shape", 3, 3), ir.IntsAttr("pads", 1, 1, 1, 1)}}
	}
	x := ir.TensorType(ir.Float32, -1, 3, -1, -1)
	x.Shape[0].Param = "N"
	copy(x.Shape[2:], sizes)
	y := ir.TensorType(ir.Float32, -1, 4, -1, -1)
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 13}}, Graph: &ir.Graph{
		Name: "g", Inputs: []ir.Value{{Name: "x", Type: x}}, Outputs: []ir.Value{{Name: "y", Type: y}},
		Inits: []*ir.Tensor{weight("w1", 16, 3, 3, 3), weight("w2", 4, 16, 3, 3)},
		Nodes: []*ir.Node{conv("one", "x", "w1", "a"), {Name: "relu", OpType: "Relu", Inputs: []string{"a"}, Outputs: []string{"b"}}, conv("two", "b", "w2", "y")},
	}}
}

// TestCutTakesSizesOfRecipe: a recipe made at some size is cut without naming it again, and
// what is written leaves the sizes as open as they were.
func TestCutTakesSizesOfRecipe(t *testing.T) {
	for _, c := range []struct {
		name  string
		dims  []ir.Dim
		given map[string]int // to Cut
		want  map[string]int // of the recipe
		taken map[string]int // from it
		bare  map[string]int // that suffices without
	}{
		{"named", []ir.Dim{{Size: -1, Param: "H"}, {Size: -1, Param: "W"}}, nil, map[string]int{"H": 8, "W": 6}, map[string]int{"H": 8, "W": 6}, map[string]int{"H": 9, "W": 9}},
		{"unnamed", []ir.Dim{{Size: -1}, {Size: -1}}, nil, map[string]int{"x_2": 8, "x_3": 6}, map[string]int{"x_2": 8, "x_3": 6}, map[string]int{ops.AnyDim: 9}},
		{"one given", []ir.Dim{{Size: -1, Param: "H"}, {Size: -1}}, map[string]int{"H": 4}, map[string]int{"H": 8, "x_3": 6}, map[string]int{"x_3": 6}, map[string]int{"H": 9, "x_3": 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := entangle.Normalise(openConvs(c.dims...))
			if err != nil {
				t.Fatal(err)
			}
			open := net.Open(m.Normal).Model
			bind := map[string]int{"N": 2}
			for i, n := range []int{8, 6} {
				bind[open.Graph.Inputs[0].Type.Shape[2+i].Param] = n
			}
			facts, err := ops.InferModel(open, bind)
			if err != nil {
				t.Fatal(err)
			}
			an, err := space.Analyse(open, facts)
			if err != nil {
				t.Fatal(err)
			}
			s, err := space.New(an, space.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			super, err := space.Entangle(an, s, space.Reader)
			if err != nil {
				t.Fatal(err)
			}
			r, err := subnet.NewRecipe(super, s.Smallest(), 1, "test")
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(r.Sizes, c.want) {
				t.Errorf("sizes of the recipe: want %v, got %v", c.want, r.Sizes)
			}
			cut, err := m.Cut(r, c.given)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(cut.Sizes, c.taken) {
				t.Errorf("sizes taken from it: want %v, got %v", c.taken, cut.Sizes)
			}
			if got := cut.Model.Graph.Init("w1").Dims[0]; got >= 16 {
				t.Errorf("w1: want fewer than 16 filters, got %d", got)
			}
			if want, got := m.Raw.Graph.Inputs[0].Type.String(), cut.Model.Graph.Inputs[0].Type.String(); want != got {
				t.Errorf("input: want %s as in the source, got %s", want, got)
			}
			r.Sizes = nil
			if _, err := m.Cut(r, nil); err == nil || !strings.Contains(err.Error(), "neither the recipe nor --dim gives") {
				t.Errorf("without sizes: want an error that says so, got %v", err)
			}
			if _, err := m.Cut(r, c.bare); err != nil {
				t.Errorf("with sizes given: %v", err)
			}
		})
	}
}
