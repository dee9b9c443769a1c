package runtimes

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
)

func TestCheckFeed(t *testing.T) {
	x := ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: []ir.Dim{{Size: -1, Param: "n"}, {Size: 2}}}
	g := &ir.Graph{
		Inputs: []ir.Value{{Name: "x", Type: x}, {Name: "w", Type: ir.TensorType(ir.Float32, 2)}, {Name: "k", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Int64}}},
		Inits:  []*ir.Tensor{ir.NewFloat32("w", []int{2}, []float32{1, 2})},
	}
	if got := strings.Join(FeedNames(g), " "); got != "x k" {
		t.Fatalf("want the inputs without an initialiser, got %q", got)
	}
	good := ir.NewFloat32("x", []int{3, 2}, make([]float32, 6))
	k := ir.NewInt64("k", nil, []int64{1})
	for _, c := range []struct {
		name, want string
		in         map[string]*ir.Tensor
	}{
		{"complete", "", map[string]*ir.Tensor{"x": good, "k": k}},
		{"initialiser replaced", "", map[string]*ir.Tensor{"x": good, "k": k, "w": ir.NewFloat32("w", []int{2}, []float32{3, 4})}},
		{"missing", `input "k": want a tensor, got nothing`, map[string]*ir.Tensor{"x": good}},
		{"other name", `want inputs ["x" "k"], got 1 tensors of other names`, map[string]*ir.Tensor{"x": good, "k": k, "z": k}},
		{"size", `input "x": want float32[n,2], got float32[2,3]`, map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{2, 3}, make([]float32, 6)), "k": k}},
		{"rank", `input "x": want float32[n,2]`, map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{2}, make([]float32, 2)), "k": k}},
		{"type", `input "k": want int64, got float32`, map[string]*ir.Tensor{"x": good, "k": good}},
		{"bytes", "want 24 bytes", map[string]*ir.Tensor{"x": {Name: "x", DType: ir.Float32, Dims: []int{3, 2}}, "k": k}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckFeed("test", g, c.in)
			if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestLabel(t *testing.T) {
	m := &ir.Model{Graph: &ir.Graph{Name: "net"}}
	for _, c := range []struct {
		src  Source
		want string
	}{{Source{Path: "a.onnx", Model: m}, "a.onnx"}, {Source{Model: m}, "net"}, {Source{Model: &ir.Model{Graph: &ir.Graph{}}}, "model"}} {
		if got := c.src.Label(); got != c.want {
			t.Errorf("want %q, got %q", c.want, got)
		}
	}
}
