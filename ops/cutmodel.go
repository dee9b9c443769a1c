package ops

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// CutModel returns a copy of a normal model in which every value keeps only the
// given positions (values without an entry keep all): initialisers are sliced,
// attributes and shape constants follow by the operators' Cut rules. The result
// is inferred again, and any value whose shape is not the expected one is an error.
func CutModel(m *ir.Model, f *Facts, keep map[string]Positions) (*ir.Model, error) {
	out := m.Clone()
	g := out.Graph
	for i, t := range g.Inits {
		if !keep[t.Name].Changed() {
			continue
		}
		cut, err := Take(t, keep[t.Name])
		if err != nil {
			return nil, fmt.Errorf("cut: initialiser %q: %w", t.Name, err)
		}
		g.Inits[i] = cut
	}
	for _, list := range [][]ir.Value{g.Info, g.Outputs, g.Inputs} {
		for i := range list {
			for a, k := range keep[list[i].Name] {
				if k != nil && a < len(list[i].Type.Shape) && list[i].Type.Shape[a].Known() {
					list[i].Type.Shape[a].Size = len(k)
				}
			}
		}
	}
	w := cutting{graph: g, keep: keep, taken: map[string]bool{}, facts: newInference(out, f.Bind)}
	if open, err := InferModel(m, nil); err == nil {
		w.open = open.Sites
	}
	w.at = cutProbes(m, out, f.Bind)
	for _, t := range g.Inits {
		w.taken[t.Name] = true
	}
	for name := range f.Values {
		w.taken[name] = true
	}
	var errs []error
	for i, n := range g.Nodes {
		if old := f.Sites[m.Graph.Nodes[i]]; old != nil {
			errs = append(errs, w.node(n, old, m.Graph.Nodes[i]))
		}
		w.add(n)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.Nodes = w.nodes
	DropUnread(g, m.Graph)
	facts, err := w.facts.result()
	if err != nil {
		return nil, fmt.Errorf("cut: the smaller model does not infer: %w", err)
	}
	if err := checkCut(out, f, facts, keep); err != nil {
		return nil, err
	}
	for _, p := range w.at {
		facts, err := p.facts.result()
		if err != nil {
			return nil, fmt.Errorf("cut: the smaller model does not infer where the larger does, at %v: %w", p.source.Bind, err)
		}
		if err := checkSizes(out, f, p.source, facts, keep); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cutting walks a model's nodes in order; what is before the walk is cut and inferred.
type cutting struct {
	graph *ir.Graph
	keep  map[string]Positions
	taken map[string]bool // names
	facts *inference
	open  map[*ir.Node]*Site // of the source, dynamic dimensions left open
	at    []cutProbe
	nodes []*ir.Node
}

// cutProbe is a model at another size of one dynamic dimension, before and after the cut.
type cutProbe struct {
	source *Facts
	facts  *inference
}

// maxProbes bounds the dynamic dimensions that a cut is held against.
const maxProbes = 4

// cutProbes doubles each bound dimension in turn, as far as the source infers.
func cutProbes(m, out *ir.Model, bind map[string]int) []cutProbe {
	var at []cutProbe
	for _, name := range slices.Sorted(maps.Keys(bind)) {
		other := maps.Clone(bind)
		other[name] *= 2
		if f, err := InferModel(m, other); err == nil && len(at) < maxProbes {
			at = append(at, cutProbe{f, newInference(out, other)})
		}
	}
	return at
}

// add puts a node behind those that are cut.
func (w *cutting) add(n *ir.Node) {
	w.nodes = append(w.nodes, n)
	w.facts.node(n)
	for _, p := range w.at {
		p.facts.node(n)
	}
}

func (w *cutting) name(base string) string {
	name := base
	for k := 2; w.taken[name]; k++ {
		name = fmt.Sprintf("%s%d", base, k)
	}
	w.taken[name] = true
	return name
}

func (w *cutting) constant(base string, t *ir.Tensor) string {
	t.Name = w.name(base + ".cut")
	w.graph.Inits = append(w.graph.Inits, t)
	w.facts.initialiser(t)
	for _, p := range w.at {
		p.facts.initialiser(t)
	}
	return t.Name
}

func (w *cutting) node(n *ir.Node, old *Site, source *ir.Node) error {
	changed := false
	c := &Cut{Site: &Site{Node: n, Opset: old.Opset, In: old.In, Out: old.Out}}
	for _, v := range n.Inputs {
		c.Keep = append(c.Keep, w.keep[v])
		c.Now = append(c.Now, w.facts.facts.Values[v])
		changed = changed || w.keep[v].Changed() || resized(old.In[len(c.Now)-1], c.Now[len(c.Now)-1])
	}
	for _, p := range w.at {
		s := p.source.Sites[source]
		at := CutAt{In: s.In, Out: s.Out}
		for _, v := range n.Inputs {
			at.Now = append(at.Now, p.facts.facts.Values[v])
		}
		c.At = append(c.At, at)
	}
	for _, v := range n.Outputs {
		c.KeepO = append(c.KeepO, w.keep[v])
		changed = changed || w.keep[v].Changed()
	}
	op := old.Rules()
	if !changed || op == nil || op.Cut == nil {
		return nil
	}
	if s := w.open[source]; s != nil {
		c.Open = s.Out
	}
	c.SetConst = func(i int, t *ir.Tensor) {
		base := n.Inputs[i]
		if base == "" {
			base = fmt.Sprintf("%s.input%d", n.Outputs[0], i)
		}
		n.Inputs[i] = w.constant(base, t)
	}
	compute := func(op string) func(i int, t *ir.Tensor) {
		return func(i int, t *ir.Tensor) {
			var made *ir.Node
			if op == "Add" {
				made = w.concatPlus(n.Inputs[i], t)
			}
			if made == nil {
				made = &ir.Node{OpType: op, Inputs: []string{n.Inputs[i], w.addend(n.Inputs[i], t)}}
			}
			made.Name, made.Outputs = w.name(n.Label()+".sizes"), []string{w.name(n.Inputs[i] + ".sizes")}
			n.Inputs[i] = made.Outputs[0]
			w.add(made)
		}
	}
	c.AddConst, c.MulConst, c.DivConst = compute("Add"), compute("Mul"), compute("Div")
	return op.Cut(c)
}

// addend is constant, but a floating one stands in a node: initialisers count as parameters.
func (w *cutting) addend(base string, t *ir.Tensor) string {
	if !t.DType.IsFloat() {
		return w.constant(base, t)
	}
	n := &ir.Node{Name: w.name(base + ".cut"), OpType: "Constant", Attrs: []ir.Attr{ir.TensorAttr("value", t)}}
	n.Outputs = []string{n.Name}
	w.add(n)
	return n.Name
}

// concatPlus is the Concat that makes v with t added to its constant parts, so that sizes
// that stay open are still seen to be those of its other parts; nil where v is not made so
// or t changes another part.
func (w *cutting) concatPlus(v string, t *ir.Tensor) *ir.Node {
	at := slices.IndexFunc(w.nodes, func(n *ir.Node) bool { return n.Output(0) == v && n.OpType == "Concat" && n.Domain == "" })
	delta, err := t.Int64s()
	if at < 0 || err != nil || t.DType != ir.Int64 {
		return nil
	}
	sum := w.nodes[at].Clone()
	parts := make([][]int64, len(sum.Inputs))
	for i, part := range sum.Inputs {
		f := w.facts.facts.Values[part]
		if len(f.Shape()) != 1 || f.Shape()[0] < 0 || f.Shape()[0] > len(delta) {
			return nil
		}
		own := delta[:f.Shape()[0]]
		if delta = delta[len(own):]; !slices.ContainsFunc(own, func(x int64) bool { return x != 0 }) {
			continue
		}
		if !f.Weight || f.Const == nil {
			return nil
		}
		old, err := f.Const.Int64s()
		if err != nil {
			return nil
		}
		for k, x := range own {
			parts[i] = append(parts[i], old[k]+x)
		}
	}
	for i, part := range parts {
		if part == nil {
			continue
		}
		sum.Inputs[i] = w.constant(sum.Inputs[i], ir.NewInt64("", []int{len(part)}, part))
	}
	return sum
}

// resized reports sizes, or scales, that the graph computes and that the cut changed.
func resized(old, now Fact) bool {
	return !old.Weight && old.Const != nil && now.Const != nil && !bytes.Equal(old.Const.Raw, now.Const.Raw)
}

// DropUnread removes nodes and initialisers that something in the source read and that
// nothing reads any more (shape constants that a Cut rule replaced).
func DropUnread(g, source *ir.Graph) {
	read := func(g *ir.Graph) map[string]bool {
		r := map[string]bool{}
		for _, n := range g.Nodes {
			markReads(n, r)
		}
		for _, v := range g.Outputs {
			r[v.Name] = true
		}
		return r
	}
	before := read(source)
	for gone := true; gone; {
		after, n := read(g), len(g.Nodes)
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool {
			used, lost := false, false
			for _, v := range n.Outputs {
				used, lost = used || after[v] && v != "", lost || before[v] && v != ""
			}
			return lost && !used
		})
		gone = len(g.Nodes) < n
	}
	made := map[string]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			made[v] = true
		}
	}
	for _, v := range g.Inputs {
		made[v.Name] = true
	}
	g.Info = slices.DeleteFunc(g.Info, func(v ir.Value) bool { return before[v.Name] && !made[v.Name] })
	after := read(g)
	g.Inits = slices.DeleteFunc(g.Inits, func(t *ir.Tensor) bool { return before[t.Name] && !after[t.Name] })
}

func markReads(n *ir.Node, r map[string]bool) {
	for _, v := range n.Inputs {
		r[v] = true
	}
	for _, a := range n.Attrs {
		for _, sub := range append(slices.Clone(a.Graphs), a.G) {
			if sub == nil {
				continue
			}
			for _, x := range sub.Nodes {
				markReads(x, r)
			}
			for _, v := range sub.Outputs {
				r[v.Name] = true
			}
		}
	}
}

func checkCut(cut *ir.Model, f, facts *Facts, keep map[string]Positions) error {
	for _, n := range cut.Graph.Nodes {
		for _, v := range n.Outputs {
			old, ok := f.Values[v]
			if !ok || !old.Type.Static() || v == "" {
				continue
			}
			want := keep[v].Shape(old.Shape())
			if got := facts.Values[v].Shape(); !slices.Equal(got, want) {
				return fmt.Errorf("cut: node %q (%s): output %q: want shape %v, got %v", n.Label(), n.OpType, v, want, got)
			}
		}
	}
	return nil
}

// checkSizes compares sizes at another binding, where each is known.
func checkSizes(cut *ir.Model, f, then, facts *Facts, keep map[string]Positions) error {
	for _, n := range cut.Graph.Nodes {
		for _, v := range n.Outputs {
			old, ok := f.Values[v]
			if !ok || v == "" || len(old.Shape()) != len(then.Values[v].Shape()) || len(old.Shape()) != len(facts.Values[v].Shape()) {
				continue
			}
			want, got := sizesAt(keep[v], old.Type.Shape, then.Values[v].Type.Shape), facts.Values[v].Type.Shape
			for i := range want {
				if want[i].Known() && got[i].Known() && want[i].Size != got[i].Size {
					return fmt.Errorf("cut: node %q (%s): output %q: want shape %v at %v, got %v", n.Label(), n.OpType, v, want, then.Bind, got)
				}
			}
		}
	}
	return nil
}

// Take returns the tensor with only the kept positions along each axis.
func Take(t *ir.Tensor, keep Positions) (*ir.Tensor, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.DType.Bits()%8 != 0 || t.DType == ir.String {
		return nil, fmt.Errorf("dtype %s: want elements of whole bytes", t.DType)
	}
	out := *t
	size := t.DType.Bits() / 8
	for axis, k := range keep {
		if k == nil {
			continue
		}
		if axis >= len(out.Dims) {
			return nil, fmt.Errorf("axis %d: want an axis of %v", axis, out.Dims)
		}
		n, inner := out.Dims[axis], size*ir.Prod(out.Dims[axis+1:])
		outer := ir.Prod(out.Dims[:axis])
		raw := make([]byte, 0, outer*len(k)*inner)
		for o := range outer {
			for _, p := range k {
				if p < 0 || p >= n {
					return nil, fmt.Errorf("axis %d: position %d: want one below %d", axis, p, n)
				}
				at := (o*n + p) * inner
				raw = append(raw, out.Raw[at:at+inner]...)
			}
		}
		out.Dims = slices.Clone(out.Dims)
		out.Dims[axis] = len(k)
		out.Raw = raw
	}
	return &out, nil
}
