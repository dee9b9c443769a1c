package ops

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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
		after, ok := outside(one.Out[0].Type.Shape, x)
		d := one.Out[0].Type.Shape[x.Axis].Size
		if !ok || before%after != 0 || before/after*w.size > d || d%(before/after*w.size) != 0 {
			return fmt.Errorf("it takes positions of several samples together: %s from %s", one.Out[0].Type, one.In[0].Type)
		}
		lead[0] = BatchAxis{x.Axis, before / after}
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
			return fmt.Errorf("samples of input %d do not pass to its result one by one", i)
		}
	}
	return nil
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

// edit makes the sizes follow that a node has for the batch of the file.
func (w *batchWalk) edit(n *ir.Node) error {
	if at, ok := w.at[n.Input(0)]; ok {
		for _, x := range each[n.Domain+"."+n.OpType] {
			if v := n.Input(x.input); v != "" && len(w.dims(v)) >= x.rank {
				w.repeat(n, x.input, 0, n.Inputs[0], at.Axis)
			}
		}
	}
	if n.Domain != "" {
		return nil
	}
	if slices.Contains(arithmetics, n.OpType) {
		w.operands(n)
		return nil
	}
	switch n.OpType {
	case "Reshape":
		return w.reshape(n)
	case "Concat":
		return w.concat(n)
	case "Resize":
		return w.resize(n)
	case "Slice":
		return w.slice(n)
	case "Expand":
		return w.expand(n)
	}
	return nil
}

// written returns the elements of integer input i when they are the same at every batch.
func (w *batchWalk) written(n *ir.Node, i int) ([]int, bool) {
	if n.Input(i) == "" {
		return nil, false
	}
	one, many := w.one.facts.Values[n.Inputs[i]].Const, w.many.facts.Values[n.Inputs[i]].Const
	if one == nil || many == nil {
		return nil, false
	}
	a, err := one.Int64s()
	b, err2 := many.Int64s()
	if err != nil || err2 != nil || !slices.Equal(a, b) {
		return nil, false
	}
	out := make([]int, len(a))
	for k, v := range a {
		out[k] = int(v)
	}
	return out, true
}

func (w *batchWalk) dims(name string) []ir.Dim { return w.one.facts.Values[name].Type.Shape }

func (w *batchWalk) reshape(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	target, fixed := w.written(n, 1)
	if !ok || !fixed {
		return nil
	}
	x, y := w.dims(n.Inputs[0]), w.one.facts.Sites[n].Out[0].Type.Shape
	before, ok := outside(x, at)
	if !ok || len(y) != len(target) {
		return nil
	}
	j, own := w.place(x, y, at, before)
	many := *w.one.facts.Sites[n]
	many.In = []Fact{w.many.facts.Values[n.Inputs[0]], w.many.facts.Values[n.Inputs[1]]}
	if got, err := reshaped(&many, many.In[0].Type.Shape, elements(target)); err == nil {
		k, err := w.scaled(ir.Type{Kind: ir.KindTensor, Ranked: true, Shape: y}, ir.Type{Kind: ir.KindTensor, Ranked: true, Shape: got})
		if err == nil && k >= 0 && (k == j || !own) {
			return nil
		}
	}
	if j < 0 {
		return fmt.Errorf("samples have no place in a value of sizes %v", y)
	}
	want := slices.Clone(y)
	want[j].Size *= w.times
	zero := n.Int("allowzero", 0) == 0
	try := func(edit func(t []int) bool) bool {
		t := slices.Clone(target)
		if !edit(t) || !reads(&many, many.In[0].Type.Shape, elements(t), want) {
			return false
		}
		n.Inputs[1] = w.constant(n.Inputs[1], ir.Int64, t...)
		return true
	}
	for _, edit := range []func(t []int) bool{
		func(t []int) bool { t[j] = 0; return zero && j == at.Axis && own },
		func(t []int) bool { t[j] = -1; return !slices.Contains(target, -1) },
		func(t []int) bool {
			for k := range t {
				if t[k] == -1 {
					t[k] = y[k].Size
				}
			}
			t[j] = -1
			return true
		},
		func(t []int) bool {
			for k := range t {
				if t[k] == -1 && zero {
					t[k] = 0
				}
			}
			t[j] = -1
			return true
		},
	} {
		if try(edit) {
			return nil
		}
	}
	return fmt.Errorf("target %v: it does not hold a number of samples left open", target)
}

func elements(v []int) []Elem {
	out := make([]Elem, len(v))
	for i, x := range v {
		out[i] = Elem{Value: x, Known: true}
	}
	return out
}

// place finds the axis of y, which holds the elements of x, that the samples are on, -1 when
// there is none; own says that it holds nothing else.
func (w *batchWalk) place(x, y []ir.Dim, at BatchAxis, before int) (axis int, own bool) {
	axis = -1
	n := 1 // elements before axis j
	for j, d := range y {
		if n == before && d.Size == w.size && (axis < 0 || j == at.Axis) {
			axis, own = j, true
		}
		if !d.Known() || d.Size == 0 {
			break
		}
		n *= d.Size
	}
	if own {
		return axis, own
	}
	n = 1
	for j, d := range y {
		if !d.Known() || d.Size == 0 {
			if n == before {
				return j, false
			}
			return -1, false
		}
		inside := before >= n && before < n*d.Size && before%n == 0
		if inside && d.Size%(before/n*w.size) == 0 {
			if w.size == 1 && n == before && j > 0 && slices.EqualFunc(x[at.Axis+1:], y[j:], sameDim) {
				return j - 1, false
			}
			return j, false
		}
		if n *= d.Size; n == before && j == len(y)-1 && w.size == 1 {
			return j, false
		}
	}
	return -1, false
}

// concat gives an operand that has one row for all samples, or equal ones, one for each.
func (w *batchWalk) concat(n *ir.Node) error {
	ref := slices.IndexFunc(n.Inputs, func(v string) bool { _, ok := w.at[v]; return ok })
	if ref < 0 {
		return nil
	}
	at := w.at[n.Inputs[ref]]
	d := w.dims(n.Inputs[ref])
	joined := n.Int("axis", 0)
	if joined < 0 {
		joined += len(d)
	}
	if joined == at.Axis || d[at.Axis].Size != w.size {
		return nil
	}
	for i, v := range n.Inputs {
		if len(w.dims(v)) == len(d) {
			w.repeat(n, i, at.Axis, n.Inputs[ref], at.Axis)
		}
	}
	return nil
}

// each lists, by operator, the inputs beside the data that have a row per sample on axis 0
// and the rank from which on they do.
var each = map[string][]struct{ input, rank int }{
	".RotaryEmbedding":                  {{1, 3}, {2, 3}, {3, 2}},
	"com.microsoft.RotaryEmbedding":     {{1, 2}},
	"com.microsoft.GroupQueryAttention": {{5, 1}},
}

// repeat expands input i, which has one row for all samples along axis, or equal ones, to as
// many as the value like has along another. What samples reach, and other sizes, stay.
func (w *batchWalk) repeat(n *ir.Node, i, axis int, like string, along int) {
	v := n.Inputs[i]
	if _, ok := w.at[v]; ok || w.dims(v)[axis].Size != w.size {
		return
	}
	if w.size > 1 {
		var ok bool
		if v, ok = w.row(v, axis); !ok {
			return
		}
	}
	shape := w.insert("Shape", like+".shape", []string{like})
	count := w.insert("Gather", like+".samples", []string{shape, w.constant(like+".axis", ir.Int64, along)})
	ones := func(k int) []string {
		if k == 0 {
			return nil
		}
		return []string{w.constant(v+".ones", ir.Int64, slices.Repeat([]int{1}, k)...)}
	}
	sizes := w.insert("Concat", v+".sizes", slices.Concat(ones(axis), []string{count}, ones(len(w.dims(v))-axis-1)), ir.IntAttr("axis", 0))
	n.Inputs[i] = w.insert("Expand", v, []string{v, sizes})
	w.at[n.Inputs[i]] = BatchAxis{axis, 1}
}

// row returns a constant that is one of the equal rows of v along axis.
func (w *batchWalk) row(v string, axis int) (string, bool) {
	row, ok := firstOfEqual(w.one.facts.Values[v].Const, axis)
	if !ok {
		return "", false
	}
	row.Name = w.name(v)
	w.out.Graph.Inits = append(w.out.Graph.Inits, row)
	w.one.initialiser(row)
	w.many.initialiser(row)
	return row.Name, true
}

// operands broadcasts constants that have equal rows for the samples of the file.
func (w *batchWalk) operands(n *ir.Node) {
	ref := slices.IndexFunc(n.Inputs, func(v string) bool { _, ok := w.at[v]; return ok })
	if ref < 0 || w.size == 1 {
		return
	}
	at := w.at[n.Inputs[ref]]
	for i, v := range n.Inputs {
		axis := at.Axis + len(w.dims(v)) - len(w.dims(n.Inputs[ref]))
		if _, ok := w.at[v]; !ok && axis >= 0 && axis < len(w.dims(v)) && w.dims(v)[axis].Size == w.size {
			if row, ok := w.row(v, axis); ok {
				n.Inputs[i] = row
			}
		}
	}
}

// firstOfEqual returns the first position along an axis of a constant that has no others.
func firstOfEqual(t *ir.Tensor, axis int) (*ir.Tensor, bool) {
	if t == nil || axis >= len(t.Dims) {
		return nil, false
	}
	keep := make(Positions, axis+1)
	keep[axis] = []int{0}
	row, err := Take(t, keep)
	for k := 1; k < t.Dims[axis] && err == nil; k++ {
		keep[axis] = []int{k}
		var other *ir.Tensor
		if other, err = Take(t, keep); err == nil && !bytes.Equal(row.Raw, other.Raw) {
			return nil, false
		}
	}
	return row, err == nil
}

// resize reads the sizes before the first that it changes from its input.
func (w *batchWalk) resize(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	sizes, fixed := w.written(n, 3)
	if !ok || !fixed || len(sizes) == 0 || n.Attr("axes") != nil {
		return nil
	}
	x := w.dims(n.Inputs[0])
	k := 0
	for k < len(x) && k < len(sizes) && x[k].Size == sizes[k] {
		k++
	}
	if k <= at.Axis {
		return fmt.Errorf("it samples along the axis of the samples")
	}
	base := n.Inputs[3]
	shape := w.insert("Shape", n.Inputs[0]+".shape", []string{n.Inputs[0]})
	lead := w.insert("Slice", base+".kept", []string{shape, w.constant(base+".from", ir.Int64, 0), w.constant(base+".to", ir.Int64, k)})
	n.Inputs[3] = lead
	if k < len(sizes) {
		n.Inputs[3] = w.insert("Concat", base, []string{lead, w.constant(base+".changed", ir.Int64, sizes[k:]...)}, ir.IntAttr("axis", 0))
	}
	return nil
}

// slice takes all samples where it takes all of the file's batch.
func (w *batchWalk) slice(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	if !ok || w.dims(n.Inputs[0])[at.Axis].Size != w.size {
		return nil
	}
	old := w.one.facts.Sites[n].Opset < 10
	var starts, ends, axes []int
	fixed := true
	if old {
		starts, ends, axes = n.Ints("starts", nil), n.Ints("ends", nil), n.Ints("axes", nil)
	} else {
		starts, fixed = w.written(n, 1)
		var ok bool
		ends, ok = w.written(n, 2)
		fixed = fixed && ok
		if axes, ok = w.written(n, 3); !ok && n.Input(3) != "" {
			fixed = false
		}
		if steps, ok := w.written(n, 4); n.Input(4) != "" && (!ok || slices.ContainsFunc(steps, func(s int) bool { return s != 1 })) {
			fixed = false
		}
	}
	if !fixed || len(starts) != len(ends) {
		return nil
	}
	for k := range ends {
		axis := k
		if k < len(axes) {
			axis = axes[k]
		}
		if axis < 0 {
			axis += len(w.dims(n.Inputs[0]))
		}
		if axis != at.Axis || starts[k] != 0 && starts[k] > -w.size || ends[k] < w.size || ends[k] > math.MaxInt32/2 {
			continue
		}
		ends = slices.Clone(ends)
		ends[k] = math.MaxInt32
		starts = slices.Clone(starts)
		starts[k] = 0
		if old {
			n.SetAttr(ir.IntsAttr("starts", starts...))
			n.SetAttr(ir.IntsAttr("ends", ends...))
			continue
		}
		n.Inputs[1] = w.constant(n.Inputs[1], w.one.facts.Values[n.Inputs[1]].Type.Elem, starts...)
		n.Inputs[2] = w.constant(n.Inputs[2], w.one.facts.Values[n.Inputs[2]].Type.Elem, ends...)
	}
	return nil
}

// expand leaves the samples as they are: a size of 1 in the target does.
func (w *batchWalk) expand(n *ir.Node) error {
	at, ok := w.at[n.Input(0)]
	target, fixed := w.written(n, 1)
	if !ok || !fixed || w.size == 1 {
		return nil
	}
	k := at.Axis + len(target) - len(w.dims(n.Inputs[0]))
	if k < 0 || target[k] != w.dims(n.Inputs[0])[at.Axis].Size {
		return nil
	}
	t := slices.Clone(target)
	t[k] = 1
	n.Inputs[1] = w.constant(n.Inputs[1], ir.Int64, t...)
	return nil
}
