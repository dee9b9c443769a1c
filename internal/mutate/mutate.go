// Package mutate damages models in their structure, for tests of what must refuse a model
// with an error and never panic. What it leaves is often still a model: edits stay near
// what files hold.
package mutate

import (
	"math/rand/v2"

	"github.com/entangle-nas/entangle/ir"
)

// Model applies so many edits to m, in place, and returns their names in order. Operators are
// the types that a node may change to. The generator alone decides.
func Model(r *rand.Rand, m *ir.Model, edits int, operators []string) []string {
	s := &state{Rand: r, model: m, operators: operators}
	var done []string
	for range edits {
		// An edit that finds nothing to damage leaves its turn to another.
		for range 20 {
			e := all[r.IntN(len(all))]
			s.graph = s.anyGraph()
			if e.apply(s) {
				done = append(done, e.name)
				break
			}
		}
	}
	return done
}

// Names lists the kinds of edit.
func Names() []string {
	var out []string
	for _, e := range all {
		out = append(out, e.name)
	}
	return out
}

// edit is one kind of damage; apply reports whether it found something to damage.
type edit struct {
	name  string
	apply func(*state) bool
}

var all = []edit{
	{"attribute value", attributeValue},
	{"attribute list", attributeList},
	{"attribute gone", attributeGone},
	{"attribute added", attributeAdded},
	{"attribute kind", attributeKind},
	{"attribute tensor", attributeTensor},
	{"declared size", declaredSize},
	{"declared rank", declaredRank},
	{"declared type", declaredType},
	{"declaration gone", declarationGone},
	{"declaration added", declarationAdded},
	{"initialiser shape", initialiserShape},
	{"initialiser size", initialiserSize},
	{"initialiser type", initialiserType},
	{"initialiser number", initialiserNumber},
	{"initialiser becomes an input", initialiserFed},
	{"input becomes an initialiser", inputStored},
	{"input rewired", inputRewired},
	{"inputs swapped", inputsSwapped},
	{"input left out", inputLeftOut},
	{"inputs shortened", inputsShortened},
	{"input added", inputAdded},
	{"output left out", outputLeftOut},
	{"output added", outputAdded},
	{"operator", operator},
	{"domain", domain},
	{"opset", opset},
	{"node gone", nodeGone},
	{"node repeated", nodeRepeated},
	{"node name", nodeName},
	{"graph output", graphOutput},
	{"graph output gone", graphOutputGone},
	{"subgraph", subgraph},
}

// state is what edits work on: one graph of the model, its own or a subgraph.
type state struct {
	*rand.Rand
	model     *ir.Model
	graph     *ir.Graph
	operators []string
	made      int // names handed out
}

func (s *state) anyGraph() *ir.Graph {
	var graphs []*ir.Graph
	ir.WalkGraphs(s.model.Graph, func(g *ir.Graph) { graphs = append(graphs, g) })
	if s.IntN(2) == 0 {
		return s.model.Graph
	}
	return graphs[s.IntN(len(graphs))]
}

func pick[T any](s *state, list []T) T { return list[s.IntN(len(list))] }

// node returns a node of the graph or, of models with functions, of a function; nil when there is none.
func (s *state) node() *ir.Node {
	nodes := s.graph.Nodes
	if len(s.model.Functions) > 0 && s.IntN(4) == 0 {
		nodes = pick(s, s.model.Functions).Nodes
	}
	if len(nodes) == 0 {
		return nil
	}
	return pick(s, nodes)
}

// number is an integer as attributes and sizes hold, now and then an absurd one.
func (s *state) number() int64 {
	if s.IntN(8) == 0 {
		return pick(s, []int64{100, -100, 1 << 20, 1 << 31, -1 << 31, 1 << 40, 1<<63 - 1, -1 << 63})
	}
	return pick(s, []int64{0, 1, -1, 2, -2, 3, -3, 4, 5, 7, 8})
}

func (s *state) size() ir.Dim {
	switch s.IntN(60) {
	case 0, 1, 2, 3, 4, 5, 6:
		return ir.Dim{Size: -1}
	case 7, 8, 9, 10, 11, 12, 13:
		return ir.Dim{Size: -1, Param: pick(s, []string{"batch", "n", "sequence"})}
	case 14:
		return ir.Dim{Size: 1 << 20}
	}
	return ir.Dim{Size: pick(s, []int{0, 1, 2, 3, 4, 5, 8, 16})}
}

func (s *state) fresh() string {
	s.made++
	return "mutated_" + string(rune('a'+s.made%26)) + string(rune('a'+s.made/26%26)) + string(rune('a'+s.IntN(26)))
}

// value returns the name of a value that is made before node n, or anywhere for nil; "" when there is none.
func (s *state) value(n *ir.Node) string {
	g, names := s.graph, []string{}
	for _, v := range g.Inputs {
		names = append(names, v.Name)
	}
	for _, x := range g.Nodes {
		if x == n {
			break
		}
		for _, o := range x.Outputs {
			if o != "" {
				names = append(names, o)
			}
		}
	}
	if len(g.Inits) > 0 && (len(names) == 0 || s.IntN(3) == 0) {
		return pick(s, g.Inits).Name
	}
	if len(names) == 0 {
		return ""
	}
	return pick(s, names)
}
