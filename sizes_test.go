package entangle_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// TestOpenSizes: what a model leaves open gets a size with which it infers, sums by their
// terms, and one that is given stays; with them, the heads of a decoder are elastic.
func TestOpenSizes(t *testing.T) {
	masked := func(name string) *ir.Model {
		m := decoder(t)
		g := m.Graph
		mask := ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "batch"}, {Size: 1}, {Size: 1}, {Size: -1, Param: name}}}
		g.Inputs = append(g.Inputs, ir.Value{Name: "mask", Type: mask})
		for i, n := range g.Nodes {
			if n.OpType == "Softmax" {
				n.Inputs[0] = "masked"
				add := &ir.Node{Name: "masked", OpType: "Add", Inputs: []string{"scores", "mask"}, Outputs: []string{"masked"}}
				g.Nodes = append(g.Nodes[:i:i], append([]*ir.Node{add}, g.Nodes[i:]...)...)
				break
			}
		}
		return m
	}
	short := decoder(t)
	short.Graph.Inits = append(short.Graph.Inits, ir.NewFloat32("places", []int{20, 8}, make([]float32, 160)), ir.NewInt64("from", []int{1}, []int64{0}))
	short.Graph.Nodes = append([]*ir.Node{
		{Name: "sizes", OpType: "Shape", Inputs: []string{"input_ids"}, Outputs: []string{"sizes"}, Attrs: []ir.Attr{ir.IntAttr("start", 1)}},
		{Name: "place", OpType: "Slice", Inputs: []string{"places", "from", "sizes"}, Outputs: []string{"place"}},
		short.Graph.Nodes[0],
		{Name: "placed", OpType: "Add", Inputs: []string{"x", "place"}, Outputs: []string{"placed"}},
	}, short.Graph.Nodes[1:]...)
	for _, n := range short.Graph.Nodes {
		if n.OpType == "MatMul" && n.Inputs[0] == "x" {
			n.Inputs[0] = "placed"
		}
	}
	for _, c := range []struct {
		name        string
		m           *ir.Model
		given, want map[string]int
	}{
		{"plain", decoder(t), nil, map[string]int{"seq": 64, "before": 64}},
		{"one given", decoder(t), map[string]int{"seq": 3}, map[string]int{"before": 64}},
		{"all given", decoder(t), map[string]int{"seq": 3, "before": 0}, nil},
		{"a sum", masked("before + seq"), map[string]int{"before": 5}, map[string]int{"seq": 64, "before + seq": 69}},
		{"a sum for calls of one token", masked("before + 1"), nil, map[string]int{"seq": 64, "before": 64, "before + 1": 128}},
		{"a short table", short, nil, map[string]int{"seq": 16, "before": 16}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := runtest.Wrap(c.m)
			got := m.OpenSizes(c.given)
			if !maps.Equal(got, c.want) {
				t.Fatalf("want %v, got %v", c.want, got)
			}
			sizes := maps.Clone(c.given)
			if sizes == nil {
				sizes = map[string]int{}
			}
			maps.Copy(sizes, got)
			an, err := m.Analyse(sizes)
			if err != nil {
				t.Fatal(err)
			}
			sp, err := space.New(an, space.Options{Divisor: 1})
			if err != nil {
				t.Fatal(err)
			}
			heads := 0
			for _, d := range sp.Dims {
				if strings.HasPrefix(d.Node, "q0") && len(d.Choices) == 4 {
					heads++
				}
			}
			if heads != 1 {
				t.Errorf("want the heads to be elastic, got %+v", sp.Dims)
			}
		})
	}
}
