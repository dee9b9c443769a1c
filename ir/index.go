package ir

// Index answers who makes and who uses a value of one graph. It is a snapshot:
// make a new one after an edit.
type Index struct {
	graph     *Graph
	producer  map[string]*Node
	consumers map[string][]*Node
	inits     map[string]*Tensor
	inputs    map[string]int
	outputs   map[string]int
	types     map[string]Type
	pos       map[*Node]int
}

// NewIndex reads g once. A node whose subgraph uses a value of g counts as a
// consumer of that value.
func NewIndex(g *Graph) *Index {
	x := &Index{
		graph: g, producer: map[string]*Node{}, consumers: map[string][]*Node{}, inits: map[string]*Tensor{},
		inputs: map[string]int{}, outputs: map[string]int{}, types: map[string]Type{}, pos: map[*Node]int{},
	}
	for _, v := range g.Info {
		x.types[v.Name] = v.Type
	}
	for i, v := range g.Outputs {
		x.outputs[v.Name] = i
		x.types[v.Name] = v.Type
	}
	for i, v := range g.Inputs {
		x.inputs[v.Name] = i
		x.types[v.Name] = v.Type
	}
	for _, t := range g.Inits {
		x.inits[t.Name] = t
		x.types[t.Name] = t.Type()
	}
	for _, s := range g.Sparse {
		x.types[s.Values.Name] = TensorType(s.Values.DType, s.Dims...)
	}
	for i, n := range g.Nodes {
		x.pos[n] = i
		for _, o := range n.Outputs {
			if o != "" {
				x.producer[o] = n
			}
		}
		for _, u := range Uses(n) {
			x.consumers[u] = append(x.consumers[u], n)
		}
	}
	return x
}

// Producer returns the node that makes the value, nil for inputs, initialisers and unknown names.
func (x *Index) Producer(name string) *Node { return x.producer[name] }

// Consumers returns the nodes that use the value, each once, in graph order.
func (x *Index) Consumers(name string) []*Node { return x.consumers[name] }

// Init returns the initialiser of that name, nil when there is none.
func (x *Index) Init(name string) *Tensor { return x.inits[name] }

// IsInput reports whether the value is a graph input.
func (x *Index) IsInput(name string) bool { _, ok := x.inputs[name]; return ok }

// IsOutput reports whether the value is a graph output.
func (x *Index) IsOutput(name string) bool { _, ok := x.outputs[name]; return ok }

// Pos returns the node's position in the graph, -1 when it is not there.
func (x *Index) Pos(n *Node) int {
	if i, ok := x.pos[n]; ok {
		return i
	}
	return -1
}

// Type returns what the graph states about a value: the type of its
// initialiser, input, output or value_info entry, in this order.
func (x *Index) Type(name string) (Type, bool) {
	t, ok := x.types[name]
	return t, ok
}

// Defined reports whether the value is an input, an initialiser or a node output of the graph.
func (x *Index) Defined(name string) bool {
	if name == "" {
		return false
	}
	if x.producer[name] != nil || x.inits[name] != nil || x.IsInput(name) {
		return true
	}
	for _, s := range x.graph.Sparse {
		if s.Values.Name == name {
			return true
		}
	}
	return false
}

// Uses returns the values that n needs from the graph it stands in: its inputs,
// then the captures of its subgraphs; each name once, omitted inputs left out.
func Uses(n *Node) []string {
	var names []string
	seen := map[string]bool{"": true}
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			names = append(names, s)
		}
	}
	for _, in := range n.Inputs {
		add(in)
	}
	for _, g := range Subgraphs(n) {
		for _, c := range Captures(g) {
			add(c)
		}
	}
	return names
}

// Subgraphs returns the graphs in n's attributes, in order.
func Subgraphs(n *Node) []*Graph {
	var gs []*Graph
	for i := range n.Attrs {
		if g := n.Attrs[i].G; g != nil {
			gs = append(gs, g)
		}
		gs = append(gs, n.Attrs[i].Graphs...)
	}
	return gs
}

// Captures returns the names that g uses and does not define itself, each once, in order of use.
func Captures(g *Graph) []string {
	local := map[string]bool{"": true}
	for _, v := range g.Inputs {
		local[v.Name] = true
	}
	for _, t := range g.Inits {
		local[t.Name] = true
	}
	for _, s := range g.Sparse {
		local[s.Values.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			local[o] = true
		}
	}
	var names []string
	add := func(s string) {
		if !local[s] {
			local[s] = true
			names = append(names, s)
		}
	}
	for _, n := range g.Nodes {
		for _, u := range Uses(n) {
			add(u)
		}
	}
	for _, v := range g.Outputs {
		add(v.Name)
	}
	return names
}
