package ir_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
)

// parse reads the body of a graph with opset 17.
func parse(t *testing.T, body string) *ir.Model {
	t.Helper()
	m, err := ir.Parse("model { ir 8 opset _ 17 }\ngraph g {\n" + body + "}")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const chain = `
	input x float32[2] input c bool[] output y float32[2] info h float32[2] info k float32[3]
	init w float32[2] = [1, 2] init v float32[3] = [1, 2, 3]
	node n0: (h) = Relu(x)
	node n1: (j) = Add(h, w)
	node n2: (k) = My(v)
	node n3: (y) = If(c) then_branch=graph t { output p none node i: (p) = Add(h, j) } else_branch=graph e { output h none }
`

func TestPatchEdits(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*ir.Patch, []*ir.Node)
		want string
	}{
		{"remove", func(p *ir.Patch, n []*ir.Node) { p.Remove(n[2]); p.RemoveInit("v") }, `
			input x float32[2] input c bool[] output y float32[2] info h float32[2]
			init w float32[2] = [1, 2]
			node n0: (h) = Relu(x)
			node n1: (j) = Add(h, w)
			node n3: (y) = If(c) then_branch=graph t { output p none node i: (p) = Add(h, j) } else_branch=graph e { output h none }`},
		{"rewire reaches subgraphs and sorts", func(p *ir.Patch, n []*ir.Node) {
			p.Insert(&ir.Node{Name: "new", OpType: "Neg", Inputs: []string{"x"}, Outputs: []string{"g"}})
			p.Rewire("h", "g")
			p.Remove(n[0])
			p.SetInit(ir.NewFloat32("w", []int{2}, []float32{3, 4}))
			p.ResizeInit(ir.NewFloat32("v", []int{1}, []float32{5}))
			p.SetType("k", ir.TensorType(ir.Float32, 1))
			p.SetType("g", ir.TensorType(ir.Float32, 2))
		}, `
			input x float32[2] input c bool[] output y float32[2] info k float32[1] info g float32[2]
			init w float32[2] = [3, 4] init v float32[1] = [5]
			node n2: (k) = My(v)
			node new: (g) = Neg(x)
			node n1: (j) = Add(g, w)
			node n3: (y) = If(c) then_branch=graph t { output p none node i: (p) = Add(g, j) } else_branch=graph e { output g none }`},
		{"rename", func(p *ir.Patch, n []*ir.Node) { p.Rename("h", "hh") }, `
			input x float32[2] input c bool[] output y float32[2] info hh float32[2] info k float32[3]
			init w float32[2] = [1, 2] init v float32[3] = [1, 2, 3]
			node n0: (hh) = Relu(x)
			node n1: (j) = Add(hh, w)
			node n2: (k) = My(v)
			node n3: (y) = If(c) then_branch=graph t { output p none node i: (p) = Add(hh, j) } else_branch=graph e { output hh none }`},
		{"replace", func(p *ir.Patch, n []*ir.Node) {
			p.Rewire("w", "w2")
			p.RemoveInit("w")
			p.AddInit(ir.NewFloat32("w2", []int{2}, []float32{5, 6}))
			p.Replace(n[2], &ir.Node{Name: "a", OpType: "Neg", Inputs: []string{"v"}, Outputs: []string{"a"}}, &ir.Node{Name: "b", OpType: "Neg", Inputs: []string{"a"}, Outputs: []string{"k"}})
		}, `
			input x float32[2] input c bool[] output y float32[2] info h float32[2] info k float32[3]
			init v float32[3] = [1, 2, 3] init w2 float32[2] = [5, 6]
			node n0: (h) = Relu(x)
			node n1: (j) = Add(h, w2)
			node a: (a) = Neg(v)
			node b: (k) = Neg(a)
			node n3: (y) = If(c) then_branch=graph t { output p none node i: (p) = Add(h, j) } else_branch=graph e { output h none }`},
	} {
		m := parse(t, chain)
		nodes := m.Graph.Nodes
		p := ir.NewPatch(m.Graph, c.name)
		c.edit(p, nodes)
		if err := p.Apply(m); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := ir.Diff(parse(t, c.want), m); d != "" {
			t.Errorf("%s: wanted and got: %s\n%s", c.name, d, full(t, m))
		}
		if err := ir.Verify(m); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Rewirings follow each other: after a→b and b→c a user of a uses c, and after b→c and a→b it uses b.
func TestPatchRewireOrder(t *testing.T) {
	body := `input a none input b none input c none output y none node n: (y) = Add(a, b)`
	for _, c := range []struct{ moves, want []string }{
		{[]string{"a", "b", "b", "c"}, []string{"c", "c"}},
		{[]string{"b", "c", "a", "b"}, []string{"b", "c"}},
	} {
		m := parse(t, body)
		p := ir.NewPatch(m.Graph, "rewire")
		for i := 0; i < len(c.moves); i += 2 {
			p.Rewire(c.moves[i], c.moves[i+1])
		}
		if err := p.Apply(m); err != nil {
			t.Fatal(err)
		}
		if got := m.Graph.Nodes[0].Inputs; strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%v: want %v, got %v", c.moves, c.want, got)
		}
	}
}

func TestPatchRefusals(t *testing.T) {
	for _, c := range []struct {
		edit func(*ir.Patch, []*ir.Node)
		want string
	}{
		{func(p *ir.Patch, n []*ir.Node) { p.Rewire("h", "k") }, `replace "h" (float32[2]) by "k" (float32[3]): shape: want float32[2], got float32[3]`},
		{func(p *ir.Patch, n []*ir.Node) { p.Rewire("h", "c") }, "dtype: want float32[2], got bool[]"},
		{func(p *ir.Patch, n []*ir.Node) { p.Rewire("y", "h") }, `"y" is a graph output and keeps its name`},
		{func(p *ir.Patch, n []*ir.Node) { p.Rewire("h", "nowhere") }, `node "n1" (Add): it uses "nowhere", which nothing makes any more`},
		{func(p *ir.Patch, n []*ir.Node) {
			p.Rewire("h", "p")
			p.AddInit(ir.NewFloat32("p", []int{2}, []float32{1, 2}))
		}, `graph "t": replace "h" by "p": the graph has a value of that name`},
		{func(p *ir.Patch, n []*ir.Node) { p.Remove(n[0]) }, `node "n1" (Add): it uses "h", which nothing makes any more`},
		{func(p *ir.Patch, n []*ir.Node) { p.Remove(n[3]) }, `output "y": nothing makes it any more`},
		{func(p *ir.Patch, n []*ir.Node) { p.Remove(n[2]); p.Remove(n[2]) }, `node "n2" (My): it is not in the graph`},
		{func(p *ir.Patch, n []*ir.Node) { p.Rewire("x", "j") }, "cycle: "},
		{func(p *ir.Patch, n []*ir.Node) { p.Rename("h", "w") }, `rename "h" to "w": a value has that name`},
		{func(p *ir.Patch, n []*ir.Node) { p.Rename("y", "z") }, "is a graph output and keeps its name"},
		{func(p *ir.Patch, n []*ir.Node) { p.Rename("x", "z") }, `no node makes "x"`},
		{func(p *ir.Patch, n []*ir.Node) { p.SetInit(ir.NewFloat32("w", []int{1}, []float32{1})) }, `initializer "w": shape: want float32[2], got float32[1]`},
		{func(p *ir.Patch, n []*ir.Node) { p.ResizeInit(ir.NewInt64("w", []int{1}, []int64{1})) }, "dtype and rank: want those of float32[2], got int64[1]"},
		{func(p *ir.Patch, n []*ir.Node) { p.SetInit(ir.NewFloat32("z", nil, []float32{1})) }, `initializer "z": there is none to replace`},
		{func(p *ir.Patch, n []*ir.Node) { p.AddInit(ir.NewFloat32("h", nil, []float32{1})) }, `initializer "h": a value has that name`},
		{func(p *ir.Patch, n []*ir.Node) { p.AddInit(ir.NewFloat32("z", []int{2}, []float32{1})) }, "want 8 bytes"},
		{func(p *ir.Patch, n []*ir.Node) { p.RemoveInit("w") }, `it uses "w"`},
		{func(p *ir.Patch, n []*ir.Node) { p.RemoveInput("w") }, `input "w": there is none to remove`},
		{func(p *ir.Patch, n []*ir.Node) {
			p.Insert(&ir.Node{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"h"}})
		}, `node (Relu) that makes "h": output "h": a value has that name`},
	} {
		m := parse(t, chain)
		before := m.Clone()
		p := ir.NewPatch(m.Graph, "edit")
		c.edit(p, m.Graph.Nodes)
		err := p.Apply(m)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
		if d := ir.Diff(before, m); d != "" {
			t.Errorf("%s: the refused patch changed the model: %s", c.want, d)
		}
	}
	if err := ir.NewPatch(&ir.Graph{}, "foreign").Apply(parse(t, chain)); err == nil {
		t.Error("want an error: the graph is not the model's")
	}
}

func TestPatchOfSubgraph(t *testing.T) {
	m := parse(t, chain)
	sub := ir.Subgraphs(m.Graph.Nodes[3])[0]
	p := ir.NewPatch(sub, "inside")
	p.Replace(sub.Nodes[0], &ir.Node{OpType: "Mul", Inputs: []string{"h", "j"}, Outputs: []string{"p"}})
	if err := p.Apply(m); err != nil {
		t.Fatal(err)
	}
	if got := ir.Subgraphs(m.Graph.Nodes[3])[0].Nodes[0].OpType; got != "Mul" {
		t.Errorf("want Mul in the model's subgraph, got %s", got)
	}
	p = ir.NewPatch(sub, "outside")
	p.Insert(&ir.Node{OpType: "Neg", Inputs: []string{"w"}, Outputs: []string{"q"}})
	if err := p.Apply(m); err == nil || !strings.Contains(err.Error(), `it uses "w"`) {
		t.Errorf("a name that the subgraph did not use: got %v", err)
	}
}

func TestIndex(t *testing.T) {
	m := parse(t, chain)
	x := ir.NewIndex(m.Graph)
	n := m.Graph.Nodes
	if x.Producer("h") != n[0] || x.Producer("x") != nil || x.Pos(n[2]) != 2 || x.Pos(&ir.Node{}) != -1 {
		t.Error("producers or positions are wrong")
	}
	if got := x.Consumers("h"); len(got) != 2 || got[0] != n[1] || got[1] != n[3] {
		t.Errorf("want n1 and, through its subgraphs once, n3; got %v", got)
	}
	if ty, ok := x.Type("v"); !ok || ty.String() != "float32[3]" {
		t.Errorf("type of an initialiser: got %v", ty)
	}
	if !x.IsInput("x") || x.IsInput("w") || !x.IsOutput("y") || x.Init("w") == nil || !x.Defined("j") || x.Defined("p") || x.Defined("") {
		t.Error("inputs, outputs, initialisers or definitions are wrong")
	}
}

func TestTopoSortIsStable(t *testing.T) {
	m := parse(t, `input x none output y none
		node d: (y) = Add(b, c) node a: (a) = Relu(x) node z: (z) = Relu(x) node b: (b) = Relu(a) node c: (c) = Relu(z)`)
	nodes, err := ir.TopoSort(m.Graph.Nodes)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "a z b c d" {
		t.Errorf("want a z b c d, got %s", got)
	}
	if ir.Sorted(m.Graph.Nodes) || !ir.Sorted(nodes) {
		t.Error("Sorted does not agree with TopoSort")
	}
}

func TestCloneIsIndependent(t *testing.T) {
	m, want := everything(), everything()
	c := m.Clone()
	if d := ir.Diff(m, c); d != "" {
		t.Fatal(d)
	}
	ir.WalkGraphs(c.Graph, func(g *ir.Graph) {
		for i := range g.Inits {
			g.Inits[i].Dims = append(g.Inits[i].Dims[:0], 77)
		}
		for i := range g.Inputs {
			if len(g.Inputs[i].Type.Shape) > 0 {
				g.Inputs[i].Type.Shape[0].Size = 77
			}
		}
		for _, n := range g.Nodes {
			n.Inputs[0] = "changed"
			for i := range n.Attrs {
				n.Attrs[i].Name = "changed"
				for k := range n.Attrs[i].Ints {
					n.Attrs[i].Ints[k] = 77
				}
			}
		}
	})
	c.Functions[0].Nodes[0].Inputs[0] = "changed"
	c.Functions[0].Inputs[0] = "changed"
	c.Meta[0].Key = "changed"
	if d := ir.Diff(want, m); d != "" {
		t.Errorf("an edit of the clone reached the original: %s", d)
	}
}
