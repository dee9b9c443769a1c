package subnet_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// cells is two nodes, "one" and "two", that add a branch of two 5×5 depthwise convolutions and
// one of a dilated 5×5 one, each with norms, then "three" of a 3×3 convolution, a pool and a way
// around both.
func cells() *ir.Model {
	k := &sketch{g: &ir.Graph{Name: "cells"}, r: rand.New(rand.NewPCG(9, 2)), once: map[string]string{}}
	t := ir.TensorType(ir.Float32, -1, 4, 7, 7)
	t.Shape[0].Param = "batch"
	k.g.Inputs = []ir.Value{{Name: "x", Type: t}}
	const c = 4
	conv := func(x string, size, group, dilation, stride int) string {
		p := size / 2 * dilation
		return k.op("Conv", []string{x, k.weight(c, c/group, size, size), k.weight(c)}, ir.IntsAttr("pads", p, p, p, p), ir.IntAttr("group", group),
			ir.IntsAttr("dilations", dilation, dilation), ir.IntsAttr("strides", stride, stride))
	}
	named := func(name, v string) string {
		k.g.Nodes[len(k.g.Nodes)-1].Name = name
		return v
	}
	norm := func(x string) string {
		spread := k.weight(c)
		w := k.g.Init(spread)
		v, _ := w.Float32s()
		for i := range v {
			v[i] = v[i]*v[i] + 0.5
		}
		*w = *ir.NewFloat32(spread, w.Dims, v)
		return k.op("BatchNormalization", []string{x, k.weight(c), k.weight(c), k.weight(c), spread})
	}
	depthwise := func(x string, dilation, stride int) string {
		return norm(conv(conv(k.op("Relu", []string{x}), 5, c, dilation, stride), 1, 1, 1, 1))
	}
	x := "x"
	for i, name := range []string{"one", "two"} {
		sep := named(name+".sep", depthwise(depthwise(x, 1, 2-i), 1, 1))
		dil := named(name+".dil", depthwise(x, 2, 2-i))
		x = named(name, k.add(sep, dil))
	}
	both := k.add(named("three.conv", norm(conv(x, 3, 1, 1, 1))), named("three.pool", k.op("AveragePool", []string{x}, ir.IntsAttr("kernel_shape", 3, 3), ir.IntsAttr("pads", 1, 1, 1, 1))))
	x = named("three", k.add(both, x))
	k.g.Outputs = []ir.Value{{Name: k.op("GlobalAveragePool", []string{x})}}
	return &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: 17}}, Graph: k.g}
}

// edge is a dim of "one" or "two" with candidates of two kernels each.
func edge(node string, choices ...int) space.Dim {
	return space.Dim{Name: "operations:" + node, Kind: "operations", Node: node, Choices: choices,
		Candidates: []string{node + ".sep", node + ".sep", node + ".dil", node + ".dil"}, Kernels: []int{3, 5, 3, 0}}
}

var three = space.Dim{Name: "operations:three", Kind: "operations", Node: "three", Choices: []int{0, 1, 2, 3, 4}, Candidates: []string{"three.pool", "three.conv", "three.conv"}, Kernels: []int{0, 1, 3}}

// TestEntangledCandidates: candidates that share a branch at several kernels, with the sum of all
// and without it, tied and alone: supernet at the vertex ≡ subnet ≡ re-imported file, and prices
// are the subnet's.
func TestEntangledCandidates(t *testing.T) {
	m := cells()
	s := subject{"cells", m, map[string]int{"batch": batch}, space.Options{}, 20, 1e-10}
	tied := edge("one", 1, 2, 3, 4)
	tied.Tied = []space.Tied{{Node: "two", Candidates: edge("two").Candidates}}
	an := analysed(t, m, s.bind)
	for _, dims := range [][]space.Dim{{edge("one", 1, 2, 3, 4, 5), edge("two", 1, 2, 3, 4, 5), three}, {edge("one", 1, 2, 3, 4), edge("two", 2, 3), three}, {tied, three}} {
		checkSpace(t, s, an, &space.Space{Source: an.Fingerprint(), Dims: dims})
	}
}

// TestEntangledCut: a cut candidate is its branch at its own kernel, with the paddings of it.
func TestEntangledCut(t *testing.T) {
	an := analysed(t, cells(), map[string]int{"batch": batch})
	tied := edge("one", 1, 2, 3, 4)
	tied.Tied = []space.Tied{{Node: "two", Candidates: edge("two").Candidates}}
	sp := &space.Space{Source: an.Fingerprint(), Dims: []space.Dim{tied, three}}
	net, err := space.Entangle(an, sp, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	for choice, want := range [][]string{{"3 pad 1", "3 pad 1", "3 pad 1", "3 pad 1"}, {"5 pad 2", "5 pad 2", "5 pad 2", "5 pad 2"}, {"3 pad 2", "3 pad 2"}, {"5 pad 4", "5 pad 4"}} {
		r, err := subnet.NewRecipe(net, []int{choice, 1}, 1, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if r, err = subnet.UnmarshalRecipe(text); err != nil {
			t.Fatal(err)
		}
		m, err := subnet.Extract(an, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range m.Graph.Nodes {
			if w := n.Input(1); n.OpType == "Conv" && m.Graph.Init(w).Dims[1] == 1 && m.Graph.Init(w).Dims[0] == 4 {
				pads := n.Attr("pads").Ints
				got = append(got, fmt.Sprintf("%d pad %d", m.Graph.Init(w).Dims[3], pads[0]))
			}
			if n.Name == "three.conv" {
				t.Error("want the norm of the other branch gone")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("choice %d: want kernels %q, got %q", choice, want, got)
		}
		kept := map[int]string{0: "one.sep, kernel 3", 1: "one.sep, kernel 5", 2: "one.dil, kernel 3", 3: "one.dil"}[choice]
		if got := r.Dims[0].Kept(); got != kept {
			t.Errorf("choice %d: want %q kept, got %q", choice, kept, got)
		}
	}
}

// TestEntangledExpect: expected costs are the sums over all subnets, by their probability.
func TestEntangledExpect(t *testing.T) {
	an := analysed(t, cells(), map[string]int{"batch": batch})
	tied := edge("one", 1, 2, 3, 4)
	tied.Tied = []space.Tied{{Node: "two", Candidates: edge("two").Candidates}}
	for _, dims := range [][]space.Dim{{edge("one", 1, 2, 3, 4), edge("two", 1, 3, 5), three}, {tied, three}} {
		sp := &space.Space{Source: an.Fingerprint(), Dims: dims}
		net, err := space.Entangle(an, sp, space.Every)
		if err != nil {
			t.Fatal(err)
		}
		coef := drawn(sp, 4)
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
}

// drawn are random coefficients of every dim.
func drawn(sp *space.Space, seed uint64) [][]float64 {
	r := rand.New(rand.NewPCG(seed, 4))
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
	return coef
}

// TestTied: one decision for several nodes, of every ordered kind: supernet at the vertex ≡ subnet
// ≡ re-imported file, prices are the subnet's, and the tied dims' choice is that of dims of
// their own at the same choice.
func TestTied(t *testing.T) {
	for name, tie := range map[string]func(a, b space.Dim) bool{
		"preact-tiny": func(a, b space.Dim) bool { return a.Kind == b.Kind && slices.Equal(a.Choices, b.Choices) },
		"mobilenet-tiny": func(a, b space.Dim) bool {
			return a.Kind != "depth" && a.Kind == b.Kind && slices.Equal(a.Choices, b.Choices)
		},
	} {
		i := slices.IndexFunc(tiny(t), func(s subject) bool { return s.name == name })
		s := tiny(t)[i]
		an := analysed(t, s.m, s.bind)
		own, err := space.New(an, s.opts)
		if err != nil {
			t.Fatal(err)
		}
		sp := &space.Space{Source: own.Source}
		first := map[string]int{} // dim → index of the dim that it is tied to
		for _, d := range own.Dims {
			at := slices.IndexFunc(sp.Dims, func(o space.Dim) bool { return tie(o, d) })
			if first[d.Name] = at; at >= 0 {
				sp.Dims[at].Tied = append(sp.Dims[at].Tied, space.Tied{Node: d.Node})
				continue
			}
			first[d.Name] = len(sp.Dims)
			sp.Dims = append(sp.Dims, d)
		}
		if len(sp.Dims) == len(own.Dims) {
			t.Fatalf("%s: nothing is tied", name)
		}
		shuffleOrder(an, sp, 3)
		checkSpace(t, s, an, sp)
		for d := range own.Dims {
			own.Dims[d].Order = sp.Dims[first[own.Dims[d].Name]].Order
		}
		tied, err := space.Entangle(an, sp, space.Every)
		if err != nil {
			t.Fatal(err)
		}
		free, err := space.Entangle(an, own, space.Every)
		if err != nil {
			t.Fatal(err)
		}
		for _, choice := range choices(sp, 2, 5) {
			all := make([]int, len(own.Dims))
			for d := range own.Dims {
				all[d] = choice[first[own.Dims[d].Name]]
			}
			a, err := subnet.Cut(tied, choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := subnet.Cut(free, all, nil)
			if err != nil {
				t.Fatal(err)
			}
			if space.Fingerprint(a) != space.Fingerprint(b) {
				t.Errorf("%s: choice %v: want the subnet of %v", name, choice, all)
			}
		}
	}
}

// TestNone: edges of which nothing remains leave zeros, and what served them alone goes.
func TestNone(t *testing.T) {
	o := models.Options{Classes: 3, Size: 6, Width: 2, Depth: 1, Seed: 2, Scatter: true}
	m, err := models.NB201Space().Build(o)
	if err != nil {
		t.Fatal(err)
	}
	an := analysed(t, m, map[string]int{"batch": batch})
	sp, err := space.New(an, space.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSpace(t, subject{"nb201", m, map[string]int{"batch": batch}, space.Options{}, 15, 1e-10}, an, sp)
	net, err := space.Entangle(an, sp, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing reaches the last cell's result but zeros of the shape of the block before it.
	cut, err := subnet.Cut(net, []int{0, 0, 0, 0, 0, 0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range cut.Graph.Nodes {
		if strings.Contains(n.Name, ".conv") && strings.HasPrefix(n.Name, "stage") || n.OpType == "AveragePool" && strings.HasPrefix(n.Name, "stage") {
			t.Errorf("want node %q (%s) gone", n.Name, n.OpType)
		}
	}
	coef := drawn(sp, 4)
	for _, name := range []string{space.MACs, space.Params} {
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
			t.Errorf("%s: want %g expected, got %g", name, want, got)
		}
	}
}

// TestStack: the layers of a stack under one decision go from the last one on: supernet at the
// vertex ≡ subnet ≡ re-imported file, prices are the subnet's.
func TestStack(t *testing.T) {
	i := slices.IndexFunc(tiny(t), func(s subject) bool { return s.name == "decoder-tiny" })
	s := tiny(t)[i]
	an := analysed(t, s.m, s.bind)
	stack := func(choices ...int) *space.Space {
		return &space.Space{Source: an.Fingerprint(), Dims: []space.Dim{{Name: "depth", Kind: "depth", Node: "h0.add1", Choices: choices,
			Tied: []space.Tied{{Node: "h0.add2"}, {Node: "h1.add1", Step: 2}, {Node: "h1.add2", Step: 3}}}}}
	}
	checkSpace(t, s, an, stack(0, 1, 2, 3))
	checkSpace(t, s, an, stack(1, 3))
	net, err := space.Entangle(an, stack(0, 1, 2, 3), space.Every)
	if err != nil {
		t.Fatal(err)
	}
	for choice, want := range []int{0, 2, 3, 4} {
		m, err := subnet.Cut(net, []int{choice}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, n := range m.Graph.Nodes {
			if strings.HasSuffix(n.Name, ".add1") || strings.HasSuffix(n.Name, ".add2") {
				got++
			}
		}
		if got != want {
			t.Errorf("choice %d: want %d branches, got %d", choice, want, got)
		}
	}
	for _, c := range []struct {
		d    space.Dim
		want string
	}{
		{space.Dim{Kind: "depth", Node: "h0.add1", Choices: []int{0, 1}, Tied: []space.Tied{{Node: "h1.add1", Step: 2}}}, "end with the original 2"},
		{space.Dim{Kind: "depth", Node: "h0.add1", Choices: []int{0, 1}, Tied: []space.Tied{{Node: "h1.add1", Step: -1}}}, "step: want at least 1"},
		{space.Dim{Kind: "width", Node: "h0.mlp.up", Choices: []int{8, 64}, Tied: []space.Tied{{Node: "h1.mlp.up", Step: 1}}}, `of kind "depth", got 1 of kind "width"`},
	} {
		if _, err := (&space.Space{Dims: []space.Dim{c.d}}).Bind(an); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: want %q, got %v", c.d, c.want, err)
		}
	}
}

// TestDARTSSpace: at random vertices of the DARTS space, entangled and not, with edges of none in
// reduction cells too: supernet ≡ subnet ≡ re-imported file, prices are the subnet's.
func TestDARTSSpace(t *testing.T) {
	for _, s := range []models.Supernet{models.DARTSSpace(), models.SeparateDARTSSpace()} {
		m, err := s.Build(models.Options{Classes: 3, Size: 8, Width: 2, Depth: 3, Seed: 2, Scatter: true})
		if err != nil {
			t.Fatal(err)
		}
		an := analysed(t, m, map[string]int{"batch": batch})
		sp, err := space.New(an, space.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want := math.Pow(8, 28); sp.Size() != want {
			t.Errorf("%s: want %g architectures, got %g", s.Name, want, sp.Size())
		}
		checkSpace(t, subject{s.Name, m, map[string]int{"batch": batch}, space.Options{}, 3, 1e-10}, an, sp)
	}
}
