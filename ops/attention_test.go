package ops

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// TestUnitsOfReshape: whatever pair of axes carries the units of a reshape, the elements
// that stay when a class of positions goes are the same ones, in the same order, on both sides.
func TestUnitsOfReshape(t *testing.T) {
	s := rng.New(3, "ops/units")
	shapes := [][2][]int{
		{{2, 24}, {2, 6, 4}}, {{2, 3, 2, 5}, {6, 2, 5}}, {{3, 8}, {12, 2}}, {{4, 6}, {3, 8}}, {{2, 36}, {2, 3, 6, 2}},
		{{6, 5, 4}, {30, 4}}, {{2, 3, 4, 5}, {6, 20}}, {{12}, {2, 2, 3}}, {{5, 12}, {20, 3}},
	}
	for _, c := range shapes {
		x, y := c[0], c[1]
		for range 8 {
			site, err := siteFor("Reshape", 14, 1, nil, Fact{Type: ir.TensorType(ir.Float32, x...)}, constFact(int64Tensor(ir.Int64, y), true))
			if err != nil {
				t.Fatal(err)
			}
			site.Units = []AxisPair{{s.IntN(len(x)), s.IntN(len(y))}}
			var a Axes
			axesReshape(site, &a)
			a.fixAll(site.In[1], inRef(1), "sizes")
			cl := axisClasses(site, &a)
			for root := range cl.parent {
				if cl.find(root) != root || cl.pinned[root] {
					continue
				}
				in, out := cl.keep(site, root)
				if got, want := left(y, out[0]), left(x, in[0]); !slices.Equal(got, want) {
					t.Fatalf("%v to %v, units %v: class of position %d leaves elements %v of the one and %v of the other", x, y, site.Units, root, want, got)
				}
			}
		}
	}
}

// left lists the row-major numbers of the elements that stay.
func left(shape []int, keep Positions) []int {
	var out []int
	for n := range ir.Prod(shape) {
		rest, stays := n, true
		for k := len(shape) - 1; k >= 0; k-- {
			stays = stays && (keep.kept(k) == nil || slices.Contains(keep[k], rest%shape[k]))
			rest /= shape[k]
		}
		if stays {
			out = append(out, n)
		}
	}
	return out
}

// drawn builds a graph node by node; every node has the name of its output.
type drawn struct {
	g *ir.Graph
}

func (d *drawn) input(name string, dims ...int) {
	d.g.Inputs = append(d.g.Inputs, ir.Value{Name: name, Type: ir.TensorType(ir.Float32, dims...)})
}

func (d *drawn) weight(name string, dims ...int) {
	d.g.Inits = append(d.g.Inits, ir.NewFloat32(name, dims, make([]float32, ir.Prod(dims))))
}

func (d *drawn) ints(name string, v ...int64) {
	d.g.Inits = append(d.g.Inits, ir.NewInt64(name, []int{len(v)}, v))
}

func (d *drawn) node(out, op string, in []string, attrs ...ir.Attr) {
	d.g.Nodes = append(d.g.Nodes, &ir.Node{Name: out, OpType: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
}

func (d *drawn) facts(t *testing.T, outputs ...string) (*ir.Graph, *Facts) {
	t.Helper()
	for _, o := range outputs {
		d.g.Outputs = append(d.g.Outputs, ir.Value{Name: o})
	}
	f, err := InferModel(&ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: d.g}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.g, f
}

// fused draws an attention of 6 heads of width 2 whose q, k, v come from one product; past
// keys and values come in when cached, and go on as "present" and "vpast".
func fused(cached bool) *drawn {
	d := &drawn{&ir.Graph{}}
	d.input("x", 2, 5, 12)
	d.weight("w", 12, 36)
	d.weight("o", 12, 12)
	d.ints("five", 0, 0, 3, 6, 2)
	d.ints("three", 0, 0, 12)
	d.node("qkv", "MatMul", []string{"x", "w"})
	d.node("apart", "Reshape", []string{"qkv", "five"})
	d.node("front", "Transpose", []string{"apart"}, ir.IntsAttr("perm", 2, 0, 3, 1, 4))
	for i, v := range []string{"q", "k", "v"} {
		d.g.Inits = append(d.g.Inits, ir.NewInt64("at"+v, nil, []int64{int64(i)}))
		d.node(v, "Gather", []string{"front", "at" + v}, ir.IntAttr("axis", 0))
	}
	key, value := "k", "v"
	if cached {
		d.input("past", 2, 6, 3, 2)
		d.node("present", "Concat", []string{"past", "k"}, ir.IntAttr("axis", 2))
		d.node("vpast", "Concat", []string{"past", "v"}, ir.IntAttr("axis", 2))
		key, value = "present", "vpast"
	}
	d.node("turned", "Transpose", []string{key}, ir.IntsAttr("perm", 0, 1, 3, 2))
	d.node("scores", "MatMul", []string{"q", "turned"})
	d.node("p", "Softmax", []string{"scores"}, ir.IntAttr("axis", -1))
	d.node("mix", "MatMul", []string{"p", value})
	d.node("back", "Transpose", []string{"mix"}, ir.IntsAttr("perm", 0, 2, 1, 3))
	d.node("joined", "Reshape", []string{"back", "three"})
	d.node("y", "MatMul", []string{"joined", "o"})
	return d
}

func TestRecognise(t *testing.T) {
	g, f := fused(false).facts(t, "y")
	r := Recognise(g, f)
	if len(r.Attentions) != 1 || r.Attentions[0].Axis != 1 || len(r.Whole) != 0 {
		t.Fatalf("want one attention with heads on axis 1, got %+v, whole %v", r.Attentions, r.Whole)
	}
	want := map[string]AxisPair{"apart": {2, 3}, "joined": {2, 2}}
	for n, pairs := range r.Units {
		if !slices.Equal(pairs, []AxisPair{want[n.Name]}) {
			t.Errorf("node %q: want units on %v, got %v", n.Name, want[n.Name], pairs)
		}
	}
	if len(r.Units) != len(want) {
		t.Errorf("want units for %d reshapes, got %d", len(want), len(r.Units))
	}
}

// TestRecogniseLearnedQueries: queries projected from weights alone, whose elements are known,
// are queries of an attention as others are.
func TestRecogniseLearnedQueries(t *testing.T) {
	d := &drawn{&ir.Graph{}}
	d.input("x", 1, 5, 12)
	for _, w := range []string{"wq", "wk", "wv"} {
		d.weight(w, 12, 12)
	}
	d.weight("queries", 1, 3, 12)
	d.ints("four", 0, 0, 6, 2)
	d.ints("three", 0, 0, 12)
	head := func(name, from, w string, perm ...int) {
		d.node(name+".wide", "MatMul", []string{from, w})
		d.node(name+".apart", "Reshape", []string{name + ".wide", "four"})
		d.node(name, "Transpose", []string{name + ".apart"}, ir.IntsAttr("perm", perm...))
	}
	head("q", "queries", "wq", 0, 2, 1, 3)
	head("k", "x", "wk", 0, 2, 3, 1)
	head("v", "x", "wv", 0, 2, 1, 3)
	d.node("scores", "MatMul", []string{"q", "k"})
	d.node("p", "Softmax", []string{"scores"}, ir.IntAttr("axis", -1))
	d.node("mix", "MatMul", []string{"p", "v"})
	d.node("back", "Transpose", []string{"mix"}, ir.IntsAttr("perm", 0, 2, 1, 3))
	d.node("joined", "Reshape", []string{"back", "three"})
	d.weight("o", 12, 12)
	d.node("y", "MatMul", []string{"joined", "o"})
	g, f := d.facts(t, "y")
	if f.Values["q"].Const == nil {
		t.Fatal("want known elements of the queries")
	}
	if r := Recognise(g, f); len(r.Attentions) != 1 || r.Attentions[0].Axis != 1 || len(r.Units) != 4 {
		t.Errorf("want one attention with heads on axis 1, got %+v with units for %d reshapes", r.Attentions, len(r.Units))
	}
}

// TestRecogniseStray: heads that no weight gives birth to are not followed.
func TestRecogniseStray(t *testing.T) {
	d := &drawn{&ir.Graph{}}
	d.input("x", 2, 6, 5, 2)
	d.ints("axis", 0)
	d.node("seen", "CumSum", []string{"x", "axis"})
	d.node("turned", "Transpose", []string{"seen"}, ir.IntsAttr("perm", 0, 1, 3, 2))
	d.node("scores", "MatMul", []string{"seen", "turned"})
	d.node("p", "Softmax", []string{"scores"}, ir.IntAttr("axis", -1))
	d.node("y", "MatMul", []string{"p", "seen"})
	g, f := d.facts(t, "y")
	r := Recognise(g, f)
	if len(r.Attentions) != 1 || r.Attentions[0].Axis != -1 {
		t.Fatalf("want one attention without heads, got %+v", r.Attentions)
	}
	for _, n := range g.Nodes {
		if whole := n.Name == "scores" || n.Name == "y"; whole != (r.Whole[n] != "") {
			t.Errorf("node %q: want whole %t, got %q", n.Name, whole, r.Whole[n])
		}
	}
}

func TestCacheAxes(t *testing.T) {
	g, f := fused(true).facts(t, "y", "present")
	got := CacheAxes(g, f)
	if len(got) != 2 || !slices.Equal(got["past"], []int{1}) || !slices.Equal(got["present"], []int{1}) {
		t.Errorf("want axis 1 of past and present, got %v", got)
	}
	g, f = fused(true).facts(t, "y")
	if got := CacheAxes(g, f); len(got) != 0 {
		t.Errorf("without an output that keeps it: want no cache, got %v", got)
	}
}

func TestSizeReads(t *testing.T) {
	for _, c := range []struct {
		name string
		axis int64
		op   string
		want int
	}{
		{"divided by a width", 2, "Div", 2},
		{"divided by a length", 1, "Div", 1},
		{"only reshaped", 2, "Reshape", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &drawn{&ir.Graph{}}
			d.input("x", 2, 5, 12)
			d.ints("at", c.axis)
			d.ints("rest", -1)
			d.node("sizes", "Shape", []string{"x"})
			d.node("one", "Gather", []string{"sizes", "at"})
			if c.op == "Div" {
				d.node("number", "Cast", []string{"one"}, ir.IntAttr("to", int(ir.Float32)))
				d.node("y", "Div", []string{"x", "number"})
			} else {
				d.node("target", "Concat", []string{"rest", "one"}, ir.IntAttr("axis", 0))
				d.node("y", "Reshape", []string{"x", "target"})
			}
			g, f := d.facts(t, "y")
			got := SizeReads(g, f)
			if c.want < 0 {
				if len(got) != 0 {
					t.Errorf("want none, got %+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Value != "x" || got[0].Axis != c.want || got[0].Node.Name != "y" {
				t.Errorf("want axis %d of x read by y, got %+v", c.want, got)
			}
		})
	}
}
