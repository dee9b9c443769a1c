package ir

import "fmt"

// Patch is a list of edits of one graph, applied in order and together: Apply
// makes all of them or none. Nodes are named by the pointers that the graph held
// when the patch was made.
type Patch struct {
	Title string // what it does, for logs and errors
	graph *Graph
	edits []edit
}

type edit interface {
	apply(w *work) error
}

// NewPatch returns an empty patch of g, which is a model's graph or one of its subgraphs.
func NewPatch(g *Graph, title string) *Patch { return &Patch{graph: g, Title: title} }

// Empty reports whether the patch has no edits.
func (p *Patch) Empty() bool { return p == nil || len(p.edits) == 0 }

// Len returns the number of edits.
func (p *Patch) Len() int { return len(p.edits) }

func (p *Patch) add(e edit) { p.edits = append(p.edits, e) }

// Remove takes nodes out. What they made must be used no more when the patch is complete.
func (p *Patch) Remove(nodes ...*Node) {
	for _, n := range nodes {
		p.add(replaceNode{old: n})
	}
}

// Replace puts nodes where old stood.
func (p *Patch) Replace(old *Node, with ...*Node) { p.add(replaceNode{old: old, with: with}) }

// Insert adds nodes; each goes behind the producers of what it uses.
func (p *Patch) Insert(nodes ...*Node) { p.add(insertNodes{nodes: nodes}) }

// Rewire makes every use of the value from, in subgraphs too, a use of to. Where
// both types are known their dtype and shape must agree. A graph output keeps
// its name, so it cannot be from.
func (p *Patch) Rewire(from, to string) { p.add(rewire{from: from, to: to}) }

// Rename gives a node's output another name, which no value has, where it is made and used.
func (p *Patch) Rename(from, to string) { p.add(rename{from: from, to: to}) }

// AddInit adds an initialiser under a name that no value has.
func (p *Patch) AddInit(t *Tensor) { p.add(setInit{t: t, mode: initNew}) }

// SetInit replaces the initialiser of the same name, dtype and dims.
func (p *Patch) SetInit(t *Tensor) { p.add(setInit{t: t, mode: initSame}) }

// ResizeInit replaces the initialiser of the same name, dtype and rank; sizes may differ.
func (p *Patch) ResizeInit(t *Tensor) { p.add(setInit{t: t, mode: initResize}) }

// RemoveInit removes an initialiser, and the input of the same name if there is one.
func (p *Patch) RemoveInit(name string) { p.add(removeInit{name: name}) }

// RemoveInput removes a graph input; an initialiser of the same name stays.
func (p *Patch) RemoveInput(name string) { p.add(removeInput{name: name}) }

// SetType states the type of a value: in the inputs or outputs where it stands
// there, else in value_info.
func (p *Patch) SetType(name string, t Type) { p.add(setType{name: name, typ: t}) }

// Apply edits the graph of p, which belongs to m. On an error m is as it was. The
// edited graph has unique names, no dangling uses, its outputs, and its nodes in
// topological order; value_info of values that are gone is dropped.
func (p *Patch) Apply(m *Model) error {
	g := p.graph
	owned := false
	WalkGraphs(m.Graph, func(h *Graph) { owned = owned || h == g })
	if !owned {
		return p.errorf("want a graph of the model, got another one")
	}
	w := newWork(g)
	for _, e := range p.edits {
		if _, ok := e.(rewire); !ok {
			if err := w.flush(); err != nil {
				return p.errorf("%w", err)
			}
		}
		if err := e.apply(w); err != nil {
			return p.errorf("%w", err)
		}
	}
	if err := w.flush(); err != nil {
		return p.errorf("%w", err)
	}
	if err := w.finish(g == m.Graph); err != nil {
		return p.errorf("%w", err)
	}
	*g = *w.g
	return nil
}

func (p *Patch) errorf(format string, args ...any) error {
	return fmt.Errorf("ir: patch %q: %w", p.Title, fmt.Errorf(format, args...))
}

type replaceNode struct {
	old  *Node
	with []*Node
}

func (e replaceNode) apply(w *work) error {
	slot, ok := w.slot[e.old]
	if !ok {
		return fmt.Errorf("%s: it is not in the graph", Address(e.old))
	}
	delete(w.slot, e.old)
	w.take(w.now(e.old))
	w.slots[slot] = w.slots[slot][:0:0]
	for _, n := range e.with {
		if err := w.put(slot, n); err != nil {
			return err
		}
	}
	return nil
}

type insertNodes struct{ nodes []*Node }

func (e insertNodes) apply(w *work) error {
	for _, n := range e.nodes {
		w.slots = append(w.slots, nil)
		if err := w.put(len(w.slots)-1, n); err != nil {
			return err
		}
	}
	return nil
}

type rewire struct{ from, to string }

func (e rewire) apply(w *work) error {
	if w.outputs[e.from] {
		return fmt.Errorf("replace %q by %q: %q is a graph output and keeps its name", e.from, e.to, e.from)
	}
	ft, ok1 := w.types[e.from]
	tt, ok2 := w.types[e.to]
	if ok1 && ok2 {
		if err := ft.Accepts(tt); err != nil {
			return fmt.Errorf("replace %q (%s) by %q (%s): %w", e.from, ft, e.to, tt, err)
		}
	}
	for k, v := range w.pending {
		if v == e.from {
			w.pending[k] = e.to
		}
	}
	if _, ok := w.pending[e.from]; !ok {
		w.pending[e.from] = e.to
	}
	return nil
}

type rename struct{ from, to string }

func (e rename) apply(w *work) error {
	switch {
	case w.defined[e.to] != 0:
		return fmt.Errorf("rename %q to %q: a value has that name", e.from, e.to)
	case w.outputs[e.from]:
		return fmt.Errorf("rename %q to %q: %q is a graph output and keeps its name", e.from, e.to, e.from)
	case w.defined[e.from] != byNode:
		return fmt.Errorf("rename %q to %q: no node makes %q", e.from, e.to, e.from)
	}
	ft, ok1 := w.types[e.from]
	tt, ok2 := w.types[e.to]
	if ok1 && ok2 {
		if err := tt.Accepts(ft); err != nil {
			return fmt.Errorf("rename %q (%s) to %q (%s): %w", e.from, ft, e.to, tt, err)
		}
	} else if ok1 {
		w.types[e.to] = ft
	}
	for s, nodes := range w.slots {
		for k, n := range nodes {
			for i, o := range n.Outputs {
				if o == e.from {
					c := n.Clone()
					c.Outputs[i] = e.to
					w.swap(s, k, c)
				}
			}
		}
	}
	for i := range w.g.Info {
		if w.g.Info[i].Name == e.from {
			w.g.Info[i].Name = e.to
		}
	}
	delete(w.defined, e.from)
	w.defined[e.to] = byNode
	w.pending[e.from] = e.to
	return w.flush()
}

type initMode int

const (
	initNew initMode = iota
	initSame
	initResize
)

type setInit struct {
	t    *Tensor
	mode initMode
}

func (e setInit) apply(w *work) error {
	if err := e.t.Check(); err != nil {
		return err
	}
	if e.mode == initNew {
		if w.defined[e.t.Name] != 0 {
			return fmt.Errorf("initializer %q: a value has that name", e.t.Name)
		}
		if old, ok := w.types[e.t.Name]; ok {
			if err := old.Accepts(e.t.Type()); err != nil {
				return fmt.Errorf("initializer %q: %w", e.t.Name, err)
			}
		}
		w.init[e.t.Name] = len(w.g.Inits)
		w.g.Inits = append(w.g.Inits, e.t)
		w.defined[e.t.Name] = byInit
		w.types[e.t.Name] = e.t.Type()
		return nil
	}
	i, ok := w.init[e.t.Name]
	if !ok {
		return fmt.Errorf("initializer %q: there is none to replace", e.t.Name)
	}
	old, now := w.g.Inits[i].Type(), e.t.Type()
	if e.mode == initResize {
		if old.Elem != now.Elem || old.Rank() != now.Rank() {
			return fmt.Errorf("initializer %q: dtype and rank: want those of %s, got %s", e.t.Name, old, now)
		}
	} else if err := old.Accepts(now); err != nil {
		return fmt.Errorf("initializer %q: %w", e.t.Name, err)
	}
	w.g.Inits[i] = e.t
	w.types[e.t.Name] = now
	for _, list := range [][]Value{w.g.Inputs, w.g.Info} {
		for k := range list {
			if list[k].Name == e.t.Name {
				list[k].Type = now
			}
		}
	}
	return nil
}

type removeInit struct{ name string }

func (e removeInit) apply(w *work) error {
	i, ok := w.init[e.name]
	if !ok {
		return fmt.Errorf("initializer %q: there is none to remove", e.name)
	}
	w.g.Inits[i] = nil
	delete(w.init, e.name)
	delete(w.defined, e.name)
	w.dropInput(e.name)
	return nil
}

type removeInput struct{ name string }

func (e removeInput) apply(w *work) error {
	if !w.dropInput(e.name) {
		return fmt.Errorf("input %q: there is none to remove", e.name)
	}
	if _, ok := w.init[e.name]; !ok {
		delete(w.defined, e.name)
	}
	return nil
}

type setType struct {
	name string
	typ  Type
}

func (e setType) apply(w *work) error {
	t := e.typ.Clone()
	w.types[e.name] = t
	found := false
	for _, list := range [][]Value{w.g.Inputs, w.g.Outputs, w.g.Info} {
		for i := range list {
			if list[i].Name == e.name {
				list[i].Type = t
				found = true
			}
		}
	}
	if !found {
		w.g.Info = append(w.g.Info, Value{Name: e.name, Type: t})
	}
	return nil
}
