package ops_test

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// layoutModel is a chain of layout nodes over x [N, …] → y [N, …].
func layoutModel(opset int, x []int, inits []*ir.Tensor, nodes ...*ir.Node) *ir.Model {
	d := []ir.Dim{sym("N")}
	for _, n := range x {
		d = append(d, size(n))
	}
	return &ir.Model{
		Opsets: []ir.Opset{{Version: int64(opset)}},
		Graph: &ir.Graph{
			Inputs:  []ir.Value{{Name: "x", Type: dims(d...)}},
			Outputs: []ir.Value{{Name: "y"}},
			Inits:   inits,
			Nodes:   nodes,
		},
	}
}

// TestLayoutCuts cuts channels through chains that move them, batch size symbolic:
// the cut model agrees with the full one, and infers the same batch symbol.
func TestLayoutCuts(t *testing.T) {
	cases := []struct {
		name  string
		m     *ir.Model
		units int // classes that can be cut
		gone  int // positions of x axis 1 in the first class
	}{
		{"channel shuffle", layoutModel(13, []int{8, 2, 3},
			[]*ir.Tensor{vec("split", 0, 2, 4, 2, 3), vec("join", 0, -1, 2, 3)},
			node("Reshape", []string{"x", "split"}, []string{"a"}),
			node("Transpose", []string{"a"}, []string{"b"}, ir.IntsAttr("perm", 0, 2, 1, 3, 4)),
			node("Reshape", []string{"b", "join"}, []string{"y"})), 4, 2},
		{"flatten behind a literal target", layoutModel(13, []int{4, 2, 3},
			[]*ir.Tensor{vec("t", -1, 24)},
			node("Reshape", []string{"x", "t"}, []string{"y"})), 4, 1},
		{"flatten in channels-last order", layoutModel(13, []int{5, 3, 3},
			nil,
			node("Transpose", []string{"x"}, []string{"a"}, ir.IntsAttr("perm", 0, 2, 3, 1)),
			node("Flatten", []string{"a"}, []string{"y"}, ir.IntAttr("axis", 1))), 5, 1},
		{"view with a computed batch and literal sizes", layoutModel(13, []int{6, 2, 2},
			[]*ir.Tensor{ir.NewInt64("zero", nil, []int64{0}), vec("axes", 0), vec("rest", 6, 4)},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "zero"}, []string{"n"}),
			node("Unsqueeze", []string{"n", "axes"}, []string{"n1"}),
			node("Concat", []string{"n1", "rest"}, []string{"t"}, ir.IntAttr("axis", 0)),
			node("Reshape", []string{"x", "t"}, []string{"y"})), 6, 1},
		{"uneven split and concat in another order", layoutModel(13, []int{7, 2},
			[]*ir.Tensor{vec("l", 2, 5)},
			node("Split", []string{"x", "l"}, []string{"a", "b"}, ir.IntAttr("axis", 1)),
			node("Concat", []string{"b", "a"}, []string{"y"}, ir.IntAttr("axis", 1))), 7, 1},
		{"equal split that becomes uneven", layoutModel(18, []int{6, 2}, nil,
			node("Split", []string{"x"}, []string{"a", "b"}, ir.IntAttr("axis", 1), ir.IntAttr("num_outputs", 2)),
			node("Concat", []string{"b", "a"}, []string{"y"}, ir.IntAttr("axis", 1))), 6, 1},
		{"split by attribute", layoutModel(11, []int{6, 2}, nil,
			node("Split", []string{"x"}, []string{"a", "b"}, ir.IntAttr("axis", 1)),
			node("Concat", []string{"b", "a"}, []string{"y"}, ir.IntAttr("axis", 1))), 6, 1},
		{"slices and a reversal", layoutModel(13, []int{6, 2},
			[]*ir.Tensor{vec("s", 1), vec("e", 5), vec("a", 1), vec("s2", -1), vec("e2", -100), vec("step", -1)},
			node("Slice", []string{"x", "s", "e", "a"}, []string{"b"}),
			node("Slice", []string{"b", "s2", "e2", "a", "step"}, []string{"y"})), 6, 1},
		{"slice by attributes", layoutModel(9, []int{6, 2}, nil,
			node("Slice", []string{"x"}, []string{"y"}, ir.IntsAttr("axes", 1), ir.IntsAttr("starts", -4), ir.IntsAttr("ends", 6))), 6, 1},
		{"shortcut padded with zero channels", layoutModel(13, []int{4, 3},
			[]*ir.Tensor{vec("p", 0, 2, 0, 0, 1, 0)},
			node("Pad", []string{"x", "p"}, []string{"y"})), 7, 0},
		{"cropped and padded", layoutModel(13, []int{5, 3},
			[]*ir.Tensor{vec("p", 0, -2, 0, 0, 1, 0)},
			node("Pad", []string{"x", "p"}, []string{"y"})), 6, 1},
		{"gather in another order", layoutModel(13, []int{4, 3},
			[]*ir.Tensor{vec("i", 3, 0, -2, 1, 3)},
			node("Gather", []string{"x", "i"}, []string{"y"}, ir.IntAttr("axis", 1))), 4, 1},
		{"tiled", layoutModel(13, []int{3, 2},
			[]*ir.Tensor{vec("r", 1, 2, 1)},
			node("Tile", []string{"x", "r"}, []string{"y"})), 3, 1},
		{"pixel shuffle by hand", layoutModel(13, []int{12, 2, 2},
			[]*ir.Tensor{vec("t", -1, 3, 2, 2, 2, 2), vec("u", -1, 3, 4, 4)},
			node("Reshape", []string{"x", "t"}, []string{"a"}),
			node("Transpose", []string{"a"}, []string{"b"}, ir.IntsAttr("perm", 0, 1, 4, 2, 5, 3)),
			node("Reshape", []string{"b", "u"}, []string{"y"})), 3, 4},
		{"squeeze and unsqueeze", layoutModel(13, []int{4, 1, 1},
			[]*ir.Tensor{vec("a", 2, 3)},
			node("Squeeze", []string{"x", "a"}, []string{"b"}),
			node("Unsqueeze", []string{"b", "a"}, []string{"y"})), 4, 1},
		{"repeated from one channel to as many as another value has", layoutModel(13, []int{4, 2},
			[]*ir.Tensor{vec("one", 1), vec("c", 1), ir.NewFloat32("token", []int{1, 1, 2}, []float32{1, -2})},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "c"}, []string{"n"}, ir.IntAttr("axis", 0)),
			node("Concat", []string{"one", "n", "one"}, []string{"r"}, ir.IntAttr("axis", 0)),
			node("Tile", []string{"token", "r"}, []string{"t"}),
			node("Add", []string{"x", "t"}, []string{"y"})), 4, 1},
		{"repeated by literal counts", layoutModel(13, []int{4, 2},
			[]*ir.Tensor{vec("r", 1, 4, 1), ir.NewFloat32("token", []int{1, 1, 2}, []float32{1, -2})},
			node("Tile", []string{"token", "r"}, []string{"t"}),
			node("Add", []string{"x", "t"}, []string{"y"})), 4, 1},
		{"expanded to the sizes of another value", layoutModel(13, []int{4, 2},
			[]*ir.Tensor{ir.NewFloat32("token", []int{1, 1, 2}, []float32{1, -2})},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Expand", []string{"token", "s"}, []string{"t"}),
			node("Add", []string{"x", "t"}, []string{"y"})), 4, 1},
		{"filled to half literal sizes", layoutModel(13, []int{4, 2},
			[]*ir.Tensor{vec("b", 0), vec("rest", 4, 1)},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "b"}, []string{"n"}, ir.IntAttr("axis", 0)),
			node("Concat", []string{"n", "rest"}, []string{"t"}, ir.IntAttr("axis", 0)),
			node("ConstantOfShape", []string{"t"}, []string{"f"}, ir.TensorAttr("value", ir.NewFloat32("", []int{1}, []float32{3}))),
			node("Add", []string{"x", "f"}, []string{"y"})), 4, 1},
		{"halves by computed bounds", layoutModel(13, []int{6, 2},
			[]*ir.Tensor{vec("c", 1), vec("two", 2), vec("zero", 0)},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "c"}, []string{"n"}, ir.IntAttr("axis", 0)),
			node("Div", []string{"n", "two"}, []string{"half"}),
			node("Slice", []string{"x", "zero", "half", "c"}, []string{"a"}),
			node("Slice", []string{"x", "half", "n", "c"}, []string{"b"}),
			node("Concat", []string{"b", "a"}, []string{"y"}, ir.IntAttr("axis", 1))), 6, 1},
		{"resize to literal channels and computed sizes", layoutModel(13, []int{4, 2, 3},
			[]*ir.Tensor{vec("b", 0), vec("hw", 2, 3), vec("channels", 4), vec("two", 2, 2)},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "b"}, []string{"n"}, ir.IntAttr("axis", 0)),
			node("Gather", []string{"s", "hw"}, []string{"k"}, ir.IntAttr("axis", 0)),
			node("Mul", []string{"k", "two"}, []string{"k2"}),
			node("Concat", []string{"n", "channels", "k2"}, []string{"t"}, ir.IntAttr("axis", 0)),
			node("Resize", []string{"x", "", "", "t"}, []string{"y"}, ir.StringAttr("mode", "nearest"))), 4, 1},
		{"resize to sizes of some axes", layoutModel(18, []int{4, 2, 3},
			[]*ir.Tensor{vec("t", 6, 4)},
			node("Resize", []string{"x", "", "", "t"}, []string{"y"}, ir.StringAttr("mode", "linear"), ir.IntsAttr("axes", -1, 1))), 4, 1},
		{"resize by the quotient of sizes", layoutModel(13, []int{4, 2, 3},
			[]*ir.Tensor{vec("b", 0), vec("rest", 4, 4, 6), ir.NewFloat32("none", []int{0}, nil)},
			node("Shape", []string{"x"}, []string{"s"}),
			node("Gather", []string{"s", "b"}, []string{"n"}, ir.IntAttr("axis", 0)),
			node("Concat", []string{"n", "rest"}, []string{"t"}, ir.IntAttr("axis", 0)),
			node("Cast", []string{"t"}, []string{"tf"}, ir.IntAttr("to", int(ir.Float32))),
			node("Cast", []string{"s"}, []string{"sf"}, ir.IntAttr("to", int(ir.Float32))),
			node("Div", []string{"tf", "sf"}, []string{"q"}),
			node("Resize", []string{"x", "none", "q"}, []string{"y"}, ir.StringAttr("mode", "nearest"))), 4, 1},
		{"resize with literal sizes", layoutModel(13, []int{3, 2, 2},
			[]*ir.Tensor{vec("sizes", 2, 3, 4, 4)},
			node("Resize", []string{"x", "", "", "sizes"}, []string{"y"}, ir.StringAttr("mode", "linear"))), 3, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := ops.InferModel(c.m, map[string]int{"N": 2})
			if err != nil {
				t.Fatal(err)
			}
			var units []cutClass
			for _, u := range classes(c.m, f) {
				if _, ok := u.keep(f); ok && (u.touches("x", 1) || u["x"] == nil && u.touches("y", 1)) {
					units = append(units, u)
				}
			}
			if len(units) != c.units {
				t.Fatalf("want %d classes to cut, got %d: %v", c.units, len(units), units)
			}
			if got := units[0]["x"]; c.gone > 0 && (len(got) < 2 || len(got[1]) != c.gone) {
				t.Errorf("want %d positions of x in a class, got %v", c.gone, got)
			}
			s := rng.New(1, "ops/layout/"+c.name)
			data := make([]float32, ir.Prod(f.Values["x"].Shape()))
			for i := range data {
				data[i] = float32(s.NormFloat64())
			}
			in := []*ir.Tensor{ir.NewFloat32("x", f.Values["x"].Shape(), data)}
			for _, u := range units {
				keep, _ := u.keep(f)
				cut, err := ops.CutModel(c.m, f, keep)
				if err != nil {
					t.Fatalf("cutting %v: %v", u, err)
				}
				if c.name != "resize with literal sizes" && c.name != "resize by the quotient of sizes" {
					symbolic, err := ops.InferModel(cut, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got := symbolic.Values["y"].Type.Shape[0]; got.Param != "N" {
						t.Errorf("cutting %v: want batch N in y, got %v", u, got)
					}
				}
				bound := c.m.Clone()
				bound.Graph.Inputs[0].Type.Shape[0].Size = 2
				bf, err := ops.InferModel(bound, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := checkCut(ref.New(), bound, in, bf, u, keep); err != nil {
					t.Errorf("cutting %v: %v", u, err)
				}
			}
		})
	}
}

func (c cutClass) touches(value string, axis int) bool {
	return axis < len(c[value]) && c[value][axis] != nil
}

// TestReshapeKeepsUnequalFactorsFixed states which axes a reshape pins and why.
func TestReshapeKeepsUnequalFactorsFixed(t *testing.T) {
	m := layoutModel(13, []int{6, 4}, []*ir.Tensor{vec("t", -1, 8, 3)}, node("Reshape", []string{"x", "t"}, []string{"y"}))
	f, err := ops.InferModel(m, map[string]int{"N": 2})
	if err != nil {
		t.Fatal(err)
	}
	var a ops.Axes
	ops.Lookup("", "Reshape").Axes(f.Sites[m.Graph.Nodes[0]], &a)
	want := []ops.Pin{
		{Ref: ops.In(0, 1), Role: ops.Fixed, Reason: "regrouped with other axes by a reshape"},
		{Ref: ops.In(0, 2), Role: ops.Fixed, Reason: "regrouped with other axes by a reshape"},
		{Ref: ops.Out(0, 1), Role: ops.Fixed, Reason: "regrouped with other axes by a reshape"},
		{Ref: ops.Out(0, 2), Role: ops.Fixed, Reason: "regrouped with other axes by a reshape"},
		{Ref: ops.In(1, 0), Role: ops.Fixed, Reason: "target sizes, one per axis"},
	}
	if !slices.Equal(a.Pins, want) {
		t.Errorf("want pins %v, got %v", want, a.Pins)
	}
}
