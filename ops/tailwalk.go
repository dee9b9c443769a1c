package ops

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// steps lists operators whose floating results have no gradient worth following: they choose
// places, or are flat but for steps.
var steps = []string{"TopK", "OneHot", "Hardmax", "Sign", "Floor", "Ceil", "Round", "EyeLike"}

// picking lists operators whose input 1 says which rows of input 0 they take.
var picking = []string{"Gather", "GatherElements", "GatherND"}

func names(list []ir.Value) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.Name)
	}
	return out
}

// tailWalk knows, of every value, where it comes from.
type tailWalk struct {
	model  *ir.Model
	facts  *Facts
	index  *ir.Index
	roles  map[string]Training
	cannot map[*ir.Node]string // nodes that cannot run themselves → why
	bad    map[string]bool     // values of such nodes, and of all that depends on them
	grad   map[string]bool     // a trained parameter reaches it by a gradient
	moved  map[string]bool     // it depends on a trained parameter in any way
	picked map[string]bool     // rows that a computed choice picked, and no parameter after
	named  map[string]bool
	behind map[string]bool // it depends on a named value
	// derived values follow from others that are taught.
	derived map[string]bool
	head    map[*ir.Node]bool
}

func newTailWalk(m *ir.Model, f *Facts, at []string) *tailWalk {
	w := &tailWalk{model: m, facts: f, index: ir.NewIndex(m.Graph), roles: TrainingRoles(m, f), cannot: map[*ir.Node]string{}, bad: map[string]bool{},
		grad: map[string]bool{}, moved: map[string]bool{}, picked: map[string]bool{}, named: map[string]bool{}, behind: map[string]bool{}, derived: map[string]bool{}, head: map[*ir.Node]bool{}}
	for _, v := range at {
		w.named[v] = true
	}
	static := true
	for _, v := range m.Graph.Inputs {
		static = static && f.Values[v.Name].Type.Static()
	}
	for _, n := range m.Graph.Nodes {
		w.node(n, static)
	}
	return w
}

// node notes what is known of a node's outputs; static says that every input has known sizes.
func (w *tailWalk) node(n *ir.Node, static bool) {
	known := true
	for _, o := range n.Outputs {
		known = known && (o == "" || w.facts.Values[o].Const != nil)
	}
	uses := ir.Uses(n)
	late := slices.ContainsFunc(uses, func(u string) bool { return w.bad[u] })
	if why := cannotRun(n, int(w.model.Opset(n.Domain))); why != "" && !known {
		w.cannot[n] = why
	} else if !late && static && !known && slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && !w.facts.Values[o].Type.Static() }) {
		w.cannot[n] = "its sizes depend on what it computes"
	}
	reads, moved, grad, behind := false, false, false, false
	all := true // of what has a gradient is picked
	for _, u := range uses {
		parameter := w.roles[u] == Parameter && w.index.Init(u) != nil
		reads = reads || parameter
		moved = moved || parameter || w.moved[u] || w.bad[u]
		behind = behind || w.behind[u] || w.named[u]
		if parameter || w.grad[u] {
			grad, all = true, all && w.picked[u]
		}
	}
	picks := n.Domain == "" && slices.Contains(picking, n.OpType) && w.moved[n.Input(1)] && !w.grad[n.Input(1)]
	for _, o := range n.Outputs {
		if o == "" {
			continue
		}
		w.bad[o] = late || w.cannot[n] != ""
		w.moved[o], w.behind[o] = moved, behind
		w.grad[o] = grad && !w.bad[o] && w.facts.Values[o].Type.Elem.IsFloat() && !(n.Domain == "" && slices.Contains(steps, n.OpType))
		w.picked[o] = w.grad[o] && !reads && (picks || all)
	}
}

// taught reports a value that can be taught.
func (w *tailWalk) taught(v string) bool {
	return w.grad[v] && w.index.Producer(v) != nil && (w.named[v] || !w.picked[v] && !w.behind[v] && !w.derived[v])
}

func (w *tailWalk) checkAt(at []string) error {
	for i, v := range at {
		n := w.index.Producer(v)
		switch {
		case slices.Contains(at[:i], v):
			return fmt.Errorf("%q stands twice", v)
		case n == nil:
			return fmt.Errorf("want a tensor that a node computes, %q is an input or a constant", v)
		case w.bad[v]:
			x := w.cause(n)
			return fmt.Errorf("want a tensor before node %q (%s), which cannot run here (%s), %q comes behind it", x.Label(), x.OpType, w.cannot[x], v)
		case !w.facts.Values[v].Type.Elem.IsFloat():
			return fmt.Errorf("want a tensor of floats, %q is %s", v, w.facts.Values[v].Type)
		case !w.grad[v]:
			return fmt.Errorf("want a tensor with a gradient to some parameter, %q has none", v)
		}
	}
	return nil
}

// cause returns the first node that cannot run among n and those before it.
func (w *tailWalk) cause(n *ir.Node) *ir.Node {
	for w.cannot[n] == "" {
		for _, u := range ir.Uses(n) {
			if w.bad[u] {
				n = w.index.Producer(u)
				break
			}
		}
	}
	return n
}

// keep puts what makes a value into the head; it reports whether something was new.
func (w *tailWalk) keep(v string) bool {
	n := w.index.Producer(v)
	if n == nil || w.head[n] {
		return false
	}
	w.head[n] = true
	for _, u := range ir.Uses(n) {
		w.keep(u)
	}
	return true
}

// fix lets the head grow until the walks back from all outputs stop inside it.
func (w *tailWalk) fix(at []string) {
	for _, v := range at {
		w.keep(v)
	}
	for _, o := range w.model.Graph.Outputs {
		if w.taught(o.Name) {
			w.keep(o.Name)
		}
	}
	own := maps.Clone(w.head)
	for again := true; again; {
		again = false
		all := map[string]bool{}
		for _, o := range w.model.Graph.Outputs {
			ends, _ := w.back(o.Name)
			for _, v := range ends {
				all[v] = true
				again = w.keep(v) || again
			}
		}
		if again {
			continue
		}
		for _, v := range slices.Sorted(maps.Keys(all)) {
			if w.taught(v) && !w.index.IsOutput(v) && !w.named[v] && w.derive(v, all, own) {
				again = true
			}
		}
		if again {
			w.head = maps.Clone(own)
		}
	}
}

// derive reports a value that is computed of other ends alone, without parameters and by nodes
// that no taught output needs: to teach those is to teach it. It and what lies between are then
// behind.
func (w *tailWalk) derive(v string, ends map[string]bool, own map[*ir.Node]bool) bool {
	n := w.index.Producer(v)
	if n == nil || own[n] {
		return false
	}
	for _, u := range ir.Uses(n) {
		switch {
		case w.roles[u] == Parameter && w.index.Init(u) != nil:
			return false
		case !w.grad[u] || ends[u] || w.index.IsOutput(u) && w.taught(u):
		case !w.derive(u, ends, own):
			return false
		}
	}
	w.derived[v] = true
	return true
}

// back walks from a value to the values of the head that it is computed from, and lists the
// nodes on the way. Nodes of the head on the way are those that the tail computes again.
func (w *tailWalk) back(from string) (ends []string, nodes []*ir.Node) {
	seen := map[string]bool{}
	var visit func(v string)
	visit = func(v string) {
		n := w.index.Producer(v)
		if n == nil || seen[v] {
			return
		}
		seen[v] = true
		again := w.head[n] && !w.moved[v] && !w.index.IsOutput(v)
		if w.taught(v) || w.head[n] && !again || w.size(n) {
			ends = append(ends, v)
			return
		}
		if !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
		for _, u := range ir.Uses(n) {
			visit(u)
		}
	}
	visit(from)
	return ends, nodes
}

// size reports a node that takes the size of a value inside the network that could be taught:
// the tail reads the number, not the value.
func (w *tailWalk) size(n *ir.Node) bool {
	return n.Domain == "" && (n.OpType == "Shape" || n.OpType == "Size") && w.taught(n.Input(0)) && !w.index.IsOutput(n.Input(0))
}

// tail divides the graph.
func (w *tailWalk) tail(at []string) *Tail {
	g := w.model.Graph
	t := &Tail{outputs: slices.Clone(g.Outputs)}
	var outs []ir.Value
	late := map[*ir.Node]bool{}
	var rest []string
	add := func(v string) {
		if slices.Contains(names(outs), v) {
			return
		}
		out := ir.Value{Name: v, Type: ir.Type{Kind: ir.KindTensor, Elem: w.facts.Values[v].Type.Elem}}
		if i := slices.Index(names(g.Outputs), v); i >= 0 {
			out = g.Outputs[i]
		}
		outs = append(outs, out)
		t.At = append(t.At, v)
	}
	for _, o := range g.Outputs {
		ends, nodes := w.back(o.Name)
		for _, n := range nodes {
			late[n] = true
		}
		slices.SortStableFunc(ends, func(a, b string) int { return w.index.Pos(w.index.Producer(a)) - w.index.Pos(w.index.Producer(b)) })
		for _, v := range ends {
			if w.taught(v) {
				add(v)
			} else {
				rest = append(rest, v)
			}
		}
	}
	for _, v := range at {
		add(v)
	}
	floats := len(t.At)
	for _, v := range rest {
		add(v)
	}
	t.At = t.At[:floats]

	w.head = map[*ir.Node]bool{} // it may have grown for values that nothing reads in the end
	for _, v := range outs {
		w.keep(v.Name)
	}
	t.Head = w.model.Clone()
	h := t.Head.Graph
	h.Outputs, h.Nodes = outs, nil
	again, called := map[string]string{}, map[string]bool{"": true}
	for _, n := range g.Nodes {
		called[n.Name] = true
	}
	for i, n := range g.Nodes {
		if w.head[n] {
			h.Nodes = append(h.Nodes, g.Nodes[i].Clone())
		}
		if !late[n] {
			continue
		}
		t.Foreign = t.Foreign || w.cannot[n] != ""
		c := n.Clone()
		if w.head[n] && n.Name != "" { // runtimes take no two nodes of one name
			c.Name = n.Name + ".tail"
			for k := 2; called[c.Name]; k++ {
				c.Name = fmt.Sprintf("%s.tail%d", n.Name, k)
			}
			called[c.Name] = true
		}
		for k, v := range c.Outputs {
			if w.head[n] && v != "" {
				again[v] = w.unused(v+".tail", again)
				c.Outputs[k] = again[v]
			}
		}
		renameReads([]*ir.Node{c}, again)
		t.Nodes = append(t.Nodes, c)
		if slices.ContainsFunc(ir.Uses(n), func(u string) bool { return slices.Contains(t.At, u) }) {
			t.before = append(t.before, n)
		}
	}
	headReads, tailReads := readsOf(h.Nodes), readsOf(t.Nodes)
	for _, x := range g.Inits {
		if tailReads[x.Name] {
			t.inits = append(t.inits, x)
		}
	}
	h.Inits = slices.DeleteFunc(h.Inits, func(x *ir.Tensor) bool { return !headReads[x.Name] })
	made := map[string]bool{}
	for _, n := range h.Nodes {
		for _, v := range n.Outputs {
			made[v] = true
		}
	}
	for _, v := range h.Inits {
		made[v.Name] = true
	}
	for _, v := range outs {
		made[v.Name] = false // its type stands with the outputs
	}
	h.Info = slices.DeleteFunc(h.Info, func(v ir.Value) bool { return !made[v.Name] })
	t.info = slices.DeleteFunc(slices.Clone(g.Info), func(v ir.Value) bool { return made[v.Name] })
	for _, x := range t.inits {
		if w.roles[x.Name] == Parameter {
			t.Trained += x.Len()
		}
	}
	return t
}

func (w *tailWalk) unused(name string, taken map[string]string) string {
	base := name
	for k := 2; w.index.Defined(name) || slices.Contains(mapValues(taken), name); k++ {
		name = fmt.Sprintf("%s%d", base, k)
	}
	return name
}

func mapValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// half refuses a tail that begins at an operator which cannot run and leaves less than half of
// the trained parameters before it. What such an operator reads counts as trained.
func (w *tailWalk) half(t *Tail) error {
	var first *ir.Node
	own := map[string]bool{}
	for _, n := range w.model.Graph.Nodes {
		if w.cannot[n] == "" {
			continue
		}
		if first == nil {
			first = n
		}
		for _, u := range ir.Uses(n) {
			own[u] = true
		}
	}
	if first == nil {
		return nil
	}
	count := func(inits []*ir.Tensor, own map[string]bool) (n int) {
		for _, x := range inits {
			if w.roles[x.Name] == Parameter || own[x.Name] && x.DType.IsFloat() && x.Len() > 1 {
				n += x.Len()
			}
		}
		return n
	}
	all, before := count(w.model.Graph.Inits, own), count(t.Head.Graph.Inits, nil)
	ir.WalkNodes(w.model.Graph.Nodes, func(n *ir.Node) {
		for _, g := range ir.Subgraphs(n) {
			for _, x := range g.Inits {
				if x.DType.IsFloat() && x.Len() > 1 {
					all += x.Len()
				}
			}
		}
	})
	if 2*before >= all {
		return nil
	}
	return fmt.Errorf("model: node %q (%s) cannot run here (%s), and only %.3g %% of the trained parameters come before it: want half of them or more, a tensor to learn at (--learn-at), or a model without the operator",
		first.Label(), first.OpType, w.cannot[first], 100*float64(before)/float64(all))
}
