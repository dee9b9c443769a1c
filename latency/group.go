package latency

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
)

// Groups divides a model's nodes into the sets that a runtime runs as one, in the order of the
// graph: by the runtime's own optimised graph where it shows one, else by Patterns. Nodes that
// the runtime leaves out are in no set.
func Groups(m *ir.Model, rt runtimes.Runtime) ([][]*ir.Node, error) {
	o, ok := rt.(runtimes.Optimiser)
	if !ok {
		return Patterns(m.Graph), nil
	}
	body, err := exporter.Encode(m)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "entangle-optimised-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "optimised.onnx")
	if err := o.Optimise(runtimes.Source{Data: body, Model: m}, path); err != nil {
		return nil, fmt.Errorf("latency: the graph as the runtime optimises it: %w", err)
	}
	fast, err := importer.Read(path)
	if err != nil {
		return nil, fmt.Errorf("latency: the graph as the runtime optimised it: %w", err)
	}
	return covered(m.Graph, fast.Graph), nil
}

// covered gives each node of an optimised graph the nodes of the original that stand
// between its outputs and those of others.
func covered(g, fast *ir.Graph) [][]*ir.Node {
	x := ir.NewIndex(g)
	made := map[string]bool{}
	for _, n := range fast.Nodes {
		for _, o := range n.Outputs {
			made[o] = made[o] || x.Producer(o) != nil
		}
	}
	taken := map[*ir.Node]bool{}
	var sets [][]*ir.Node
	for _, n := range fast.Nodes {
		var set []*ir.Node
		queue := slices.Clone(n.Outputs)
		for len(queue) > 0 {
			v := queue[0]
			queue = queue[1:]
			p := x.Producer(v)
			if p == nil || taken[p] {
				continue
			}
			taken[p] = true
			set = append(set, p)
			for _, u := range ir.Uses(p) {
				if !made[u] {
					queue = append(queue, u)
				}
			}
		}
		if set != nil {
			sets = append(sets, set)
		}
	}
	return ordered(x, sets)
}

// ordered sorts nodes, and sets by their last node: that is where the runtime stands when
// it runs them.
func ordered(x *ir.Index, sets [][]*ir.Node) [][]*ir.Node {
	for _, set := range sets {
		slices.SortFunc(set, func(a, b *ir.Node) int { return x.Pos(a) - x.Pos(b) })
	}
	slices.SortFunc(sets, func(a, b []*ir.Node) int { return x.Pos(a[len(a)-1]) - x.Pos(b[len(b)-1]) })
	return sets
}

// heavy are operators that others are appended to.
var heavy = []string{"Conv", "ConvTranspose", "Gemm", "MatMul", "Div", "LayerNormalization"}

// light are operators that runtimes append.
var light = []string{"BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Add", "Mul", "Div"}

// most bounds the nodes of a pattern.
const most = 8

// Patterns divides nodes as most runtimes do: a product or a convolution with what follows it
// element by element and reads nothing else that is computed, as far as one value alone leaves
// the set (Conv+BatchNormalization+Relu, Conv+Sigmoid+Mul, MatMul+Add, Div+Erf+Add+Mul+Mul).
// Every other node stands alone.
func Patterns(g *ir.Graph) [][]*ir.Node {
	x := ir.NewIndex(g)
	taken := map[*ir.Node]bool{}
	var sets [][]*ir.Node
	for _, n := range g.Nodes {
		if taken[n] {
			continue
		}
		set := []*ir.Node{n}
		if slices.Contains(heavy, n.OpType) {
			set = extended(x, n, taken)
		}
		for _, s := range set {
			taken[s] = true
		}
		sets = append(sets, set)
	}
	return ordered(x, sets)
}

// extended is n with the nodes behind it: the largest set of those tried that one value leaves.
func extended(x *ir.Index, n *ir.Node, taken map[*ir.Node]bool) []*ir.Node {
	set := []*ir.Node{n}
	best := 1
	inside := func(v string) bool {
		p := x.Producer(v)
		return p != nil && slices.Contains(set, p)
	}
	for len(set) < most {
		var next *ir.Node
		for _, s := range set {
			for _, o := range s.Outputs {
				for _, c := range x.Consumers(o) {
					fits := slices.Contains(light, c.OpType) && !taken[c] && !slices.Contains(set, c)
					for _, v := range ir.Uses(c) {
						fits = fits && (x.Init(v) != nil || inside(v))
					}
					if fits && (next == nil || x.Pos(c) < x.Pos(next)) {
						next = c
					}
				}
			}
		}
		if next == nil {
			break
		}
		set = append(set, next)
		if leaving(x, set) == 1 {
			best = len(set)
		}
	}
	return set[:best]
}

// leaving counts the values of a set that others read.
func leaving(x *ir.Index, set []*ir.Node) int {
	n := 0
	for _, s := range set {
		for _, o := range s.Outputs {
			if o != "" && (x.IsOutput(o) || slices.ContainsFunc(x.Consumers(o), func(c *ir.Node) bool { return !slices.Contains(set, c) })) {
				n++
			}
		}
	}
	return n
}
