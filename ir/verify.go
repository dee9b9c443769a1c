package ir

import (
	"fmt"
	"strings"
)

// Faults is every fault that Verify found, in the order of the model.
type Faults []string

// Error lists the faults, at most twenty of them.
func (f Faults) Error() string {
	const most = 20
	list := []string(f)
	tail := ""
	if len(list) > most {
		tail = fmt.Sprintf("; and %d more", len(list)-most)
		list = list[:most]
	}
	return fmt.Sprintf("ir: %d fault(s): %s%s", len(f), strings.Join(list, "; "), tail)
}

// Verify checks that m is well formed and returns nil or Faults with all that is
// wrong: names defined once and before use, also through subgraphs and in
// function bodies; no cycles; tensors whose data fit their dims; one opset per
// domain in use; outputs that exist; attributes with a kind and unique names. It
// says nothing about operators' own rules.
func Verify(m *Model) error {
	v := &verifier{}
	v.model(m)
	if len(v.faults) == 0 {
		return nil
	}
	return v.faults
}

type verifier struct {
	faults  Faults
	opsets  map[string]bool // imported domains of the body being checked
	funcs   map[string]bool // domains of the model's functions
	missing map[string]bool // domains already reported
	params  map[string]bool // attribute parameters of the function being checked, nil outside
}

func (v *verifier) add(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

func (v *verifier) model(m *Model) {
	if m.Graph == nil {
		v.add("model: it has no graph")
		return
	}
	v.imports("model", m.Opsets)
	v.funcs = map[string]bool{}
	ids := map[string]bool{}
	for _, f := range m.Functions {
		id := f.ID()
		if ids[id] {
			v.add("function %s: defined twice", id)
		}
		ids[id] = true
		v.funcs[NormalDomain(f.Domain)] = true
	}
	v.graph(m.Graph, nil, fmt.Sprintf("graph %q", m.Graph.Name))
	for _, f := range m.Functions {
		v.function(f)
	}
	v.recursion(m.Functions)
}

// ID returns domain.name, and :overload when there is one.
func (f *Function) ID() string { return opID(f.Domain, f.Name, f.Overload) }

// OpID returns the operator that n calls, in the form of Function.ID.
func (n *Node) OpID() string { return opID(n.Domain, n.OpType, n.Overload) }

func opID(domain, name, overload string) string {
	id := NormalDomain(domain) + "." + name
	if overload != "" {
		id += ":" + overload
	}
	return id
}

func (v *verifier) imports(where string, opsets []Opset) {
	v.opsets = map[string]bool{}
	v.missing = map[string]bool{}
	seen := map[string]int64{}
	for _, o := range opsets {
		d := NormalDomain(o.Domain)
		if old, ok := seen[d]; ok && old != o.Version {
			v.add("%s: opset of domain %q: imported as %d and as %d", where, o.Domain, old, o.Version)
		}
		if o.Version < 1 {
			v.add("%s: opset of domain %q: want a version of at least 1, got %d", where, o.Domain, o.Version)
		}
		seen[d] = o.Version
		v.opsets[d] = true
	}
}

func (v *verifier) function(f *Function) {
	where := "function " + f.ID()
	if f.Name == "" {
		v.add("%s: it has no name", where)
	}
	v.imports(where, f.Opsets)
	v.params = map[string]bool{}
	for _, a := range f.Attrs {
		if v.params[a] {
			v.add("%s: attribute parameter %q: listed twice", where, a)
		}
		v.params[a] = true
	}
	for i := range f.Defaults {
		a := &f.Defaults[i]
		if v.params[a.Name] {
			v.add("%s: attribute parameter %q: listed twice", where, a.Name)
		}
		v.params[a.Name] = true
		v.attr(a, nil, where)
	}
	s := &scope{names: map[string]bool{}}
	for _, in := range f.Inputs {
		v.define(s, in, where+": input")
	}
	v.body(f.Nodes, s, where)
	for _, o := range f.Outputs {
		if !s.has(o) {
			v.add("%s: output %q: nothing makes it", where, o)
		}
	}
	v.params = nil
}

// recursion reports functions that call themselves, directly or through others.
func (v *verifier) recursion(funcs []*Function) {
	byID := map[string]*Function{}
	for _, f := range funcs {
		byID[f.ID()] = f
	}
	state := map[*Function]int{}
	var visit func(f *Function, trail []string)
	calls := func(nodes []*Node, do func(*Function)) {
		WalkNodes(nodes, func(n *Node) {
			if f := byID[n.OpID()]; f != nil {
				do(f)
			}
		})
	}
	visit = func(f *Function, trail []string) {
		trail = append(trail, f.ID())
		if state[f] == 1 {
			v.add("function %s: calls itself: %s", f.ID(), strings.Join(trail, " calls "))
			return
		}
		if state[f] == 2 {
			return
		}
		state[f] = 1
		calls(f.Nodes, func(g *Function) { visit(g, trail) })
		state[f] = 2
	}
	for _, f := range funcs {
		visit(f, nil)
	}
}

// WalkNodes calls do for each node and, behind it, the nodes of its subgraphs.
func WalkNodes(nodes []*Node, do func(*Node)) {
	for _, n := range nodes {
		do(n)
		for _, g := range Subgraphs(n) {
			WalkNodes(g.Nodes, do)
		}
	}
}

// WalkGraphs calls do for g and, behind it, every graph below it.
func WalkGraphs(g *Graph, do func(*Graph)) {
	do(g)
	for _, n := range g.Nodes {
		for _, s := range Subgraphs(n) {
			WalkGraphs(s, do)
		}
	}
}

// scope holds the names of one graph; a subgraph sees those of its parents.
type scope struct {
	parent *scope
	names  map[string]bool
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.names[name] {
			return true
		}
	}
	return false
}

func (v *verifier) define(s *scope, name, where string) {
	switch {
	case name == "":
		v.add("%s: it has no name", where)
	case s.names[name]:
		v.add("%s %q: the name is defined twice", where, name)
	case s.has(name):
		v.add("%s %q: the name is already defined in an outer graph", where, name)
	}
	s.names[name] = true
}

func (v *verifier) graph(g *Graph, parent *scope, where string) {
	s := &scope{parent: parent, names: map[string]bool{}}
	for _, in := range g.Inputs {
		v.define(s, in.Name, where+": input")
		v.typ(in.Type, fmt.Sprintf("%s: input %q", where, in.Name))
	}
	inputs := len(s.names)
	seen := make(map[string]bool, len(g.Inits))
	init := func(t *Tensor, dims []int, what string) {
		if seen[t.Name] {
			v.add("%s: %s %q: the name is defined twice", where, what, t.Name)
			return
		}
		seen[t.Name] = true
		if inputs > 0 && s.names[t.Name] { // a default for an input
			if in := g.input(t.Name); in != nil && in.Type.Kind == KindTensor {
				v.agrees(in.Type, TensorType(t.DType, dims...), fmt.Sprintf("%s: %s %q", where, what, t.Name))
			}
			return
		}
		v.define(s, t.Name, where+": "+what)
	}
	for _, t := range g.Inits {
		init(t, t.Dims, "initializer")
		if err := t.Check(); err != nil {
			v.add("%s: initializer: %v", where, err)
		}
	}
	for _, sp := range g.Sparse {
		init(sp.Values, sp.Dims, "sparse initializer")
		v.sparse(sp, where)
	}
	v.body(g.Nodes, s, where)
	outs := map[string]bool{}
	for _, o := range g.Outputs {
		if !s.has(o.Name) {
			v.add("%s: output %q: nothing makes it", where, o.Name)
		}
		if outs[o.Name] && parent == nil {
			v.add("%s: output %q: listed twice", where, o.Name)
		}
		outs[o.Name] = true
		v.typ(o.Type, fmt.Sprintf("%s: output %q", where, o.Name))
	}
	for _, i := range g.Info {
		v.typ(i.Type, fmt.Sprintf("%s: value_info %q", where, i.Name))
	}
}

func (g *Graph) input(name string) *Value {
	for i := range g.Inputs {
		if g.Inputs[i].Name == name {
			return &g.Inputs[i]
		}
	}
	return nil
}

// agrees reports an initialiser that contradicts the type stated for it.
func (v *verifier) agrees(stated, got Type, where string) {
	if err := stated.Accepts(got); err != nil {
		v.add("%s: %v", where, err)
	}
}

func (v *verifier) sparse(s *Sparse, where string) {
	for _, t := range []*Tensor{s.Values, s.Indices} {
		if err := t.Check(); err != nil {
			v.add("%s: sparse tensor: %v", where, err)
		}
	}
	if _, err := s.positions(); err != nil {
		v.add("%s: %v", where, err)
	}
}

func (v *verifier) typ(t Type, where string) {
	for ; ; t = *t.Inner {
		if t.Kind == KindTensor && t.Elem != Undefined && !t.Elem.Valid() {
			v.add("%s: element type %s: want one of ONNX's", where, t.Elem)
		}
		if t.Inner == nil {
			return
		}
	}
}

// body checks nodes in order against the names of s and defines their outputs in it.
func (v *verifier) body(nodes []*Node, s *scope, where string) {
	later := map[string]*Node{}
	for _, n := range nodes {
		for _, o := range n.Outputs {
			if o != "" && later[o] == nil {
				later[o] = n
			}
		}
	}
	disordered := false
	for i, n := range nodes {
		at := fmt.Sprintf("%s: node %d %q (%s)", where, i, n.Name, n.OpType)
		if n.OpType == "" {
			v.add("%s: it has no operator", at)
		}
		v.domain(n, at)
		for k, in := range n.Inputs {
			if in == "" || s.has(in) {
				continue
			}
			if later[in] != nil {
				disordered = true
				v.add("%s: input %d %q: made further down by %s", at, k, in, Address(later[in]))
			} else {
				v.add("%s: input %d %q: no input, initializer or node makes it", at, k, in)
			}
		}
		v.attrs(n, s, at)
		for _, o := range n.Outputs {
			if o != "" {
				v.define(s, o, at+": output")
			}
		}
	}
	if disordered {
		if _, err := TopoSort(nodes); err != nil {
			v.add("%s: %v", where, err)
		}
	}
}

func (v *verifier) domain(n *Node, at string) {
	d := NormalDomain(n.Domain)
	if v.opsets[d] || v.missing[d] || v.funcs[d] {
		return
	}
	v.missing[d] = true
	v.add("%s: domain %q: no opset of it is imported", at, n.Domain)
}

func (v *verifier) attrs(n *Node, s *scope, at string) {
	for i := range n.Attrs {
		a := &n.Attrs[i]
		for k := range i {
			if n.Attrs[k].Name == a.Name {
				v.add("%s: attribute %q: given twice", at, a.Name)
			}
		}
		v.attr(a, s, at)
	}
}

func (v *verifier) attr(a *Attr, s *scope, at string) {
	at = fmt.Sprintf("%s: attribute %q", at, a.Name)
	if a.Name == "" {
		v.add("%s: it has no name", at)
	}
	if a.Ref != "" {
		if v.params == nil {
			v.add("%s: refers to %q outside a function", at, a.Ref)
		} else if !v.params[a.Ref] {
			v.add("%s: refers to %q, which the function does not take", at, a.Ref)
		}
		return
	}
	bad := false
	switch a.Kind {
	case AttrTensor:
		bad = a.T == nil
	case AttrGraph:
		bad = a.G == nil
	case AttrSparseTensor:
		bad = len(a.Sparse) != 1
	case AttrType:
		bad = len(a.Types) != 1
	default:
		bad = a.Kind <= AttrNone || a.Kind > AttrTypes
	}
	if bad {
		v.add("%s: kind %d: its value is missing", at, a.Kind)
		return
	}
	for _, t := range append(a.Tensors[:len(a.Tensors):len(a.Tensors)], a.T) {
		if t != nil {
			if err := t.Check(); err != nil {
				v.add("%s: %v", at, err)
			}
		}
	}
	for _, sp := range a.Sparse {
		v.sparse(sp, at)
	}
	for _, t := range a.Types {
		v.typ(t, at)
	}
	for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.G) {
		if g != nil {
			v.graph(g, s, fmt.Sprintf("%s: graph %q", at, g.Name))
		}
	}
}
