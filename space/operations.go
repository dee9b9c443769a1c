package space

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

var operationsKind = Kind{
	Name: "operations",
	Doc:  "which of the alternatives that a node adds up remains: candidates that are branches of the graph; only nodes named by operations, or in a space file",
	Find: findOperations,
	Bind: bindOperations,
}

// operand is a value that a tree of additions adds up, or a tree within it.
type operand struct {
	value string
	node  *ir.Node    // the addition whose result it is; nil of a leaf
	sides [2]*operand // of node
	named []int       // candidates in it
	rest  bool        // it has a leaf that is no candidate
}

// adds reports an addition of two different computed values of one shape.
func (b *branches) adds(n *ir.Node) bool {
	if n == nil {
		return false
	}
	op, s := ops.Lookup(n.Domain, n.OpType), b.an.Facts.Sites[n]
	if op == nil || s == nil || !op.Residual || len(n.Inputs) != 2 || n.Inputs[0] == n.Inputs[1] {
		return false
	}
	return !slices.ContainsFunc(s.In, func(f ops.Fact) bool { return f.Weight || f.Const != nil }) && slices.Equal(s.In[0].Shape(), s.In[1].Shape())
}

// operands follows additions down to candidates. Without candidates every leaf is one.
func (b *branches) operands(n *ir.Node, candidates []string) *operand {
	o := &operand{value: n.Output(0), node: n}
	for k, v := range n.Inputs {
		p := b.producer[v]
		at := slices.IndexFunc(candidates, func(c string) bool { return c == v || p != nil && c == p.Label() })
		side := &operand{value: v, rest: at < 0}
		if at >= 0 {
			side.named = []int{at}
		} else if b.adds(p) && len(b.readers[v]) == 1 && !b.result[v] {
			if inner := b.operands(p, candidates); len(inner.named) > 0 || candidates == nil {
				side = inner
			}
		}
		o.sides[k] = side
		o.named, o.rest = append(o.named, side.named...), o.rest || side.rest
	}
	return o
}

// leaves lists the values that are added up.
func (o *operand) leaves() []string {
	if o.node == nil {
		return []string{o.value}
	}
	return append(o.sides[0].leaves(), o.sides[1].leaves()...)
}

// additions lists the labels of the nodes of a tree.
func (o *operand) additions() []string {
	if o == nil || o.node == nil {
		return nil
	}
	return append(append([]string{o.node.Label()}, o.sides[0].additions()...), o.sides[1].additions()...)
}

func findOperations(an *Analysis, o Options) []Dim {
	var out []Dim
	b := newBranches(an)
	for _, n := range an.Model.Graph.Nodes {
		if !Matches(o.Operations, n.Label()) || !b.adds(n) || !o.allows(n.Label()) {
			continue
		}
		root := b.operands(n, nil)
		d := Dim{Name: "operations:" + n.Label(), Kind: "operations", Node: n.Label(), Candidates: root.leaves()}
		macs, free := map[string]float64{}, true
		var price func(of *operand)
		price = func(of *operand) {
			for _, side := range of.sides {
				if side.node != nil {
					price(side)
					continue
				}
				nodes, _, _ := b.exclusive(side.value, of.node)
				for _, x := range nodes {
					macs[side.value] += an.Facts.Sites[x].Price().MACs
					free = free && !Matches(o.Keep, x.Label())
				}
			}
		}
		price(root)
		slices.SortStableFunc(d.Candidates, func(x, y string) int { return cmp.Compare(macs[x], macs[y]) })
		for k := range len(d.Candidates) + 1 {
			d.Choices = append(d.Choices, k+1)
		}
		if free {
			out = append(out, d)
		}
	}
	return out
}

// unmatched reports a name of Options.Operations under which no dim was found.
func unmatched(an *Analysis, s *Space, o Options) error {
	if len(o.Operations) > 0 && o.Kinds != nil && !slices.Contains(o.Kinds, operationsKind.Name) {
		return fmt.Errorf("space: operations %q: want kind %q among the kinds, got %q", o.Operations, operationsKind.Name, o.Kinds)
	}
	for _, glob := range o.Operations {
		if slices.ContainsFunc(s.Dims, func(d Dim) bool { return d.Kind == operationsKind.Name && Matches([]string{glob}, d.Node) }) {
			continue
		}
		why := "the model has no such node"
		for _, n := range an.Model.Graph.Nodes {
			if Matches([]string{glob}, n.Label()) {
				why = fmt.Sprintf("node %q (%s) does not add two computed values of one shape, or must not change", n.Label(), n.OpType)
			}
		}
		return fmt.Errorf("space: operations %q: %s", glob, why)
	}
	return nil
}

// dropGated takes out depth dims whose node is an addition of alternatives.
func (s *Space) dropGated(an *Analysis) {
	var taken []string
	b := newBranches(an)
	for _, d := range s.Dims {
		if d.Ordered() {
			continue
		}
		for _, n := range an.Model.Graph.Nodes {
			if n.Label() == d.Node {
				taken = append(taken, b.operands(n, d.Candidates).additions()...)
			}
		}
	}
	s.Dims = slices.DeleteFunc(s.Dims, func(d Dim) bool { return d.Kind == depthKind.Name && slices.Contains(taken, d.Node) })
}

func bindOperations(an *Analysis, d Dim) (*Effect, error) {
	b := newBranches(an)
	at := slices.IndexFunc(an.Model.Graph.Nodes, func(n *ir.Node) bool { return n.Label() == d.Node })
	if at < 0 {
		return nil, fmt.Errorf("space: dimension %q: the model has no node %q", d.Name, d.Node)
	}
	n := an.Model.Graph.Nodes[at]
	if !b.adds(n) {
		return nil, fmt.Errorf("space: dimension %q: node %q (%s): want a node that adds two computed values of one shape", d.Name, d.Node, n.OpType)
	}
	if len(d.Candidates) < 1 {
		return nil, fmt.Errorf("space: dimension %q: candidates: want at least one of %s", d.Name, strings.Join(b.operands(n, nil).leaves(), ", "))
	}
	root := b.operands(n, d.Candidates)
	for k, c := range d.Candidates {
		if slices.Index(d.Candidates, c) < k || countOf(root.named, k) != 1 {
			return nil, fmt.Errorf("space: dimension %q: candidates: want different values that node %q adds up, of %s, got %q", d.Name, d.Node, strings.Join(b.operands(n, nil).leaves(), ", "), c)
		}
	}
	all := len(d.Candidates) + 1
	if err := d.check(all, 0); err != nil {
		return nil, err
	}
	switch {
	case d.Choices[0] == 0 && !root.rest:
		return nil, fmt.Errorf("space: dimension %q: choices: 0 leaves nothing of what node %q adds up: want candidates from 1 on, or values besides them", d.Name, d.Node)
	case len(d.Candidates) < 2 && d.Choices[0] != 0:
		return nil, fmt.Errorf("space: dimension %q: candidates: want two, or choice 0, got one", d.Name)
	case len(d.Choices) == 1:
		return &Effect{}, nil // all stay
	}
	e := &Effect{}
	b.gates(root, d, e)
	return e, nil
}

func countOf(list []int, x int) (n int) {
	for _, y := range list {
		if y == x {
			n++
		}
	}
	return n
}

// gates adds a gate for either side of every addition of a tree that some choice removes.
func (b *branches) gates(o *operand, d Dim, e *Effect) {
	for k, side := range o.sides {
		open := make([]bool, len(d.Choices))
		for c, choice := range d.Choices {
			open[c] = side.rest || choice > len(d.Candidates) || slices.Contains(side.named, choice-1)
		}
		if slices.Contains(open, false) {
			g := &Gate{Node: o.node.Label(), Branch: side.value, Shortcut: o.sides[1-k].value, Open: open, Edge: true, Inner: side.node != nil}
			if len(b.readers[side.value]) == 1 {
				nodes, _, _ := b.exclusive(side.value, o.node)
				for _, x := range nodes {
					g.Nodes = append(g.Nodes, x.Output(0))
				}
				slices.Sort(g.Nodes)
			}
			e.Gates = append(e.Gates, g)
		}
		if side.node != nil {
			b.gates(side, d, e)
		}
	}
}
