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
	Doc:  "which of the alternatives that a node adds up remains: candidates that are branches of the graph; only nodes named by operations, or in a space that is given or that the file declares",
	Find: findOperations,
	Bind: bindOperations,
}

// operand is a value that a tree of additions adds up, or a tree within it.
type operand struct {
	value string
	node  *ir.Node    // the addition whose result it is; nil of a leaf
	sides [2]*operand // of node
	named []int       // candidates in it; several of a leaf differ in their kernels
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
		side := &operand{value: v}
		for at, c := range candidates {
			if c == v || p != nil && c == p.Label() {
				side.named = append(side.named, at)
			}
		}
		if side.rest = side.named == nil; side.rest && b.adds(p) && len(b.readers[v]) == 1 && !b.result[v] {
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

// dropGated takes out depth dims whose node is an addition of alternatives, and kernels that
// alternatives decide.
func (s *Space) dropGated(an *Analysis) error {
	var taken []string
	kernels := map[string]bool{}
	b := newBranches(an)
	for _, d := range s.Dims {
		if d.Ordered() {
			continue
		}
		for _, d := range d.each() {
			for _, n := range an.Model.Graph.Nodes {
				if n.Label() == d.Node {
					taken = append(taken, b.operands(n, d.Candidates).additions()...)
				}
			}
			e, err := bindOperations(an, d)
			if err != nil {
				return err
			}
			for _, ax := range e.Axes {
				kernels[ax.Value] = true
			}
		}
	}
	label := map[string]*ir.Node{}
	for _, n := range an.Model.Graph.Nodes {
		label[n.Label()] = n
	}
	s.Dims = slices.DeleteFunc(s.Dims, func(d Dim) bool {
		switch d.Kind {
		case depthKind.Name:
			return slices.Contains(taken, d.Node)
		case kernelKind.Name:
			w, _, _, _ := kernelOf(an, label[d.Node])
			return kernels[w]
		}
		return false
	})
	return nil
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
	if d.Kernels != nil && len(d.Kernels) != len(d.Candidates) {
		return nil, fmt.Errorf("space: dimension %q: kernels: want one for each of %d candidates, 0 where it stays, got %d", d.Name, len(d.Candidates), len(d.Kernels))
	}
	root := b.operands(n, d.Candidates)
	for k, c := range d.Candidates {
		if countOf(root.named, k) != 1 {
			return nil, fmt.Errorf("space: dimension %q: candidates: want different values that node %q adds up, of %s, got %q", d.Name, d.Node, strings.Join(b.operands(n, nil).leaves(), ", "), c)
		}
	}
	for i, c := range d.Choices {
		if c < 0 || c > len(d.Candidates)+1 || i > 0 && c <= d.Choices[i-1] {
			return nil, fmt.Errorf("space: dimension %q: choices: want ascending numbers from 0 (none) to %d (all), got %v", d.Name, len(d.Candidates)+1, d.Choices)
		}
	}
	none := ""
	if len(d.Choices) > 0 && d.Choices[0] == 0 && !root.rest {
		none = b.anchor(root)
	}
	switch {
	case len(d.Choices) == 0:
		return nil, fmt.Errorf("space: dimension %q: choices: want at least one, got none", d.Name)
	case d.Choices[0] == 0 && !root.rest && none == "":
		return nil, fmt.Errorf("space: dimension %q: choices: 0 leaves nothing of what node %q adds up: want candidates from 1 on, values besides them, or a candidate without weights that zeros take their shape from", d.Name, d.Node)
	case len(d.Candidates) < 2 && d.Choices[0] != 0:
		return nil, fmt.Errorf("space: dimension %q: candidates: want two, or choice 0, got one", d.Name)
	}
	e := &Effect{}
	if err := b.gates(root, d, e); err != nil {
		return nil, err
	}
	if none != "" && len(d.Choices) > 1 {
		open := make([]bool, len(d.Choices))
		open[0] = true
		e.Gates = append(e.Gates, &Gate{Node: d.Node, Branch: root.value, Zeros: none, Root: d.Node, Open: open, Edge: true, Inner: true})
	}
	return e, nil
}

// anchor returns a value that has the shape of a tree's result whatever the sizes are and that
// is computed early, so that what lies between may go: a candidate without weights, or where that is
// itself a sum, an operand of it that others read too, and so on. What only a norm of running statistics
// follows is as good. "" where every candidate has weights.
func (b *branches) anchor(root *operand) string {
	best, fewest := "", -1
	var look func(o *operand)
	look = func(o *operand) {
		for _, side := range o.sides {
			if side.node != nil {
				look(side)
				continue
			}
			for v, end := side.value, o.node; ; {
				nodes, _, weighted := b.exclusive(v, end)
				if !weighted {
					if fewest < 0 || len(nodes) < fewest {
						best, fewest = v, len(nodes)
					}
					break
				}
				n := b.producer[v]
				if n == nil || !keepsShape(n) {
					break
				}
				v, end = n.Input(0), n
			}
		}
	}
	look(root)
	for best != "" {
		earlier := ""
		var walk func(v string)
		walk = func(v string) {
			n := b.producer[v]
			if !b.adds(n) {
				return
			}
			for _, x := range n.Inputs {
				if b.adds(b.producer[x]) && len(b.readers[x]) == 1 {
					walk(x)
				} else if nodes, _, _ := b.exclusive(x, n); len(nodes) == 0 && (earlier == "" || b.order(x) < b.order(earlier)) {
					earlier = x
				}
			}
		}
		if walk(best); earlier == "" {
			break
		}
		best = earlier
	}
	return best
}

// keepsShape reports an operator with running statistics, whose result has its input's shape.
func keepsShape(n *ir.Node) bool {
	op := ops.Lookup(n.Domain, n.OpType)
	return op != nil && len(op.State) > 0
}

func countOf(list []int, x int) (n int) {
	for _, y := range list {
		if y == x {
			n++
		}
	}
	return n
}

// gates adds a gate for either side of every addition of a tree that some choice removes, and
// the kernels of branches that stand for several candidates.
func (b *branches) gates(o *operand, d Dim, e *Effect) error {
	for k, side := range o.sides {
		open := make([]bool, len(d.Choices))
		for c, choice := range d.Choices {
			open[c] = side.rest || choice > len(d.Candidates) || slices.Contains(side.named, choice-1)
		}
		if slices.Contains(open, false) {
			g := &Gate{Node: o.node.Label(), Branch: side.value, Shortcut: o.sides[1-k].value, Open: open, Root: d.Node, Edge: true, Inner: side.node != nil}
			if len(b.readers[side.value]) == 1 {
				nodes, _, _ := b.exclusive(side.value, o.node)
				for _, x := range nodes {
					g.Nodes = append(g.Nodes, x.Output(0))
				}
				slices.Sort(g.Nodes)
			}
			e.Gates = append(e.Gates, g)
		}
		if side.node == nil {
			if err := b.kernels(side, o.node, d, open, e); err != nil {
				return err
			}
		} else if err := b.gates(side, d, e); err != nil {
			return err
		}
	}
	return nil
}

// kernels adds what the candidates of one branch do to its kernels. All of those of more than
// one position shrink together; what is outside a candidate's kernel carries the share of the
// candidates that keep it in the coefficients of all that keep the branch, since the branch is
// scaled by these already.
func (b *branches) kernels(leaf *operand, end *ir.Node, d Dim, open []bool, e *Effect) error {
	fault := func(format string, args ...any) error {
		names := make([]string, len(leaf.named))
		for i, k := range leaf.named {
			names[i] = Kept(d.Candidates, d.Kernels, k+1)
		}
		return fmt.Errorf("space: dimension %q: candidates %q of node %q: %w", d.Name, names, d.Node, fmt.Errorf(format, args...))
	}
	asked := false
	for _, k := range leaf.named {
		asked = asked || d.Kernels != nil && d.Kernels[k] != 0
	}
	switch {
	case !asked && len(leaf.named) < 2:
		return nil
	case !asked:
		return fault("want different branches, or kernels that tell them apart")
	case len(b.readers[leaf.value]) != 1 || b.result[leaf.value]:
		return fault("want a branch that node %q alone reads", end.Label())
	}
	nodes, _, _ := b.exclusive(leaf.value, end)
	slices.SortFunc(nodes, func(x, y *ir.Node) int { return b.at[x] - b.at[y] })
	readers, why := kernelReaders(b.an)
	size := 0
	var shrink []*ir.Node
	for _, n := range nodes {
		site := b.an.Facts.Sites[n]
		op := site.Rules()
		if op == nil || op.Kernel == nil {
			continue
		}
		in, _, _ := op.Kernel(site)
		if shape := site.Input(in).Shape(); len(shape) < 3 || ir.Prod(shape[2:]) == 1 {
			continue
		}
		w, _, k, ok := kernelOf(b.an, n)
		switch {
		case !ok:
			return fault("node %q (%s): its kernel cannot shrink (want a square odd one with padding that can shrink with it)", n.Label(), n.OpType)
		case why[w] != "":
			return fault("node %q (%s): its kernel cannot shrink: %s", n.Label(), n.OpType, why[w])
		case slices.ContainsFunc(readers[w], func(r *ir.Node) bool { return !slices.Contains(nodes, r) }):
			return fault("node %q (%s): other branches share its kernel", n.Label(), n.OpType)
		case size != 0 && k != size:
			return fault("want kernels of one size, got %d at node %q and %d at node %q", size, shrink[0].Label(), k, n.Label())
		}
		if size = k; readers[w][0] == n {
			shrink = append(shrink, n)
		}
	}
	if size == 0 {
		return fault("want a kernel of more than one position in the branch, got none")
	}
	sizes := []int{size}
	of := map[int]int{} // candidate → its size
	for _, k := range leaf.named {
		if of[k] = d.Kernels[k]; of[k] == 0 {
			of[k] = size
		}
		if of[k] < 1 || of[k] > size || of[k]%2 == 0 {
			return fault("want odd kernels from 1 to %d, got %d", size, of[k])
		}
		for _, j := range leaf.named {
			if j < k && of[j] == of[k] {
				return fault("want kernels of different sizes, got %d twice", of[k])
			}
		}
		sizes = append(sizes, of[k])
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	rank := make([]int, len(d.Choices))
	for c, choice := range d.Choices {
		if rank[c] = len(sizes) - 1; slices.Contains(leaf.named, choice-1) {
			rank[c] = slices.Index(sizes, of[choice-1])
		}
	}
	for _, n := range shrink {
		w, axes, _, _ := kernelOf(b.an, n)
		for _, a := range axes {
			e.Axes = append(e.Axes, centred(AxisEffect{Value: w, Axis: a, Mask: true, Rank: rank, Given: open}, size, sizes))
		}
	}
	return nil
}
