package subnet_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// alternatives is a network of images with three nodes that add alternatives: "pair" a 3×3
// convolution and a separable one; "three", within a residual branch, two convolutions and what
// they read; "rest" a convolution and a pool beside the way around both. Both candidates of
// "pair" read an activation that nothing else does; "last" is an output.
func alternatives() *ir.Model {
	k := &sketch{g: &ir.Graph{Name: "alternatives"}, r: rand.New(rand.NewPCG(8, 2)), once: map[string]string{}}
	t := ir.TensorType(ir.Float32, -1, 3, 6, 6)
	t.Shape[0].Param = "batch"
	k.g.Inputs = []ir.Value{{Name: "x", Type: t}}
	const c = 4
	conv := func(x string, in, out, size, group int) string {
		p := size / 2
		return k.op("Conv", []string{x, k.weight(out, in/group, size, size), k.weight(out)}, ir.IntsAttr("pads", p, p, p, p), ir.IntAttr("group", group))
	}
	named := func(name, v string) string {
		k.g.Nodes[len(k.g.Nodes)-1].Name = name
		return v
	}
	x := k.op("Relu", []string{conv("x", 3, c, 3, 1)})
	y := k.op("Relu", []string{conv(x, c, c, 1, 1)})
	x = named("pair", k.add(conv(y, c, c, 3, 1), conv(conv(y, c, c, 3, c), c, c, 1, 1)))
	z := k.op("Relu", []string{x})
	inner := k.add(conv(z, c, c, 3, 1), conv(z, c, c, 1, 1))
	z = k.op("Tanh", []string{named("three", k.add(inner, z))})
	x = named("residual", k.add(conv(z, c, c, 1, 1), x))
	pool := named("pool", k.op("AveragePool", []string{x}, ir.IntsAttr("kernel_shape", 3, 3), ir.IntsAttr("pads", 1, 1, 1, 1)))
	both := k.add(pool, named("conv", conv(x, c, c, 3, 1)))
	x = named("rest", k.add(both, x))
	k.g.Outputs = []ir.Value{{Name: k.op("GlobalAveragePool", []string{x})}, {Name: "last"}}
	k.g.Nodes = append(k.g.Nodes, &ir.Node{Name: "last", OpType: "Add", Inputs: []string{conv(x, c, 2, 1, 1), conv(x, c, 2, 3, 1)}, Outputs: []string{"last"}})
	return &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: 17}}, Graph: k.g}
}

// operationsSpace offers all nodes of alternatives; "rest" keeps one of two, or none.
func operationsSpace(t *testing.T, an *space.Analysis, kinds ...string) *space.Space {
	t.Helper()
	sp, err := space.New(an, space.Options{Divisor: 2, Kinds: append(kinds, "operations"), Operations: []string{"pair", "three", "rest", "last"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range sp.Dims {
		if d.Node == "rest" {
			if len(d.Candidates) != 3 {
				t.Fatalf("rest: want three candidates, got %q", d.Candidates)
			}
			sp.Dims[i].Candidates, sp.Dims[i].Choices = []string{"pool", "conv"}, []int{0, 1, 2, 3}
		}
	}
	return sp
}

// TestOperations: every candidate alone, none, and all, with every candidate of the others: supernet
// at the vertex ≡ subnet ≡ re-imported file, and prices and held bytes are the subnet's.
func TestOperations(t *testing.T) {
	m := alternatives()
	s := subject{"alternatives", m, map[string]int{"batch": batch}, space.Options{}, 150, 1e-10}
	an := analysed(t, m, s.bind)
	checkSpace(t, s, an, operationsSpace(t, an))
	s.runs = 40
	checkSpace(t, s, an, operationsSpace(t, an, "width", "kernel", "depth"))
}

func cost(t *testing.T, an *space.Analysis, sp *space.Space, metric string) *space.CostModel {
	t.Helper()
	net, err := space.Entangle(an, sp, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Cost(metric)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOperationsForbidden: a candidate that no choice keeps is in no subnet and in no price, whether
// the sum is a choice or not. What shares are of is the sum of all.
func TestOperationsForbidden(t *testing.T) {
	m := alternatives()
	s := subject{"forbidden", m, map[string]int{"batch": batch}, space.Options{}, 20, 1e-10}
	an := analysed(t, m, s.bind)
	whole := map[string]float64{}
	for _, name := range []string{space.MACs, space.Params, space.Bytes, space.Peak} {
		all := operationsSpace(t, an)
		whole[name] = cost(t, an, all, name).At(all.Largest())
	}
	for _, choices := range []map[string][]int{
		{"pair": {1, 2}, "three": {1, 3}, "rest": {0, 1}, "last": {1, 2}},
		{"pair": {2}, "three": {2, 3}, "rest": {0}, "last": {1}},
		{"pair": {1}, "three": {1, 2}, "rest": {0, 2}, "last": {2}},
	} {
		sp := operationsSpace(t, an)
		for i, d := range sp.Dims {
			sp.Dims[i].Choices = choices[d.Node]
		}
		checkSpace(t, s, an, sp)
		for _, name := range []string{space.MACs, space.Params, space.Bytes, space.Peak} {
			if got, want := cost(t, an, sp, name).Whole, whole[name]; got != want {
				t.Errorf("choices %v: %s of the model as it is written: want %g, got %g", choices, name, want, got)
			}
		}
	}
}

// TestOperationsGo: the branches that a subnet leaves out are gone, with their weights and the
// node that added them.
func TestOperationsGo(t *testing.T) {
	m := alternatives()
	an := analysed(t, m, map[string]int{"batch": batch})
	sp := operationsSpace(t, an)
	net, err := space.Entangle(an, sp, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := subnet.Cut(net, make([]int, len(sp.Dims)), nil)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, n := range cut.Graph.Nodes {
		count[n.OpType]++
	}
	// pair: separable; three: what it read; rest: none; last: one by one.
	if count["Conv"] != 6 || count["AveragePool"] != 0 || count["Add"] != 1 || len(cut.Graph.Inits) != 12 {
		t.Errorf("want 6 convolutions, 12 tensors, no pool and one addition, got %v and %d tensors", count, len(cut.Graph.Inits))
	}
	r, err := subnet.NewRecipe(net, make([]int, len(sp.Dims)), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := subnet.Extract(an, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := maxDiff(runModel(t, cut, an.Facts.Bind, 3), runModel(t, again, an.Facts.Bind, 3)); d != 0 {
		t.Errorf("recipe and choice differ by %g", d)
	}
}

// TestOperationsExpect: expected costs are the sums over all subnets, by their probability.
func TestOperationsExpect(t *testing.T) {
	an := analysed(t, alternatives(), map[string]int{"batch": batch})
	sp := operationsSpace(t, an, "depth")
	net, err := space.Entangle(an, sp, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	coef := sp.OneHot(sp.Largest())
	for _, row := range coef {
		sum := 0.0
		for k := range row {
			row[k] = r.Float64()
			sum += row[k]
		}
		for k := range row {
			row[k] /= sum
		}
	}
	for _, name := range []string{space.MACs, space.Params, space.Bytes} {
		c, err := net.Cost(name)
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for choice := sp.Smallest(); choice != nil; choice = next(sp, choice) {
			p := 1.0
			for d, k := range choice {
				p *= coef[d][k]
			}
			want += p * c.At(choice)
		}
		if got, _ := c.Expect(coef); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: want %g, got %g", name, want, got)
		}
	}
}

// next counts a choice up; nil after the last.
func next(sp *space.Space, choice []int) []int {
	choice = slices.Clone(choice)
	for d := len(choice) - 1; d >= 0; d-- {
		if choice[d]++; choice[d] < len(sp.Dims[d].Choices) {
			return choice
		}
		choice[d] = 0
	}
	return nil
}

// TestOperationsErrors: a declaration that does not fit the model names the node and what it wants.
func TestOperationsErrors(t *testing.T) {
	m := alternatives()
	an := analysed(t, m, map[string]int{"batch": batch})
	rest := []string{"pool", "conv"}
	for _, c := range []struct {
		d    space.Dim
		want string
	}{
		{space.Dim{Node: "nowhere"}, `the model has no node "nowhere"`},
		{space.Dim{Node: m.Graph.Nodes[0].Name}, "want a node that adds"},
		{space.Dim{Node: "rest"}, "candidates: want at least one of"},
		{space.Dim{Node: "rest", Candidates: []string{rest[0], "x"}, Choices: []int{1, 2, 3}}, `got "x"`},
		{space.Dim{Node: "rest", Candidates: []string{rest[0], rest[0]}, Choices: []int{1, 2, 3}}, "want different branches, or kernels"},
		{space.Dim{Node: "rest", Candidates: rest}, "want at least one, got none"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 4}}, "from 0 (none) to 3 (all), got [1 2 4]"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{-1, 2, 3}}, "from 0 (none) to 3 (all)"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{2, 1, 3}}, "want ascending numbers"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Kernels: []int{0}}, "kernels: want one for each of 2 candidates"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Kernels: []int{3, 1}}, `candidates ["pool, kernel 3"] of node "rest": want a kernel of more than one position`},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Kernels: []int{0, 2}}, "want odd kernels from 1 to 3, got 2"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Kernels: []int{0, 5}}, "want odd kernels from 1 to 3, got 5"},
		{space.Dim{Node: "rest", Candidates: []string{"conv", "conv"}, Choices: []int{1, 2, 3}, Kernels: []int{3, 0}}, "want kernels of different sizes, got 3 twice"},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Tied: []space.Tied{{Node: "rest", Candidates: rest}}}, `tied: node "rest" stands twice`},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Tied: []space.Tied{{Node: "pair", Candidates: rest[:1]}}}, `tied: node "pair": want 2 candidates like node "rest", got 1`},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Tied: []space.Tied{{Node: "pair", Candidates: rest}}}, `tied node "pair": space: dimension "d": candidates: want different values`},
		{space.Dim{Node: "rest", Candidates: rest, Choices: []int{1, 2, 3}, Tied: []space.Tied{{Node: "nowhere", Candidates: rest}}}, `tied node "nowhere"`},
		{space.Dim{Node: "rest", Candidates: rest[:1], Choices: []int{1, 2}}, "want two, or choice 0"},
		{space.Dim{Node: "last", Candidates: m.Graph.Nodes[len(m.Graph.Nodes)-1].Inputs, Choices: []int{0, 1, 2, 3}}, "leaves nothing"},
	} {
		c.d.Name, c.d.Kind = "d", "operations"
		_, err := (&space.Space{Dims: []space.Dim{c.d}}).Bind(an)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: want %q, got %v", c.d, c.want, err)
		}
	}
	for _, o := range []space.Options{{Operations: []string{"nowhere"}}, {Operations: []string{m.Graph.Nodes[0].Name}}, {Operations: []string{"pair"}, Kinds: []string{"width"}}} {
		if _, err := space.New(an, o); err == nil {
			t.Errorf("%+v: want an error", o)
		}
	}
	both := operationsSpace(t, an)
	both.Dims = append(both.Dims, space.Dim{Name: "depth:rest", Kind: "depth", Node: "rest", Choices: []int{0, 1}})
	if _, err := space.Entangle(an, both, space.Every); err == nil {
		t.Error("two dimensions of one addition: want an error")
	}
}

// TestOperationsOfSum: a Sum of several operands, as files have it, is a node of alternatives like
// an addition.
func TestOperationsOfSum(t *testing.T) {
	m := alternatives()
	at := slices.IndexFunc(m.Graph.Nodes, func(n *ir.Node) bool { return n.Name == "rest" })
	both := slices.IndexFunc(m.Graph.Nodes, func(n *ir.Node) bool { return n.Output(0) == m.Graph.Nodes[at].Inputs[0] })
	sum := &ir.Node{Name: "rest", OpType: "Sum", Inputs: append(slices.Clone(m.Graph.Nodes[both].Inputs), m.Graph.Nodes[at].Inputs[1]), Outputs: m.Graph.Nodes[at].Outputs}
	m.Graph.Nodes[at] = sum
	m.Graph.Nodes = slices.Delete(m.Graph.Nodes, both, both+1)
	an := analysed(t, m, map[string]int{"batch": batch})
	sp := operationsSpace(t, an)
	checkSpace(t, subject{"sum", m, map[string]int{"batch": batch}, space.Options{}, 20, 1e-10}, an, sp)
	if !slices.ContainsFunc(sp.Dims, func(d space.Dim) bool { return d.Node == "rest" && d.Final() == 3 }) {
		t.Errorf("want the candidates of the Sum, got %v", sp.Dims)
	}
}
