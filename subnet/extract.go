package subnet

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// Extract applies a recipe to the analysed source model. Weights replaces
// initialisers of the source by name (same dtype and dims) before they are
// sliced; nil keeps the source's own.
func Extract(an *space.Analysis, r *Recipe, weights map[string]*ir.Tensor) (*ir.Model, error) {
	if fp := an.Fingerprint(); r.Source != fp {
		return nil, fmt.Errorf("subnet: recipe is for a model with fingerprint %.16s…, this one has %.16s…", r.Source, fp)
	}
	s, choice, err := r.Space()
	if err != nil {
		return nil, err
	}
	net, err := space.Entangle(an, s, space.Every)
	if err != nil {
		return nil, err
	}
	return Cut(net, choice, weights)
}

// Cut extracts the subnet of a choice (indices per dim) from a supernet.
func Cut(net *space.Supernet, choice []int, weights map[string]*ir.Tensor) (*ir.Model, error) {
	keep, closed, err := net.Cut(choice)
	if err != nil {
		return nil, err
	}
	m := net.An.Model.Clone()
	m.Meta = space.Undeclared(m.Meta)
	for i, t := range m.Graph.Inits {
		w := weights[t.Name]
		if w == nil {
			continue
		}
		if w.DType != t.DType || !slices.Equal(w.Dims, t.Dims) {
			return nil, fmt.Errorf("subnet: weight %q: want %s%v, got %s%v", t.Name, t.DType, t.Dims, w.DType, w.Dims)
		}
		c := *w
		c.Name, c.Doc, c.Meta, c.Of = t.Name, t.Doc, t.Meta, t.Of
		m.Graph.Inits[i] = &c
	}
	// Later nodes first: an outer branch takes inner ones with it, and a shortcut
	// still bears its own name when its reader is skipped.
	at := map[string]int{}
	for i, n := range m.Graph.Nodes {
		at[n.Label()] = i
	}
	slices.SortFunc(closed, func(x, y *space.Gate) int { return at[y.Node] - at[x.Node] })
	for _, gate := range closed {
		skip(m, gate)
	}
	ops.DropUnread(m.Graph, net.An.Model.Graph)
	facts := net.An.Facts
	if facts, err = ops.InferModel(m, facts.Bind); err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	small, err := ops.CutModel(m, facts, keep)
	if err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	if err := ops.NoteCuts(small, net.An.Model, net.An.Facts, keep); err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	return small, ir.Verify(small)
}

// skip takes a branch out with its residual node, whose readers read the shortcut. A node that
// does more than to add stays, and adds zeros that are the shortcut less itself; of one whose operands
// are all gone zeros take the place. A node that
// an outer branch took along is gone already.
func skip(m *ir.Model, gate *space.Gate) {
	g := m.Graph
	at := slices.IndexFunc(g.Nodes, func(n *ir.Node) bool { return n.Label() == gate.Node })
	if at < 0 {
		return
	}
	add := g.Nodes[at]
	if v := gate.Zeros; v != "" {
		g.Nodes[at] = &ir.Node{Name: add.Name, OpType: "Sub", Inputs: []string{v, v}, Outputs: []string{add.Output(0)}}
		return
	}
	gone := map[string]bool{}
	for _, v := range gate.Nodes {
		gone[v] = true
	}
	out, short := add.Output(0), gate.Shortcut
	if gate.Stays {
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return gone[n.Output(0)] })
		zeros := &ir.Node{Name: gate.Branch + ".zeros", OpType: "Sub", Inputs: []string{short, short}, Outputs: []string{gate.Branch}}
		g.Nodes = slices.Insert(g.Nodes, slices.Index(g.Nodes, add), zeros)
		return
	}
	if slices.ContainsFunc(g.Outputs, func(v ir.Value) bool { return v.Name == out }) {
		g.Nodes[at] = &ir.Node{Name: add.Name, OpType: "Identity", Inputs: []string{short}, Outputs: []string{out}}
	} else {
		g.Nodes = slices.Delete(g.Nodes, at, at+1)
		rename(g, out, short)
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return gone[n.Output(0)] })
}

// rename makes every reader of old read new, subgraphs included.
func rename(g *ir.Graph, old, new string) {
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v == old {
				n.Inputs[i] = new
			}
		}
		for i := range n.Attrs {
			for _, sub := range append(slices.Clone(n.Attrs[i].Graphs), n.Attrs[i].G) {
				if sub != nil {
					rename(sub, old, new)
				}
			}
		}
	}
}
