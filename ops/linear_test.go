package ops_test

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// random is a tensor of normal numbers that its name seeds.
func random(name string, dims ...int) *ir.Tensor {
	r := rng.New(1, "test/linear/"+name)
	return filled(name, dims, func(int) float64 { return r.NormFloat64() })
}

// linearModel is nodes over x [dims] → y.
func linearModel(x []int, inits []*ir.Tensor, nodes ...*ir.Node) *ir.Model {
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: &ir.Graph{
		Inputs:  []ir.Value{{Name: "x", Type: ir.TensorType(ir.Float32, x...)}},
		Outputs: []ir.Value{{Name: "y"}},
		Inits:   inits,
		Nodes:   nodes,
	}}
}

// linearOf returns how the node that makes y is seen.
func linearOf(t *testing.T, m *ir.Model) (*ops.Linear, *ops.Facts) {
	t.Helper()
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f.Sites[m.Graph.Nodes[len(m.Graph.Nodes)-1]].Linear(), f
}

// TestLinear: of every group, the weights by Index times Columns, plus the bias, are Rows of the
// node's output; Index names every place of the weight once, and units stand, group by group,
// along WeightAxis and Axis.
func TestLinear(t *testing.T) {
	ints, num, str := ir.IntsAttr, ir.IntAttr, ir.StringAttr
	for _, c := range []struct {
		name, op string
		x, w     []int
		bias     []int // nil: none
		attrs    []ir.Attr
		groups   int
	}{
		{"1-D", "Conv", []int{2, 4, 7}, []int{6, 4, 3}, nil, nil, 1},
		{"1-D, strides, dilations, pads, bias", "Conv", []int{2, 4, 11}, []int{6, 4, 3}, []int{6}, []ir.Attr{ints("strides", 2), ints("dilations", 2), ints("pads", 1, 3)}, 1},
		{"1-D, two groups", "Conv", []int{2, 4, 9}, []int{6, 2, 3}, []int{6}, []ir.Attr{num("group", 2), ints("strides", 3)}, 2},
		{"1-D, depthwise", "Conv", []int{2, 4, 9}, []int{4, 1, 3}, nil, []ir.Attr{num("group", 4), ints("pads", 1, 1)}, 4},
		{"2-D", "Conv", []int{2, 3, 5, 4}, []int{4, 3, 3, 2}, nil, nil, 1},
		{"2-D, one position, bias", "Conv", []int{3, 5, 2, 4}, []int{2, 5, 1, 1}, []int{2}, nil, 1},
		{"2-D, strides, dilations, uneven pads, bias", "Conv", []int{2, 3, 8, 9}, []int{4, 3, 3, 2}, []int{4}, []ir.Attr{ints("strides", 2, 1), ints("dilations", 1, 3), ints("pads", 1, 0, 2, 3)}, 1},
		{"2-D, two groups, bias", "Conv", []int{2, 4, 6, 5}, []int{6, 2, 3, 3}, []int{6}, []ir.Attr{num("group", 2), ints("pads", 1, 1, 1, 1), ints("strides", 2, 2)}, 2},
		{"2-D, depthwise, dilations", "Conv", []int{2, 3, 6, 5}, []int{3, 1, 3, 3}, []int{3}, []ir.Attr{num("group", 3), ints("dilations", 2, 1), ints("pads", 2, 1, 2, 1)}, 3},
		{"2-D, two filters a channel", "Conv", []int{2, 3, 6, 5}, []int{6, 1, 3, 3}, nil, []ir.Attr{num("group", 3)}, 3},
		{"2-D, SAME_UPPER", "Conv", []int{2, 3, 7, 6}, []int{4, 3, 3, 2}, []int{4}, []ir.Attr{str("auto_pad", "SAME_UPPER"), ints("strides", 2, 1)}, 1},
		{"2-D, SAME_UPPER, depthwise", "Conv", []int{2, 3, 8, 8}, []int{3, 1, 3, 3}, nil, []ir.Attr{str("auto_pad", "SAME_UPPER"), ints("strides", 2, 2), num("group", 3)}, 3},
		{"3-D", "Conv", []int{1, 2, 3, 4, 5}, []int{3, 2, 2, 1, 3}, []int{3}, []ir.Attr{ints("strides", 1, 2, 1)}, 1},
		{"2-D", "MatMul", []int{5, 3}, []int{3, 4}, nil, nil, 1},
		{"3-D", "MatMul", []int{2, 5, 3}, []int{3, 4}, nil, nil, 1},
		{"plain", "Gemm", []int{5, 3}, []int{3, 4}, nil, nil, 1},
		{"bias", "Gemm", []int{5, 3}, []int{3, 4}, []int{4}, nil, 1},
		{"bias as a row", "Gemm", []int{5, 3}, []int{3, 4}, []int{1, 4}, nil, 1},
		{"beta without a bias", "Gemm", []int{5, 3}, []int{3, 4}, nil, []ir.Attr{ir.FloatAttr("beta", 2)}, 1},
		{"transA", "Gemm", []int{3, 5}, []int{3, 4}, nil, []ir.Attr{num("transA", 1)}, 1},
		{"transB, bias", "Gemm", []int{5, 3}, []int{4, 3}, []int{4}, []ir.Attr{num("transB", 1)}, 1},
		{"transA, transB, bias", "Gemm", []int{3, 5}, []int{4, 3}, []int{4}, []ir.Attr{num("transA", 1), num("transB", 1)}, 1},
	} {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			in := []string{"x", "w"}
			w := random("w", c.w...)
			inits := []*ir.Tensor{w}
			weights, bias := must(t, w), []float64(nil)
			if c.bias != nil {
				in, inits = append(in, "bias"), append(inits, random("bias", c.bias...))
				bias = must(t, inits[1])
			}
			m := linearModel(c.x, inits, node(c.op, in, []string{"y"}, c.attrs...))
			l, f := linearOf(t, m)
			if l == nil {
				t.Fatal("want the node as products, got none")
			}
			y := f.Values["y"].Shape()
			units := l.Groups * l.Units
			if l.Weight != 1 || l.Groups != c.groups || c.w[l.WeightAxis] != units || y[l.Axis] != units || units*l.Features != len(weights) || (l.Bias == 2) != (bias != nil) || bias == nil && l.Bias != -1 {
				t.Fatalf("want the shape of a weight %v and an output %v in %d groups, got %+v", c.w, y, c.groups, l)
			}
			b := prim.NewBuilder()
			values, err := ops.Lower(b, m, f, ops.Hooks{Float: prim.F64, Seed: prim.Invalid})
			if err != nil {
				t.Fatal(err)
			}
			unit := filled("unit", y, func(i int) float64 { return float64(i / ir.Prod(y[l.Axis+1:]) % units) })
			place, err := ops.HostTensor(unit, prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			b.Output("columns", l.Columns(b, values["x"]))
			b.Output("rows", l.Rows(b, values["y"]))
			b.Output("units", l.Rows(b, b.Const(place)))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			x, err := ops.HostTensor(random("x", c.x...), prim.F64)
			if err != nil {
				t.Fatal(err)
			}
			out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			positions := ir.Prod(y) / units
			for name, rows := range map[string]int{"columns": l.Features, "rows": l.Units, "units": l.Units} {
				want := []int{l.Groups, rows, positions}
				if l.Groups == 1 {
					want = want[1:]
				}
				if got := out[name].Shape; !slices.Equal(got, want) {
					t.Fatalf("%s: want shape %v, got %v", name, want, got)
				}
			}
			seen, inner := make([]bool, len(weights)), ir.Prod(c.w[l.WeightAxis+1:])
			for g := range l.Groups {
				for u := range l.Units {
					for k := range l.Features {
						at := l.Index(g, u, k)
						if seen[at] || at/inner%units != g*l.Units+u {
							t.Fatalf("group %d, unit %d, feature %d: want a place of its own in row %d along axis %d, got %d", g, u, k, g*l.Units+u, l.WeightAxis, at)
						}
						seen[at] = true
					}
					for p := range positions {
						want := 0.0
						if bias != nil {
							want = bias[g*l.Units+u]
						}
						for k := range l.Features {
							want += weights[l.Index(g, u, k)] * out["columns"].F64[(g*l.Features+k)*positions+p]
						}
						at := (g*l.Units+u)*positions + p
						if got := out["rows"].F64[at]; math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
							t.Fatalf("group %d, unit %d, position %d: want %g as the products give, got %g", g, u, p, want, got)
						}
						if got := out["units"].F64[at]; got != float64(g*l.Units+u) {
							t.Fatalf("group %d, unit %d: want position %d along axis %d of the output, got %g", g, u, g*l.Units+u, l.Axis, got)
						}
					}
				}
			}
		})
	}
}

// TestLinearOfOthers: a node whose weight or bias is computed, scaled or of another shape is
// none, and so is a weight on the left side.
func TestLinearOfOthers(t *testing.T) {
	square, wide := random("w", 4, 4), random("w", 4, 3)
	for _, c := range []struct {
		name string
		x    []int
		init []*ir.Tensor
		node []*ir.Node
	}{
		{"a scalar bias", []int{5, 4}, []*ir.Tensor{random("w", 4, 1), random("c")}, []*ir.Node{node("Gemm", []string{"x", "w", "c"}, []string{"y"})}},
		{"alpha", []int{5, 4}, []*ir.Tensor{wide}, []*ir.Node{node("Gemm", []string{"x", "w"}, []string{"y"}, ir.FloatAttr("alpha", 2))}},
		{"beta", []int{5, 4}, []*ir.Tensor{wide, random("c", 3)}, []*ir.Node{node("Gemm", []string{"x", "w", "c"}, []string{"y"}, ir.FloatAttr("beta", 2))}},
		{"a bias per position", []int{5, 4}, []*ir.Tensor{wide, random("c", 5, 3)}, []*ir.Node{node("Gemm", []string{"x", "w", "c"}, []string{"y"})}},
		{"a bias per row", []int{3, 4}, []*ir.Tensor{wide, random("c", 3, 1)}, []*ir.Node{node("Gemm", []string{"x", "w", "c"}, []string{"y"})}},
		{"a bias for all units", []int{5, 4}, []*ir.Tensor{wide, random("c", 1)}, []*ir.Node{node("Gemm", []string{"x", "w", "c"}, []string{"y"})}},
		{"a computed bias", []int{5, 3}, []*ir.Tensor{random("w", 3, 3), random("c", 3)}, []*ir.Node{node("Abs", []string{"c"}, []string{"d"}), node("Gemm", []string{"x", "w", "d"}, []string{"y"})}},
		{"a computed right side", []int{4, 4}, nil, []*ir.Node{node("Transpose", []string{"x"}, []string{"a"}), node("MatMul", []string{"x", "a"}, []string{"y"})}},
		{"a right side computed from a weight", []int{5, 4}, []*ir.Tensor{wide}, []*ir.Node{node("Abs", []string{"w"}, []string{"a"}), node("MatMul", []string{"x", "a"}, []string{"y"})}},
		{"a weight on the left of MatMul", []int{4, 5}, []*ir.Tensor{square}, []*ir.Node{node("MatMul", []string{"w", "x"}, []string{"y"})}},
		{"a weight on the left of Gemm", []int{4, 5}, []*ir.Tensor{square}, []*ir.Node{node("Gemm", []string{"w", "x"}, []string{"y"})}},
		{"weights per sample", []int{2, 5, 4}, []*ir.Tensor{random("w", 2, 4, 3)}, []*ir.Node{node("MatMul", []string{"x", "w"}, []string{"y"})}},
		{"a vector as weight", []int{5, 4}, []*ir.Tensor{random("w", 4)}, []*ir.Node{node("MatMul", []string{"x", "w"}, []string{"y"})}},
		{"a vector as data", []int{4}, []*ir.Tensor{wide}, []*ir.Node{node("MatMul", []string{"x", "w"}, []string{"y"})}},
		{"a computed kernel", []int{1, 3, 4}, []*ir.Tensor{random("w", 2, 3, 2)}, []*ir.Node{node("Abs", []string{"w"}, []string{"a"}), node("Conv", []string{"x", "a"}, []string{"y"})}},
		{"an operator of another kind", []int{4, 4}, []*ir.Tensor{square}, []*ir.Node{node("Add", []string{"x", "w"}, []string{"y"})}},
	} {
		if l, _ := linearOf(t, linearModel(c.x, c.init, c.node...)); l != nil {
			t.Errorf("%s: want none, got %+v", c.name, l)
		}
	}
}
