package importer

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// largestInline bounds the nodes that calls expand to: functions that call each
// other can multiply without end.
const largestInline = 250_000

// inliner replaces calls of local functions by their bodies.
type inliner struct {
	model *ir.Model
	funcs map[string]*ir.Function
	taken map[string]bool // value and node names of the model
	last  map[string]int  // the number that fresh gave last for a name
	info  map[*ir.Graph]map[string]bool
	nodes int
}

// inlineFunctions expands every call in m and drops the functions. Names of a
// body get the calling node's name and a slash in front, and a number where that is taken.
func inlineFunctions(m *ir.Model) error {
	if len(m.Functions) == 0 {
		return nil
	}
	in := &inliner{model: m, funcs: map[string]*ir.Function{}, taken: map[string]bool{}, last: map[string]int{}, info: map[*ir.Graph]map[string]bool{}}
	for _, f := range m.Functions {
		in.funcs[f.ID()] = f
	}
	ir.WalkGraphs(m.Graph, func(g *ir.Graph) {
		for _, n := range names(g) {
			in.taken[n] = true
		}
	})
	if err := in.graph(m.Graph); err != nil {
		return err
	}
	used := map[string]bool{"": true}
	ir.WalkNodes(m.Graph.Nodes, func(n *ir.Node) { used[ir.NormalDomain(n.Domain)] = true })
	called := map[string]bool{}
	for _, f := range m.Functions {
		called[ir.NormalDomain(f.Domain)] = true
	}
	m.Opsets = slices.DeleteFunc(m.Opsets, func(o ir.Opset) bool {
		d := ir.NormalDomain(o.Domain)
		return called[d] && !used[d]
	})
	m.Functions = nil
	return nil
}

func names(g *ir.Graph) []string {
	var list []string
	for _, v := range g.Inputs {
		list = append(list, v.Name)
	}
	for _, t := range g.Inits {
		list = append(list, t.Name)
	}
	for _, s := range g.Sparse {
		list = append(list, s.Values.Name)
	}
	for _, n := range g.Nodes {
		list = append(append(list, n.Name), n.Outputs...)
	}
	return list
}

func (in *inliner) graph(g *ir.Graph) error {
	nodes, err := in.expand(g, g.Nodes)
	if err != nil {
		return fmt.Errorf("graph %q: %w", g.Name, err)
	}
	g.Nodes = nodes
	return nil
}

// expand returns nodes of g with calls replaced, also in subgraphs and in the bodies themselves.
func (in *inliner) expand(g *ir.Graph, nodes []*ir.Node) ([]*ir.Node, error) {
	var out []*ir.Node
	for _, n := range nodes {
		f := in.funcs[n.OpID()]
		if f == nil {
			for _, s := range ir.Subgraphs(n) {
				if err := in.graph(s); err != nil {
					return nil, fmt.Errorf("%s: %w", ir.Address(n), err)
				}
			}
			out = append(out, n)
			continue
		}
		body, err := in.call(g, n, f)
		if err != nil {
			return nil, fmt.Errorf("%s: function %s: %w", ir.Address(n), f.ID(), err)
		}
		out = append(out, body...)
	}
	return out, nil
}

func (in *inliner) call(g *ir.Graph, n *ir.Node, f *ir.Function) ([]*ir.Node, error) {
	if in.nodes += len(f.Nodes) + 1; in.nodes > largestInline {
		return nil, fmt.Errorf("the calls expand to more than %d nodes", largestInline)
	}
	if len(n.Inputs) > len(f.Inputs) || len(n.Outputs) > len(f.Outputs) {
		return nil, fmt.Errorf("want at most %d inputs and %d outputs, got %d and %d", len(f.Inputs), len(f.Outputs), len(n.Inputs), len(n.Outputs))
	}
	if err := in.imports(f); err != nil {
		return nil, err
	}
	prefix := n.Name
	if prefix == "" {
		prefix = n.OpType
	}
	b := &body{in: in, prefix: prefix + "/", names: map[string]string{"": ""}, attrs: map[string]*ir.Attr{}}
	for i := range f.Defaults {
		b.attrs[f.Defaults[i].Name] = &f.Defaults[i]
	}
	for i := range n.Attrs {
		b.attrs[n.Attrs[i].Name] = &n.Attrs[i]
	}
	for i, name := range f.Inputs {
		b.names[name] = n.Input(i)
	}
	made := map[string]bool{}
	for _, m := range f.Nodes {
		for _, o := range m.Outputs {
			made[o] = true
		}
	}
	var copies []*ir.Node
	for i, name := range f.Outputs {
		out := n.Output(i)
		if out == "" {
			continue
		}
		if _, given := b.names[name]; !given && made[name] {
			b.names[name] = out
			continue
		}
		copies = append(copies, &ir.Node{Name: in.fresh(b.prefix + name), OpType: "Identity", Inputs: []string{name}, Outputs: []string{out}})
	}
	var nodes []*ir.Node
	for _, m := range f.Nodes {
		c := m.Clone()
		if err := b.node(c, b.names); err != nil {
			return nil, err
		}
		nodes = append(nodes, c)
	}
	for _, c := range copies {
		c.Inputs[0] = b.names[c.Inputs[0]]
		nodes = append(nodes, c)
	}
	stated := in.stated(g)
	for _, v := range f.Info {
		if to, ok := b.names[v.Name]; ok && made[v.Name] && !stated[to] {
			v.Name, stated[to] = to, true
			g.Info = append(g.Info, v)
		}
	}
	return in.expand(g, nodes)
}

// stated returns the names in g's value_info.
func (in *inliner) stated(g *ir.Graph) map[string]bool {
	if in.info[g] == nil {
		in.info[g] = map[string]bool{}
		for _, v := range g.Info {
			in.info[g][v.Name] = true
		}
	}
	return in.info[g]
}

// imports adds the opsets that the body needs. A body cannot bring another
// version of a domain that the model uses.
func (in *inliner) imports(f *ir.Function) error {
	for _, o := range f.Opsets {
		switch v := in.model.Opset(o.Domain); v {
		case o.Version:
		case 0:
			in.model.Opsets = append(in.model.Opsets, o)
		default:
			if in.calls(f, o.Domain) {
				return fmt.Errorf("it imports opset %d of domain %q: want the model's, %d", o.Version, o.Domain, v)
			}
		}
	}
	return nil
}

// calls reports whether f uses operators of the domain that are not functions.
func (in *inliner) calls(f *ir.Function, domain string) bool {
	found := false
	ir.WalkNodes(f.Nodes, func(n *ir.Node) {
		found = found || (ir.NormalDomain(n.Domain) == ir.NormalDomain(domain) && in.funcs[n.OpID()] == nil)
	})
	return found
}

// fresh returns name, with a number behind it where a value or node has it already.
func (in *inliner) fresh(name string) string {
	out := name
	for in.taken[out] {
		in.last[name]++
		out = fmt.Sprintf("%s_%d", name, in.last[name]+1)
	}
	in.taken[out] = true
	return out
}

// body is one expansion of a function.
type body struct {
	in     *inliner
	prefix string
	names  map[string]string // of the function's body to the caller's
	attrs  map[string]*ir.Attr
}

// node renames what n uses and makes and resolves its references to attribute parameters.
func (b *body) node(n *ir.Node, names map[string]string) error {
	if n.Name != "" {
		n.Name = b.in.fresh(b.prefix + n.Name)
	}
	for i, name := range n.Inputs {
		to, ok := names[name]
		if !ok {
			return fmt.Errorf("%s: input %q: nothing in the function makes it", ir.Address(n), name)
		}
		n.Inputs[i] = to
	}
	attrs := n.Attrs[:0:0]
	for _, a := range n.Attrs {
		if a.Ref != "" {
			given := b.attrs[a.Ref]
			if given == nil {
				continue
			}
			c := (&ir.Node{Attrs: []ir.Attr{*given}}).Clone().Attrs[0]
			c.Name, c.Doc = a.Name, a.Doc
			attrs = append(attrs, c)
			continue
		}
		for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.G) {
			if g == nil {
				continue
			}
			if err := b.subgraph(g, names); err != nil {
				return fmt.Errorf("%s: graph %q: %w", ir.Address(n), g.Name, err)
			}
		}
		attrs = append(attrs, a)
	}
	n.Attrs = attrs
	for i, name := range n.Outputs {
		n.Outputs[i] = b.define(names, name)
	}
	return nil
}

func (b *body) define(names map[string]string, name string) string {
	if to, ok := names[name]; ok {
		return to
	}
	names[name] = b.in.fresh(b.prefix + name)
	return names[name]
}

func (b *body) subgraph(g *ir.Graph, outer map[string]string) error {
	names := make(map[string]string, len(outer))
	for k, v := range outer {
		names[k] = v
	}
	for i := range g.Inputs {
		delete(names, g.Inputs[i].Name)
		g.Inputs[i].Name = b.define(names, g.Inputs[i].Name)
	}
	for _, t := range g.Inits {
		t.Name = b.define(names, t.Name)
	}
	for i, s := range g.Sparse {
		c, v := *s, *s.Values
		v.Name = b.define(names, v.Name)
		c.Values = &v
		g.Sparse[i] = &c
	}
	for _, n := range g.Nodes {
		if err := b.node(n, names); err != nil {
			return err
		}
	}
	for _, list := range [][]ir.Value{g.Outputs, g.Info} {
		for i := range list {
			if to, ok := names[list[i].Name]; ok {
				list[i].Name = to
			}
		}
	}
	return nil
}
