package ir

import (
	"fmt"
	"slices"
)

// origin says what defines a value.
type origin uint8

const (
	byInput origin = iota + 1
	byInit
	byNode
)

// work is the copy of a graph that a patch edits.
type work struct {
	g       *Graph
	old     *Graph
	slots   [][]*Node       // nodes now, by the place of the node they came from
	slot    map[*Node]int   // place of each node of the old graph that is still there
	cloned  map[*Node]*Node // what a node of the old graph became
	defined map[string]origin
	init    map[string]int
	outputs map[string]bool
	types   map[string]Type
	pending map[string]string // rewirings that wait for one sweep over the nodes
}

func newWork(g *Graph) *work {
	c := *g
	c.Inputs, c.Outputs, c.Info = slices.Clone(g.Inputs), slices.Clone(g.Outputs), slices.Clone(g.Info)
	c.Inits = slices.Clone(g.Inits)
	w := &work{
		g: &c, old: g, slot: map[*Node]int{}, cloned: map[*Node]*Node{}, defined: map[string]origin{}, init: map[string]int{},
		outputs: map[string]bool{}, types: NewIndex(g).types, pending: map[string]string{},
	}
	for _, v := range g.Inputs {
		w.defined[v.Name] = byInput
	}
	for i, t := range g.Inits {
		w.init[t.Name] = i
		w.defined[t.Name] = byInit
	}
	for _, s := range g.Sparse {
		w.defined[s.Values.Name] = byInit
	}
	for i, n := range g.Nodes {
		w.slots = append(w.slots, []*Node{n})
		w.slot[n] = i
		for _, o := range n.Outputs {
			if o != "" {
				w.defined[o] = byNode
			}
		}
	}
	for _, v := range g.Outputs {
		w.outputs[v.Name] = true
	}
	return w
}

// now returns what a node of the old graph has become.
func (w *work) now(n *Node) *Node {
	if c, ok := w.cloned[n]; ok {
		return c
	}
	return n
}

// swap puts c in the place of the k-th node of a slot.
func (w *work) swap(slot, k int, c *Node) {
	was := w.slots[slot][k]
	nodes := slices.Clone(w.slots[slot])
	nodes[k] = c
	w.slots[slot] = nodes
	if slot < len(w.old.Nodes) {
		if n := w.old.Nodes[slot]; w.now(n) == was {
			w.cloned[n] = c
		}
	}
}

// take forgets what n defines.
func (w *work) take(n *Node) {
	for _, o := range n.Outputs {
		if w.defined[o] == byNode {
			delete(w.defined, o)
		}
	}
}

func (w *work) put(slot int, n *Node) error {
	for _, o := range n.Outputs {
		if o == "" {
			continue
		}
		if w.defined[o] != 0 {
			return fmt.Errorf("%s: output %q: a value has that name", Address(n), o)
		}
		w.defined[o] = byNode
	}
	w.slots[slot] = append(w.slots[slot], n)
	return nil
}

func (w *work) dropInput(name string) bool {
	n := len(w.g.Inputs)
	w.g.Inputs = slices.DeleteFunc(w.g.Inputs, func(v Value) bool { return v.Name == name })
	return len(w.g.Inputs) < n
}

// flush makes the pending rewirings in one sweep.
func (w *work) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	for s := range w.slots {
		for k := range w.slots[s] {
			n := w.slots[s][k]
			if !slices.ContainsFunc(Uses(n), func(u string) bool { _, ok := w.pending[u]; return ok }) {
				continue
			}
			c := n.Clone()
			if err := substitute(c, w.pending); err != nil {
				return err
			}
			w.swap(s, k, c)
		}
	}
	clear(w.pending)
	return nil
}

// substitute replaces the names that n uses, in subgraphs too where they come from outside.
func substitute(n *Node, to map[string]string) error {
	for i, in := range n.Inputs {
		if r, ok := to[in]; ok {
			n.Inputs[i] = r
		}
	}
	for _, g := range Subgraphs(n) {
		local := localNames(g)
		sub := map[string]string{}
		for _, c := range Captures(g) {
			if r, ok := to[c]; ok {
				if local[r] {
					return fmt.Errorf("%s: graph %q: replace %q by %q: the graph has a value of that name", Address(n), g.Name, c, r)
				}
				sub[c] = r
			}
		}
		if len(sub) == 0 {
			continue
		}
		for _, m := range g.Nodes {
			if err := substitute(m, sub); err != nil {
				return err
			}
		}
		for i, o := range g.Outputs {
			if r, ok := sub[o.Name]; ok {
				g.Outputs[i].Name = r
			}
		}
	}
	return nil
}

func localNames(g *Graph) map[string]bool {
	names := map[string]bool{}
	for _, v := range g.Inputs {
		names[v.Name] = true
	}
	for _, t := range g.Inits {
		names[t.Name] = true
	}
	for _, s := range g.Sparse {
		names[s.Values.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			names[o] = true
		}
	}
	return names
}

// finish gathers the nodes and checks that the graph holds together. The root
// graph may use no names from outside, a subgraph those it used before.
func (w *work) finish(root bool) error {
	w.g.Nodes = slices.Concat(w.slots...)
	w.g.Inits = slices.DeleteFunc(w.g.Inits, func(t *Tensor) bool { return t == nil })
	known := map[string]bool{}
	if !root {
		for _, c := range Captures(w.old) {
			known[c] = true
		}
	}
	for _, n := range w.g.Nodes {
		for _, u := range Uses(n) {
			if w.defined[u] == 0 && !known[u] {
				return fmt.Errorf("%s: it uses %q, which nothing makes any more", Address(n), u)
			}
		}
	}
	for _, o := range w.g.Outputs {
		if w.defined[o.Name] == 0 && !known[o.Name] {
			return fmt.Errorf("output %q: nothing makes it any more", o.Name)
		}
	}
	if !Sorted(w.g.Nodes) {
		nodes, err := TopoSort(w.g.Nodes)
		if err != nil {
			return err
		}
		w.g.Nodes = nodes
	}
	had := NewIndex(w.old)
	w.g.Info = slices.DeleteFunc(w.g.Info, func(v Value) bool { return w.defined[v.Name] == 0 && had.Defined(v.Name) })
	return nil
}
