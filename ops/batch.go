package ops

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// Batch says where the samples of a batch are in the values of a graph.
type Batch struct {
	// Size is the number of samples that the fixed leading sizes of the inputs say, 1
	// when all are open.
	Size int
	// Model is a copy of the graph whose sizes follow the batch: at Size it computes what
	// the source does, at others the same for every sample. Types are declared as in the
	// source. Nil when Blocked.
	Model *ir.Model
	// At holds, by value, where the samples are; values that none reach have no entry.
	At map[string]BatchAxis
	// Blocked names the node, or the input or output, at which samples cannot be told
	// apart; nil when every use of the batch is accounted for.
	Blocked error
}

// BatchAxis is the place of the samples in a value. Of the Outer·samples·inner positions
// along Axis, those of one sample are inner neighbours, Outer times.
type BatchAxis struct {
	Axis, Outer int
}

// FollowBatch follows axis 0 of the inputs through a normal graph: by the operators' axis
// rules, and through shapes read in row-major order by the number of elements before it.
// Sizes that are written down for the batch of the file are edited so that they follow:
// targets of Reshape, sizes of Resize, ends of Slice, and operands of Concat and numbers
// per sample of attentions that have one row for all samples.
func FollowBatch(m *ir.Model) *Batch {
	w := &batchWalk{out: m.Clone(), at: map[string]BatchAxis{}, via: map[string]string{}}
	b := &Batch{At: w.at}
	b.Size, b.Blocked = batchSize(m)
	if b.Blocked != nil {
		return b
	}
	w.size = b.Size
	if b.Blocked = w.walk(m); b.Blocked == nil {
		b.Model = w.out
	}
	return b
}

// Settle removes the Expands of a graph that change nothing at the sizes it declares, as
// those that FollowBatch adds do once a file fixes its batch again.
func Settle(m *ir.Model) *ir.Model {
	out := m.Clone()
	f, err := InferModel(out, nil)
	if err != nil {
		return out
	}
	p := ir.NewPatch(out.Graph, "drop expansions to the same sizes")
	index := ir.NewIndex(out.Graph)
	for _, n := range out.Graph.Nodes {
		if n.OpType != "Expand" || n.Domain != "" || index.IsOutput(n.Output(0)) {
			continue
		}
		if x, y := f.Values[n.Input(0)].Type, f.Values[n.Output(0)].Type; x.Static() && y.Static() && slices.Equal(x.Sizes(), y.Sizes()) {
			p.Rewire(n.Output(0), n.Input(0))
			p.Remove(n)
		}
	}
	if p.Apply(out) != nil {
		return m.Clone()
	}
	DropUnread(out.Graph, m.Graph)
	return out
}

// batchSize returns the leading size that inputs agree on.
func batchSize(m *ir.Model) (int, error) {
	size, of := 0, ""
	for _, v := range m.Graph.Inputs {
		if m.Graph.Init(v.Name) != nil || len(v.Type.Shape) == 0 || !v.Type.Shape[0].Known() {
			continue
		}
		n := v.Type.Shape[0].Size
		if size != 0 && n != size || n == 0 {
			return max(size, 1), fmt.Errorf("input %q has the leading size %d and input %q %d", of, size, v.Name, n)
		}
		size, of = n, v.Name
	}
	return max(size, 1), nil
}

// batchWalk walks a graph's nodes in order. What is before the walk follows the batch and is
// inferred twice: at the batch of the file, and at times as many samples.
type batchWalk struct {
	out         *ir.Model
	size, times int
	one, many   *inference
	at          map[string]BatchAxis
	via         map[string]string // value whose samples are no axis of their own → the node that merged them
	taken       map[string]bool
	nodes       []*ir.Node
}

func (w *batchWalk) walk(source *ir.Model) error {
	w.times = factorApart(w.out.Graph, w.size)
	w.one, w.many = w.inference(w.size), w.inference(w.size*w.times)
	w.taken = map[string]bool{}
	for _, t := range w.out.Graph.Inits {
		w.taken[t.Name] = true
	}
	for _, v := range w.out.Graph.Inputs {
		w.taken[v.Name] = true
	}
	for _, n := range w.out.Graph.Nodes {
		for _, v := range n.Outputs {
			w.taken[v] = true
		}
	}
	for _, v := range w.out.Graph.Inputs {
		if w.out.Graph.Init(v.Name) == nil && len(v.Type.Shape) > 0 {
			w.at[v.Name] = BatchAxis{0, 1}
		}
	}
	for _, n := range w.out.Graph.Nodes {
		if err := w.node(n); err != nil {
			return fmt.Errorf("node %q (%s): %w", n.Label(), n.OpType, err)
		}
	}
	w.out.Graph.Nodes = w.nodes
	for _, v := range w.out.Graph.Outputs {
		at, ok := w.at[v.Name]
		if !ok {
			continue
		}
		if before, ok := outside(w.one.facts.Values[v.Name].Type.Shape, at); !ok || before != 1 {
			return fmt.Errorf("%soutput %q does not begin with the samples", w.via[v.Name], v.Name)
		}
	}
	DropUnread(w.out.Graph, source.Graph)
	return nil
}

// factorApart returns a number of batches that gives no size of an initialiser's.
func factorApart(g *ir.Graph, size int) int {
	for _, p := range []int{3, 5, 7, 11, 13} {
		if !slices.ContainsFunc(g.Inits, func(t *ir.Tensor) bool { return slices.Contains(t.Dims, p*size) }) {
			return p
		}
	}
	return 17
}

// inference starts one at a batch. Declared types, which may hold another, count for nothing.
func (w *batchWalk) inference(batch int) *inference {
	m := *w.out
	g := *w.out.Graph
	m.Graph, g.Info, g.Outputs = &g, nil, nil
	g.Inputs = slices.Clone(g.Inputs)
	bind := map[string]int{}
	for i, v := range g.Inputs {
		if g.Init(v.Name) != nil || len(v.Type.Shape) == 0 {
			continue
		}
		g.Inputs[i].Type = v.Type.Clone()
		if d := &g.Inputs[i].Type.Shape[0]; !d.Known() && d.Param != "" {
			bind[d.Param] = batch
		} else {
			d.Size = batch
		}
	}
	return newInference(&m, bind)
}

func (w *batchWalk) name(base string) string {
	name := base + ".batch"
	for k := 2; w.taken[name]; k++ {
		name = fmt.Sprintf("%s.batch%d", base, k)
	}
	w.taken[name] = true
	return name
}

func (w *batchWalk) constant(base string, d ir.DType, v ...int) string {
	t := int64Tensor(d, v)
	t.Name = w.name(base)
	w.out.Graph.Inits = append(w.out.Graph.Inits, t)
	w.one.initialiser(t)
	w.many.initialiser(t)
	return t.Name
}

// insert adds a node of one output before the one that is edited.
func (w *batchWalk) insert(op, base string, inputs []string, attrs ...ir.Attr) string {
	n := &ir.Node{Name: w.name(base), OpType: op, Inputs: inputs, Attrs: attrs}
	n.Outputs = []string{n.Name}
	w.nodes = append(w.nodes, n)
	w.one.node(n)
	w.many.node(n)
	return n.Outputs[0]
}

func (w *batchWalk) node(n *ir.Node) error {
	w.one.node(n)
	if err := errors.Join(w.one.errs...); err != nil {
		return err
	}
	op := usable(n, w.one.facts.Sites[n].Opset)
	reached := slices.ContainsFunc(ir.Uses(n), func(v string) bool { _, ok := w.at[v]; return ok })
	if reached && (op == nil || op.Infer == nil || op.Axes == nil) {
		return fmt.Errorf("it has no rules that the samples could be followed by")
	}
	if err := w.edit(n); err != nil {
		return err
	}
	w.many.errs = nil
	w.many.node(n)
	w.nodes = append(w.nodes, n)
	if err := errors.Join(w.many.errs...); err != nil {
		return fmt.Errorf("with %d times the samples: %w", w.times, err)
	}
	return w.judge(n, op)
}

// scaled returns the axis of a value along which there are times as many positions with
// times as many samples; -1 when there is none.
func (w *batchWalk) scaled(one, many ir.Type) (int, error) {
	axis := -1
	if one.Rank() != many.Rank() {
		return axis, fmt.Errorf("its result is %s, with %d times the samples %s", one, w.times, many)
	}
	for i, d := range one.Shape {
		switch e := many.Shape[i]; {
		case d.Size == e.Size:
		case d.Size > 0 && e.Size == w.times*d.Size && axis < 0:
			axis = i
		default:
			return axis, fmt.Errorf("its result is %s, with %d times the samples %s", one, w.times, many)
		}
	}
	return axis, nil
}

// judge finds the samples in the node's outputs, and refuses a node that takes several
// samples together.
func (w *batchWalk) judge(n *ir.Node, op *Op) error {
	one, many := w.one.facts.Sites[n], w.many.facts.Sites[n]
	var from []int // inputs that samples reach
	for i, v := range n.Inputs {
		if _, ok := w.at[v]; ok && v != "" {
			from = append(from, i)
		}
	}
	sizes := n.Domain == "" && (n.OpType == "Shape" || n.OpType == "Size")
	lead := map[int]BatchAxis{} // by output
	for k, v := range n.Outputs {
		if v == "" {
			continue
		}
		axis, err := w.scaled(one.Out[k].Type, many.Out[k].Type)
		if err != nil {
			return err
		}
		if axis < 0 && len(from) > 0 && !sizes {
			return fmt.Errorf("the axis of the samples ends in it")
		}
		if axis >= 0 {
			lead[k] = BatchAxis{axis, 1}
		}
	}
	if len(from) > 0 && !sizes {
		if err := w.links(n, op, from, lead); err != nil {
			return err
		}
	}
	for k, x := range lead {
		v := n.Outputs[k]
		w.at[v] = x
		for _, i := range from {
			w.via[v] = w.via[n.Inputs[i]]
		}
		if one.Out[k].Type.Shape[x.Axis].Size == w.size {
			w.via[v] = ""
		} else if w.via[v] == "" {
			w.via[v] = fmt.Sprintf("node %q (%s): samples and other positions are one axis: ", n.Label(), n.OpType)
		}
	}
	return nil
}

// links fills in how the samples lie in the outputs.
func (w *batchWalk) links(n *ir.Node, op *Op, from []int, lead map[int]BatchAxis) error {
	one, many := w.one.facts.Sites[n], w.many.facts.Sites[n]
	if rowMajor(n) {
		x, known := lead[0]
		before, ok := outside(one.In[0].Type.Shape, w.at[n.Inputs[0]])
		if !known || !ok {
			return fmt.Errorf("the place of the samples is not known")
		}
		outer, ok := w.factor(one.Out[0].Type.Shape, x.Axis, before)
		if !ok {
			return fmt.Errorf("it takes positions of several samples together: %s from %s", one.Out[0].Type, one.In[0].Type)
		}
		lead[0] = BatchAxis{x.Axis, outer}
		return nil
	}
	for _, f := range slices.Concat(many.In, many.Out) {
		if f.Present() && !f.Type.Static() {
			// Its axis rule would not hold: the samples are where the sizes say.
			for k, x := range lead {
				at := w.at[n.Inputs[from[0]]]
				x.Outer = at.Outer
				lead[k] = x
			}
			return nil
		}
	}
	var ax Axes
	op.Axes(many, &ax)
	for _, i := range from {
		at := w.at[n.Inputs[i]]
		tied := false
		refs := []AxisRef{In(i, at.Axis)}
		for k := 0; k < len(refs); k++ {
			for _, l := range ax.Links {
				other := l.B
				if l.B == refs[k] {
					other = l.A
				} else if l.A != refs[k] {
					continue
				}
				if l.Role != Carried {
					return fmt.Errorf("samples are %s in it", l.Role)
				}
				if !straight(l) || slices.Contains(refs, other) {
					continue
				}
				if x, ok := lead[other.Index]; other.Out && ok && x.Axis == other.Axis {
					lead[other.Index] = BatchAxis{x.Axis, at.Outer}
					tied = true
				} else if !other.Out && w.at[n.Input(other.Index)] == (BatchAxis{other.Axis, at.Outer}) {
					refs = append(refs, other)
				}
			}
			for _, p := range ax.Pins {
				if p.Ref == refs[k] && p.Role == Normalised {
					return fmt.Errorf("samples: %s", p.Reason)
				}
			}
		}
		// Masks, lengths and angles of each sample are fixed whole beside the data.
		if !tied && !(i > 0 && (op.Heads || op.Name == "RotaryEmbedding")) {
			hint := ""
			if axis, err := concatAxis(one); op.Name == "Concat" && err == nil && axis == at.Axis {
				hint = ": it stacks what branches give along the axis of the samples; along another axis, or as outputs of their own, they could be followed"
			}
			return fmt.Errorf("samples of input %d do not pass to its result one by one%s", i, hint)
		}
	}
	return nil
}

// factor returns how often the samples' run repeats on an axis, with so many elements before it; false
// where the axis does not hold them one by one.
func (w *batchWalk) factor(d []ir.Dim, axis, before int) (outer int, ok bool) {
	after, ok := outside(d, BatchAxis{axis, 1})
	if !ok || before%after != 0 {
		return 0, false
	}
	outer = before / after
	return outer, outer*w.size <= d[axis].Size && d[axis].Size%(outer*w.size) == 0
}

// straight reports a link of every position to the one of the same number.
func straight(l Link) bool {
	return slices.Equal(l.PairsA, l.PairsB)
}

// outside returns the number of elements before the first sample's second run; false where
// it depends on an open size.
func outside(d []ir.Dim, at BatchAxis) (int, bool) {
	n := at.Outer
	for _, x := range d[:at.Axis] {
		if !x.Known() {
			return 0, false
		}
		n *= x.Size
	}
	return n, n > 0
}
