package importer

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// branches replaces an If whose condition is known by what its branch does, such as the If that
// PyTorch's exporter writes for squeeze(dim).
func branches() pass.Pass {
	return pass.Pass{
		Name: "branches", Doc: "If nodes with a constant condition become the nodes of their branch",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			x := ir.NewIndex(m.Graph)
			for _, n := range m.Graph.Nodes {
				if g := taken(x, n); g != nil {
					return inlineBranch(m, n, g)
				}
			}
			return nil, nil
		},
	}
}

// taken returns the branch that n takes in every run, nil when that is not known, or when the
// branch does not return what n makes.
func taken(x *ir.Index, n *ir.Node) *ir.Graph {
	if !isOp(n, "If") {
		return nil
	}
	c := x.Init(n.Input(0))
	if c == nil || c.DType != ir.Bool || len(c.Raw) != 1 {
		return nil
	}
	name := "else_branch"
	if c.Raw[0] != 0 {
		name = "then_branch"
	}
	for i := range n.Attrs {
		if g := n.Attrs[i].G; n.Attrs[i].Name == name && g != nil && len(g.Inputs) == 0 && len(g.Sparse) == 0 && len(g.Outputs) == len(n.Outputs) {
			return g
		}
	}
	return nil
}

// inlineBranch puts the nodes of a branch where its If stands. Names of the branch get the If's
// name and a slash in front; what it returns gets the names of the If's outputs.
func inlineBranch(m *ir.Model, n *ir.Node, g *ir.Graph) (*ir.Patch, error) {
	in := &inliner{model: m, taken: map[string]bool{}, last: map[string]int{}}
	ir.WalkGraphs(m.Graph, func(g *ir.Graph) {
		for _, name := range names(g) {
			in.taken[name] = true
		}
	})
	outer := map[string]string{"": ""}
	for _, name := range names(m.Graph) {
		outer[name] = name
	}
	nodes := (&ir.Node{Attrs: []ir.Attr{{Name: "branch", Kind: ir.AttrGraph, G: g}}}).Clone().Attrs[0].G.Nodes
	made := map[string]bool{}
	for _, t := range g.Inits {
		delete(outer, t.Name)
	}
	for _, c := range nodes {
		for _, o := range c.Outputs {
			if o != "" {
				delete(outer, o)
				made[o] = true
			}
		}
	}
	prefix := n.Name
	if prefix == "" {
		prefix = n.OpType
	}
	b := &body{in: in, prefix: prefix + "/", names: outer}
	returned := make([]bool, len(n.Outputs))
	for i, v := range g.Outputs {
		if made[v.Name] && n.Outputs[i] != "" {
			outer[v.Name], returned[i], made[v.Name] = n.Outputs[i], true, false
		}
	}
	p := ir.NewPatch(m.Graph, fmt.Sprintf("take the branch %q of %s", g.Name, ir.Address(n)))
	for _, t := range g.Inits {
		c := *t
		c.Name = b.define(outer, t.Name)
		p.AddInit(&c)
	}
	for _, c := range nodes {
		if err := b.node(c, outer); err != nil {
			return nil, fmt.Errorf("%s: branch %q: %w", ir.Address(n), g.Name, err)
		}
	}
	for i, v := range g.Outputs {
		if returned[i] || n.Outputs[i] == "" {
			continue
		}
		from, ok := outer[v.Name]
		if !ok {
			return nil, fmt.Errorf("%s: branch %q: output %q: nothing makes it", ir.Address(n), g.Name, v.Name)
		}
		nodes = append(nodes, &ir.Node{Name: in.fresh(prefix + "/" + v.Name), OpType: "Identity", Inputs: []string{from}, Outputs: []string{n.Outputs[i]}})
	}
	p.Replace(n, nodes...)
	return p, nil
}
