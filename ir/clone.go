package ir

import "slices"

// Clone returns a copy of the model whose graph, functions and lists can be
// edited freely. The bytes of tensors are shared, since edits replace tensors
// and never write into them.
func (m *Model) Clone() *Model {
	c := *m
	c.Opsets = slices.Clone(m.Opsets)
	c.Meta = slices.Clone(m.Meta)
	c.Graph = m.Graph.Clone()
	c.Functions = make([]*Function, len(m.Functions))
	for i, f := range m.Functions {
		c.Functions[i] = f.Clone()
	}
	return &c
}

// Clone returns a copy that can be edited freely.
func (f *Function) Clone() *Function {
	c := *f
	c.Inputs, c.Outputs, c.Attrs = slices.Clone(f.Inputs), slices.Clone(f.Outputs), slices.Clone(f.Attrs)
	c.Defaults = cloneAttrs(f.Defaults)
	c.Nodes = cloneNodes(f.Nodes)
	c.Opsets = slices.Clone(f.Opsets)
	c.Info = cloneValues(f.Info)
	c.Meta = slices.Clone(f.Meta)
	return &c
}

// Clone returns a copy of the graph whose nodes, attributes and lists can be
// edited freely; tensors' Raw bytes are shared.
func (g *Graph) Clone() *Graph {
	if g == nil {
		return nil
	}
	c := *g
	c.Inputs, c.Outputs, c.Info = cloneValues(g.Inputs), cloneValues(g.Outputs), cloneValues(g.Info)
	c.Meta = slices.Clone(g.Meta)
	c.Inits = cloneTensors(g.Inits)
	c.Sparse = slices.Clone(g.Sparse)
	c.Nodes = cloneNodes(g.Nodes)
	return &c
}

func cloneNodes(nodes []*Node) []*Node {
	out := make([]*Node, len(nodes))
	for i, n := range nodes {
		out[i] = n.Clone()
	}
	return out
}

func cloneTensors(ts []*Tensor) []*Tensor {
	out := make([]*Tensor, len(ts))
	for i, t := range ts {
		c := *t
		c.Dims = slices.Clone(t.Dims)
		c.Meta = slices.Clone(t.Meta)
		out[i] = &c
	}
	return out
}

func cloneValues(vs []Value) []Value {
	out := make([]Value, len(vs))
	for i, v := range vs {
		out[i] = v
		out[i].Type = v.Type.Clone()
		out[i].Meta = slices.Clone(v.Meta)
	}
	return out
}

// Clone returns a copy that can be edited freely, subgraphs included.
func (n *Node) Clone() *Node {
	c := *n
	c.Inputs = slices.Clone(n.Inputs)
	c.Outputs = slices.Clone(n.Outputs)
	c.Meta = slices.Clone(n.Meta)
	c.Attrs = cloneAttrs(n.Attrs)
	return &c
}

func cloneAttrs(attrs []Attr) []Attr {
	out := make([]Attr, len(attrs))
	for i, a := range attrs {
		a.Ints = slices.Clone(a.Ints)
		a.Floats = slices.Clone(a.Floats)
		a.Strings = slices.Clone(a.Strings)
		a.Types = slices.Clone(a.Types)
		if a.T != nil {
			a.T = cloneTensors([]*Tensor{a.T})[0]
		}
		if a.Tensors != nil {
			a.Tensors = cloneTensors(a.Tensors)
		}
		a.G = a.G.Clone()
		if a.Graphs != nil {
			gs := make([]*Graph, len(a.Graphs))
			for k, g := range a.Graphs {
				gs[k] = g.Clone()
			}
			a.Graphs = gs
		}
		out[i] = a
	}
	return out
}
