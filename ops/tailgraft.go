package ops

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

func readsOf(nodes []*ir.Node) map[string]bool {
	out := map[string]bool{}
	for _, n := range nodes {
		for _, u := range ir.Uses(n) {
			out[u] = true
		}
	}
	return out
}

// renameReads changes what nodes read, inside their subgraphs too.
func renameReads(nodes []*ir.Node, to map[string]string) {
	if len(to) == 0 {
		return
	}
	for _, n := range nodes {
		for i, v := range n.Inputs {
			if x, ok := to[v]; ok {
				n.Inputs[i] = x
			}
		}
		for _, g := range ir.Subgraphs(n) {
			renameReads(g.Nodes, to)
			for i := range g.Outputs {
				if x, ok := to[g.Outputs[i].Name]; ok {
					g.Outputs[i].Name = x
				}
			}
		}
	}
}

// Inits returns the initialisers that the tail reads and the head does not.
func (t *Tail) Inits() []*ir.Tensor {
	if t == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.inits), func(x *ir.Tensor) bool { return t.Head.Graph.Init(x.Name) != nil })
}

// Graft returns a model made of a head, which may have been cut and trained, with the tail
// behind it: outputs are those of the graph that was divided. Initialisers that both parts
// read and that changed in the head stand twice. A nil tail gives the head back.
func (t *Tail) Graft(head *ir.Model) *ir.Model {
	if t == nil {
		return head
	}
	out := head.Clone()
	g := out.Graph
	taken, late := map[string]bool{}, map[string]bool{}
	for _, v := range g.Inputs {
		taken[v.Name] = true
	}
	for _, x := range g.Inits {
		taken[x.Name] = true
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			taken[v] = true
		}
	}
	nodes := make([]*ir.Node, len(t.Nodes))
	for i, n := range t.Nodes {
		nodes[i] = n.Clone()
		for _, v := range n.Outputs {
			late[v] = v != ""
		}
	}
	for _, x := range t.inits {
		late[x.Name] = true
	}
	free := func(base string) string {
		name := base
		for k := 2; taken[name] || late[name]; k++ {
			name = fmt.Sprintf("%s%d", base, k)
		}
		taken[name] = true
		return name
	}
	// Names that a cut gave to what it added give way to the graph's own.
	moved := map[string]string{}
	for _, n := range g.Nodes {
		for k, v := range n.Outputs {
			if late[v] {
				moved[v] = free(v + ".head")
				n.Outputs[k] = moved[v]
			}
		}
	}
	for i, x := range g.Inits {
		if !late[x.Name] || t.Head.Graph.Init(x.Name) != nil {
			continue
		}
		c := *x
		moved[x.Name] = free(x.Name + ".head")
		c.Name = moved[x.Name]
		g.Inits[i] = &c
	}
	renameReads(g.Nodes, moved)
	again := map[string]string{}
	for _, x := range t.inits {
		switch old := g.Init(x.Name); {
		case old == nil:
			g.Inits = append(g.Inits, x)
		case old.DType != x.DType || !slices.Equal(old.Dims, x.Dims) || !bytes.Equal(old.Raw, x.Raw):
			c := *x
			c.Name, c.Of = free(x.Name+".tail"), ""
			again[x.Name] = c.Name
			g.Inits = append(g.Inits, &c)
		}
	}
	renameReads(nodes, again)
	g.Nodes = append(g.Nodes, nodes...)
	g.Outputs = slices.Clone(t.outputs)
	g.Info = slices.DeleteFunc(g.Info, func(v ir.Value) bool { return late[v.Name] })
	index, stated := ir.NewIndex(g), map[string]bool{}
	for _, v := range g.Info {
		stated[v.Name] = true
	}
	for _, v := range t.info {
		if index.Producer(v.Name) != nil && !index.IsOutput(v.Name) && !stated[v.Name] {
			g.Info = append(g.Info, v)
		}
	}
	return out
}

// HeadOf takes the tail off a normal model that Graft made, or one that was made from such a
// model without a change to the tail.
func (t *Tail) HeadOf(whole *ir.Model) *ir.Model {
	late := map[string]bool{}
	for _, n := range t.Nodes {
		for _, v := range n.Outputs {
			late[v] = v != ""
		}
	}
	out := whole.Clone()
	g := out.Graph
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return slices.ContainsFunc(n.Outputs, func(v string) bool { return late[v] }) })
	now := g.Outputs
	g.Outputs = slices.Clone(t.Head.Graph.Outputs)
	for i := range g.Outputs {
		if k := slices.Index(names(now), g.Outputs[i].Name); k >= 0 {
			g.Outputs[i] = now[k]
		}
	}
	g.Info = slices.DeleteFunc(g.Info, func(v ir.Value) bool { return late[v.Name] || slices.Contains(names(g.Outputs), v.Name) })
	reads := readsOf(g.Nodes)
	g.Inits = slices.DeleteFunc(g.Inits, func(x *ir.Tensor) bool { return !reads[x.Name] })
	return out
}
