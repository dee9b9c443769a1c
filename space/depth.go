package space

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

var depthKind = Kind{
	Name: "depth",
	Doc:  "whether a residual branch stays (1) or is skipped (0)",
	Find: findDepths,
	Bind: bindDepth,
}

// branches finds the residual nodes, and the fused norms of a sum, whose one input is a
// branch with weights of its own and whose other is a weightless way around it. A branch
// may also read side values.
type branches struct {
	an       *Analysis
	producer map[string]*ir.Node
	readers  map[string][]*ir.Node
	result   map[string]bool
	weights  map[string]bool
	at       map[*ir.Node]int
	side     map[string]bool // masks, positions and sizes: the same whatever the data are
}

// newBranches returns what is the same for all dims of an analysis, found once.
func newBranches(an *Analysis) *branches {
	an.branches.once.Do(func() { an.branches.of = findBranches(an) })
	return an.branches.of
}

func findBranches(an *Analysis) *branches {
	b := &branches{an: an, producer: map[string]*ir.Node{}, readers: map[string][]*ir.Node{}, result: map[string]bool{}, weights: map[string]bool{}, at: map[*ir.Node]int{}}
	for i, n := range an.Model.Graph.Nodes {
		b.at[n] = i
		for _, o := range n.Outputs {
			b.producer[o] = n
		}
		for _, v := range n.Inputs {
			b.readers[v] = append(b.readers[v], n)
		}
		for _, v := range ir.Uses(n) {
			if !slices.Contains(n.Inputs, v) { // a subgraph does
				b.readers[v] = append(b.readers[v], n)
			}
		}
	}
	for _, v := range an.Model.Graph.Outputs {
		b.result[v.Name] = true
	}
	for _, t := range an.Model.Graph.Inits {
		b.weights[t.Name] = t.DType.IsFloat()
	}
	b.side = sides(an)
	return b
}

// sides finds the values that a branch may read beside its source: computed without
// any product with a weight from constants and graph inputs that are not the data, or in
// any way from constants and sizes alone. The data are the floating inputs, or where some
// inputs are integers (tokens, masks) the values that layers make of them.
func sides(an *Analysis) map[string]bool {
	side, still := map[string]bool{}, map[string]bool{}
	tokens := false
	for _, v := range an.Model.Graph.Inputs {
		tokens = tokens || !v.Type.Elem.IsFloat()
	}
	for _, v := range an.Model.Graph.Inputs {
		side[v.Name] = tokens
	}
	for _, t := range an.Model.Graph.Inits {
		side[t.Name], still[t.Name] = true, true
	}
	for _, n := range an.Model.Graph.Nodes {
		op := ops.Lookup(n.Domain, n.OpType)
		ok := op != nil
		fixed := ok && (computesSizes(an.Facts, n) || !slices.ContainsFunc(ir.Uses(n), func(v string) bool { return !still[v] }))
		for i, v := range n.Inputs {
			layer := op != nil && !op.Scales && slices.Contains(op.Params, i) && an.Facts.Values[v].Weight
			ok = ok && (v == "" || side[v]) && !layer
		}
		for _, o := range n.Outputs {
			side[o], still[o] = ok || fixed, fixed
		}
	}
	return side
}

// exclusive returns the nodes that serve only the value v as read by node end,
// and the values they read from elsewhere; the other operand of end is elsewhere.
func (b *branches) exclusive(v string, end *ir.Node) (nodes []*ir.Node, from []string, weighted bool) {
	in := map[*ir.Node]bool{end: true}
	outside := map[string]bool{}
	queue := []string{v}
	// Walk in descending graph order so that every reader is judged before its producer.
	for len(queue) > 0 {
		slices.SortFunc(queue, func(x, y string) int { return b.order(y) - b.order(x) })
		x := queue[0]
		queue = queue[1:]
		n := b.producer[x]
		if n == nil || (x != v && slices.Contains(end.Inputs, x)) {
			outside[x] = true
			continue
		}
		if in[n] {
			continue
		}
		only := true
		for _, o := range n.Outputs {
			if o == "" {
				continue
			}
			if b.result[o] || o != v && slices.Contains(end.Inputs, o) {
				only = false
			}
			for _, r := range b.readers[o] {
				only = only && in[r]
			}
		}
		if !only {
			outside[x] = true
			continue
		}
		in[n] = true
		nodes = append(nodes, n)
		for _, i := range n.Inputs {
			if i == "" || b.an.Facts.Values[i].Weight {
				weighted = weighted || b.weights[i] && b.an.Facts.Values[i].Const.Len() > 1
				continue
			}
			if b.an.Facts.Values[i].Const != nil && b.producer[i] == nil {
				continue
			}
			queue = append(queue, i)
		}
	}
	return nodes, slices.Sorted(maps.Keys(outside)), weighted
}

func (b *branches) order(v string) int {
	if n := b.producer[v]; n != nil {
		return b.at[n]
	}
	return -1
}

// same reports one value, or a fused norm's result and the sum that it is the norm of.
func (b *branches) same(v, w string) bool {
	n := b.producer[v]
	op := (*ops.Op)(nil)
	if n != nil && n == b.producer[w] {
		op = ops.Lookup(n.Domain, n.OpType)
	}
	return v == w || op != nil && op.Sums
}

func (b *branches) gate(n *ir.Node) *Gate {
	op, s := ops.Lookup(n.Domain, n.OpType), b.an.Facts.Sites[n]
	if op == nil || s == nil || len(n.Inputs) < 2 || n.Inputs[0] == n.Inputs[1] || !op.Sums && !(op.Residual && len(n.Inputs) == 2) {
		return nil
	}
	if s.In[0].Weight || s.In[1].Weight || !slices.Equal(s.In[0].Shape(), s.In[1].Shape()) {
		return nil
	}
	for k := range 2 {
		branch, short := n.Inputs[k], n.Inputs[1-k]
		if len(b.readers[branch]) != 1 {
			continue
		}
		nodes, from, weighted := b.exclusive(branch, n)
		_, around, shortWeighted := b.exclusive(short, n)
		if !weighted || shortWeighted || len(around) != 1 || !slices.ContainsFunc(from, func(v string) bool { return b.same(v, around[0]) }) {
			continue
		}
		if slices.ContainsFunc(from, func(v string) bool { return !b.same(v, around[0]) && !b.side[v] }) {
			continue
		}
		g := &Gate{Node: n.Label(), Branch: branch, Shortcut: short, Stays: op.Sums, Open: []bool{false, true}}
		for _, x := range nodes {
			g.Nodes = append(g.Nodes, x.Output(0))
		}
		slices.Sort(g.Nodes)
		return g
	}
	return nil
}

func findDepths(an *Analysis, o Options) []Dim {
	var out []Dim
	b := newBranches(an)
	for _, n := range an.Model.Graph.Nodes {
		g := b.gate(n)
		if g == nil || !o.allows(n.Label()) {
			continue
		}
		free := true
		for _, v := range g.Nodes {
			free = free && !Matches(o.Keep, b.producer[v].Label())
		}
		if free {
			out = append(out, Dim{Name: "depth:" + n.Label(), Kind: "depth", Node: n.Label(), Choices: []int{0, 1}})
		}
	}
	return out
}

func bindDepth(an *Analysis, d Dim) (*Effect, error) {
	b := newBranches(an)
	for _, n := range an.Model.Graph.Nodes {
		if n.Label() != d.Node {
			continue
		}
		g := b.gate(n)
		if g == nil {
			return nil, fmt.Errorf("space: dimension %q: node %q (%s) does not add a residual branch to a weightless shortcut from the same value", d.Name, d.Node, n.OpType)
		}
		if err := d.check(1, 0); err != nil {
			return nil, err
		}
		if len(d.Choices) == 1 {
			return &Effect{}, nil // it stays
		}
		return &Effect{Gates: []*Gate{g}}, nil
	}
	return nil, fmt.Errorf("space: dimension %q: the model has no node %q", d.Name, d.Node)
}
