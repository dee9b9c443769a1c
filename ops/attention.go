package ops

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// Attention is softmax(q·k)·v as a graph spells it, masks, scales and layout
// operators between the three nodes included, or one node that does it all.
type Attention struct {
	Scores, Softmax, Mix *ir.Node // q·k, softmax, probabilities·v
	// Value and Axis name an axis on which the heads, or groups of them, lie one after the
	// other; Axis is -1 when there is none.
	Value string
	Axis  int
}

// Recognised is what Recognise finds. It only chooses which axes stay elastic where
// a reshape splits or merges some: every choice is sound, a wrong one costs elasticity.
type Recognised struct {
	Attentions []Attention
	Units      map[*ir.Node][]AxisPair // for Site.Units
	Whole      map[*ir.Node]string     // nodes whose axes must keep their sizes, and why
}

// RecogniseWidths is Recognise for the width of the heads in place of their number: q and
// k keep one width, v its own, each the same in all heads.
func RecogniseWidths(g *ir.Graph, f *Facts) *Recognised {
	r := &Recognised{Units: map[*ir.Node][]AxisPair{}, Whole: map[*ir.Node]string{}}
	x := newFollower(g, f)
	for _, n := range g.Nodes {
		if !isSoftmax(n) {
			continue
		}
		scores, mix := x.product(n.Input(0), false), x.product(n.Output(0), true)
		if scores == nil || mix == nil || scores.OpType != "MatMul" || mix.OpType != "MatMul" {
			continue
		}
		for _, v := range []string{scores.Input(0), mix.Input(1)} {
			p := place{v, f.Values[v].Type.Rank() - 1}
			if !x.static(scores) || !x.static(mix) || p.axis < 2 {
				continue
			}
			pairs, ok := x.follow(p)
			if !ok {
				continue
			}
			r.Attentions = append(r.Attentions, Attention{Scores: scores, Softmax: n, Mix: mix, Value: p.value, Axis: p.axis})
			for node, list := range pairs {
				r.Units[node] = append(r.Units[node], list...)
			}
		}
	}
	return r
}

// Recognise finds the attentions of a normal graph with static facts and follows
// the heads of each through the operators around it (transposes, rotary embeddings,
// repeated key and value heads, fused projections) to the weights that make and read
// them. An attention whose heads cannot be followed is kept whole.
func Recognise(g *ir.Graph, f *Facts) *Recognised {
	r := &Recognised{Units: map[*ir.Node][]AxisPair{}, Whole: map[*ir.Node]string{}}
	for _, n := range g.Nodes {
		if op := Lookup(n.Domain, n.OpType); op != nil && op.Heads && len(n.Outputs) > 0 {
			// Of rank 4 the heads are axis 1, of rank 3 they are whole on axis 2.
			a := Attention{Scores: n, Softmax: n, Mix: n, Value: n.Output(0), Axis: 2}
			if f.Values[a.Value].Type.Rank() == 4 {
				a.Axis = 1
			}
			r.Attentions = append(r.Attentions, a)
		}
	}
	packed := func(n *ir.Node) bool {
		return n.Domain == microsoft && n.OpType == "MultiHeadAttention" && slices.ContainsFunc(n.Inputs[:min(2, len(n.Inputs))], func(v string) bool { return f.Values[v].Type.Rank() == 5 })
	}
	if !slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { return isSoftmax(n) || packed(n) }) {
		return r
	}
	x := newFollower(g, f)
	for _, n := range g.Nodes {
		if packed(n) {
			for _, v := range n.Inputs[:min(2, len(n.Inputs))] {
				if f.Values[v].Type.Rank() != 5 {
					continue
				}
				pairs, _ := x.follow(place{v, 2})
				for node, p := range pairs {
					r.Units[node] = append(r.Units[node], p...)
				}
			}
		}
		if !isSoftmax(n) {
			continue
		}
		scores, mix := x.product(n.Input(0), false), x.product(n.Output(0), true)
		if scores == nil || mix == nil {
			continue
		}
		a := Attention{Scores: scores, Softmax: n, Mix: mix, Value: n.Output(0), Axis: -1}
		multi := false
		for _, axis := range x.headAxes(n) {
			multi = multi || axis != f.Values[a.Value].Type.Rank()-2
			if pairs, ok := x.follow(place{a.Value, axis}); ok {
				a.Axis = axis
				for node, p := range pairs {
					r.Units[node] = append(r.Units[node], p...)
				}
				break
			}
		}
		if a.Axis < 0 && multi {
			for _, node := range []*ir.Node{scores, mix} {
				r.Whole[node] = fmt.Sprintf("the attention around %q is not recognised: no axis of its scores leads to the heads of a projection", n.Label())
			}
		}
		r.Attentions = append(r.Attentions, a)
	}
	return r
}

func isSoftmax(n *ir.Node) bool { return n.Domain == "" && n.OpType == "Softmax" }

// place is one axis of a value.
type place struct {
	value string
	axis  int
}

// follower walks axes through a graph along the links of its operators.
type follower struct {
	facts    *Facts
	producer map[string]*ir.Node
	readers  map[string][]*ir.Node
	links    map[*ir.Node][]Link
	fixed    map[string]bool // values for which constant has an answer
	data     map[place]bool  // batch and sequence: axes that are straight ties of a graph input's leading ones
}

func newFollower(g *ir.Graph, f *Facts) *follower {
	x := &follower{facts: f, producer: map[string]*ir.Node{}, readers: map[string][]*ir.Node{}, links: map[*ir.Node][]Link{}, fixed: map[string]bool{}, data: map[place]bool{}}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			x.producer[o] = n
		}
		for i, v := range n.Inputs {
			if v != "" && !slices.Contains(n.Inputs[:i], v) {
				x.readers[v] = append(x.readers[v], n)
			}
		}
	}
	x.markData(g)
	return x
}

// markData follows the leading axis of every graph input, of those up to rank 3 the
// second too, over ties of whole axes, and as the outermost factor of merged axes until a
// reshape splits it off again.
func (x *follower) markData(g *ir.Graph) {
	straight := map[place][]place{}
	regrouped := map[place][]hop{}
	for _, n := range g.Nodes {
		for _, l := range x.linksOf(n) {
			a, b := at(n, l.A), at(n, l.B)
			if l.PairsA == nil && l.A.Out != l.B.Out && !x.facts.Values[a.value].Weight && !x.facts.Values[b.value].Weight {
				straight[a], straight[b] = append(straight[a], b), append(straight[b], a)
			}
		}
		if !rowMajor(n) || !x.static(n) {
			continue
		}
		s := x.facts.Sites[n]
		segs, _ := segments(s.In[0].Type.Shape, s.Out[0].Type.Shape)
		for _, g := range segs {
			for _, h := range []hop{{n, false, g.x[0], g}, {n, true, g.y[0], g}} {
				p := place{h.value(), h.axis}
				regrouped[p] = append(regrouped[p], h)
			}
		}
	}
	leads := map[place]int{} // positions of the outermost factor that is data
	var queue []place
	lead := func(p place, n int) {
		if leads[p] < n {
			leads[p] = n
			queue = append(queue, p)
		}
	}
	for _, v := range g.Inputs {
		d := x.facts.Values[v.Name].Type.Shape
		for i := range d {
			if !x.facts.Values[v.Name].Weight && d[i].Known() && (i == 0 || i == 1 && len(d) <= 3) {
				lead(place{v.Name, i}, d[i].Size)
			}
		}
	}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		n := leads[p]
		shape := x.facts.Values[p.value].Type.Shape
		if p.axis >= len(shape) { // a name that the graph gives twice
			continue
		}
		x.data[p] = n == shape[p.axis].Size
		for _, q := range straight[p] {
			lead(q, n)
		}
		for _, h := range regrouped[p] {
			_, there := h.sides()
			_, d := h.dims(x.facts.Sites[h.node])
			left := n
			for _, k := range there {
				size := d[k].Size
				switch {
				case size < 1 || left < 2:
				case size%left == 0:
					lead(place{h.other(), k}, left)
					left = 1
				case left%size == 0:
					lead(place{h.other(), k}, size)
					left /= size
				default:
					left = 1
				}
			}
		}
	}
}

// at names the axis of a value that a node's reference means.
func at(n *ir.Node, r AxisRef) place {
	if r.Out {
		return place{n.Output(r.Index), r.Axis}
	}
	return place{n.Input(r.Index), r.Axis}
}

func (x *follower) linksOf(n *ir.Node) []Link {
	if l, ok := x.links[n]; ok {
		return l
	}
	var a Axes
	s := x.facts.Sites[n]
	if op := s.Rules(); op != nil && op.Axes != nil && x.static(n) {
		op.Axes(s, &a)
	}
	x.links[n] = a.Links
	return a.Links
}

func (x *follower) static(n *ir.Node) bool {
	for _, v := range slices.Concat(n.Inputs, n.Outputs) {
		if v != "" && !x.facts.Values[v].Type.Static() {
			return false
		}
	}
	return true
}

// between lists the operators that may stand between the products and the softmax.
var between = []string{"Add", "Sub", "Mul", "Div", "Where", "Cast", "Clip", "Tanh", "Identity", "Dropout", "Max", "Min", "Neg", "Pow", "Sigmoid",
	"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Slice", "Concat"}

// product returns the nearest product of two computed values that the value comes from
// or, with down set, goes to.
func (x *follower) product(value string, down bool) *ir.Node {
	seen := map[string]bool{}
	queue := []string{value}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		if seen[v] || v == "" || x.constant(v) {
			continue
		}
		seen[v] = true
		next := []*ir.Node{x.producer[v]}
		if down {
			next = x.readers[v]
		}
		for _, n := range next {
			switch {
			case n == nil || n.Domain != "":
			case n.OpType == "MatMul" || n.OpType == "Einsum":
				if len(n.Inputs) >= 2 && !x.constant(n.Inputs[0]) && !x.constant(n.Inputs[1]) {
					return n
				}
			case slices.Contains(between, n.OpType) && down:
				queue = append(queue, n.Outputs...)
			case slices.Contains(between, n.OpType):
				queue = append(queue, n.Inputs...)
			}
		}
	}
	return nil
}

// constant reports whether a value is the same for all inputs and no projection of others: of
// learned queries, keys and queries are known, too.
func (x *follower) constant(v string) bool {
	if x.facts.Values[v].Const == nil {
		return false
	}
	if c, ok := x.fixed[v]; ok {
		return c
	}
	n := x.producer[v]
	x.fixed[v] = n == nil || !slices.Contains([]string{"MatMul", "Gemm", "Conv"}, n.OpType) &&
		!slices.ContainsFunc(n.Inputs, func(v string) bool { return v != "" && !x.constant(v) })
	return x.fixed[v]
}

// headAxes lists the axes of a softmax's output that may be its heads, likely ones first.
func (x *follower) headAxes(n *ir.Node) []int {
	s := x.facts.Sites[n]
	axes, err := softmaxAxes(s)
	if err != nil || !x.static(n) {
		return nil
	}
	d := s.Out[0].Type.Shape
	var out []int
	for i := range d {
		if d[i].Size > 1 && !slices.Contains(axes, i) && !x.data[place{n.Output(0), i}] && i != len(d)-2 {
			out = append(out, i)
		}
	}
	if i := len(d) - 2; i >= 0 && d[i].Size > 1 && !slices.Contains(axes, i) && !x.data[place{n.Output(0), i}] {
		out = append(out, i)
	}
	return out
}

// rowMajor reports the operators whose axes are split and merged.
func rowMajor(n *ir.Node) bool {
	return n.Domain == "" && slices.Contains([]string{"Reshape", "Flatten", "Squeeze", "Unsqueeze"}, n.OpType)
}

// follow walks from an axis along all links, those of some positions only from there on, and returns the pairs of axes that carry
// its positions through reshapes; false when no weight of a product gives birth to the positions.
func (x *follower) follow(from place) (map[*ir.Node][]AxisPair, bool) {
	w := &walk{follower: x, units: x.facts.Values[from.value].Shape()[from.axis], held: map[place][]bool{from: nil}, queue: []place{from}, pairs: map[*ir.Node][]AxisPair{}}
	for len(w.queue) > 0 || len(w.later) > 0 {
		if len(w.queue) == 0 {
			h := w.later[0]
			w.later = w.later[1:]
			w.choose(h)
			continue
		}
		p := w.queue[0]
		w.queue = w.queue[1:]
		if n := x.producer[p.value]; n != nil {
			w.step(n, p)
		}
		for _, n := range x.readers[p.value] {
			w.step(n, p)
		}
	}
	return w.pairs, w.born
}

type walk struct {
	*follower
	units int              // positions of the axis that the walk began with
	held  map[place][]bool // positions of every axis seen that the walk stands on; nil for all
	queue []place
	later []hop
	pairs map[*ir.Node][]AxisPair
	born  bool
}

// hop is a step through a reshape onto one of several axes.
type hop struct {
	node *ir.Node
	out  bool // the walk stands on the output
	axis int
	seg  segment
}

// reach stands on those positions of an axis, nil for all.
func (w *walk) reach(p place, on []bool) {
	if p.value == "" {
		return
	}
	old, seen := w.held[p]
	switch {
	case !seen:
	case old == nil:
		return
	case on != nil:
		on = slices.Clone(on)
		for i := range on {
			on[i] = on[i] || old[i]
		}
		if slices.Equal(on, old) {
			return
		}
	}
	if !slices.Contains(on, false) {
		on = nil
	}
	w.held[p] = on
	w.queue = append(w.queue, p)
}

// across returns the positions of the axis to, of that size, that pairs tie to those held of
// another; false where there is none.
func across(held []bool, from, to []int, size int) ([]bool, bool) {
	if from == nil && to == nil {
		return held, true
	}
	on := make([]bool, size)
	for k, p := range from {
		if q := to[k]; q < size && (held == nil || p < len(held) && held[p]) {
			on[q] = true
		}
	}
	return on, slices.Contains(on, true)
}

// step goes from an axis of one of n's values to the axes that n ties to it.
func (w *walk) step(n *ir.Node, p place) {
	if rowMajor(n) {
		w.regroup(n, p)
		return
	}
	for _, l := range w.linksOf(n) {
		from, to, pf, pt := at(n, l.A), at(n, l.B), l.PairsA, l.PairsB
		for range 2 {
			on, ok := []bool(nil), false
			if from == p && to != p && to.value != "" {
				on, ok = across(w.held[p], pf, pt, w.facts.Values[to.value].Shape()[to.axis])
			}
			switch {
			case !ok:
			case !w.facts.Values[to.value].Weight:
				w.reach(to, on)
			case l.Role != Contracted && slices.Contains([]string{"MatMul", "Gemm", "Conv", "Einsum"}, n.OpType):
				w.born = true
			}
			from, to, pf, pt = to, from, pt, pf
		}
	}
}

// regroup goes through an operator that keeps the row-major order.
func (w *walk) regroup(n *ir.Node, p place) {
	s := w.facts.Sites[n]
	if !w.static(n) {
		return
	}
	segs, _ := segments(s.In[0].Type.Shape, s.Out[0].Type.Shape)
	for _, g := range segs {
		for _, h := range []hop{{n, false, p.axis, g}, {n, true, p.axis, g}} {
			here, there := h.sides()
			if h.value() != p.value || !slices.Contains(here, p.axis) {
				continue
			}
			if len(here) == 1 && len(there) == 1 {
				w.reach(place{h.other(), there[0]}, w.held[p])
				continue
			}
			if c := h.candidates(s); len(c) == 1 {
				w.take(h, c[0])
			} else {
				w.later = append(w.later, h)
			}
		}
	}
}

// sides returns the segment's axes on the value that the walk stands on, and the others.
func (h hop) sides() (here, there []int) {
	if h.out {
		return h.seg.y, h.seg.x
	}
	return h.seg.x, h.seg.y
}

func (h hop) value() string {
	if h.out {
		return h.node.Output(0)
	}
	return h.node.Input(0)
}

func (h hop) other() string {
	if h.out {
		return h.node.Input(0)
	}
	return h.node.Output(0)
}

// dims returns the dimensions of the value that the walk stands on, and the other's.
func (h hop) dims(s *Site) (here, there []ir.Dim) {
	if h.out {
		return s.Out[0].Type.Shape, s.In[0].Type.Shape
	}
	return s.In[0].Type.Shape, s.Out[0].Type.Shape
}

// candidates lists the other side's axes that share more than a period with the axis.
func (h hop) candidates(s *Site) []int {
	here, there := h.sides()
	dh, dt := h.dims(s)
	low := stride(dh, here, h.axis)
	high := low * dh[h.axis].Size
	var out []int
	for _, c := range there {
		if l := stride(dt, there, c); l < high && l*dt[c].Size > low {
			out = append(out, c)
		}
	}
	return out
}

// choose takes the likeliest of several axes: none that is a batch or a repetition; the
// one that reaches below the axis (it is split further); one with as many positions as
// the walk began with; the outermost.
func (w *walk) choose(h hop) {
	if slices.ContainsFunc(w.pairs[h.node], func(p AxisPair) bool { return slices.Contains(h.seg.x, p.In) }) {
		return
	}
	s := w.facts.Sites[h.node]
	here, there := h.sides()
	dh, dt := h.dims(s)
	list := slices.DeleteFunc(h.candidates(s), func(c int) bool {
		p := place{h.other(), c}
		return w.data[p] || w.repeated(p)
	})
	if len(list) == 0 {
		return
	}
	low := stride(dh, here, h.axis)
	below := slices.DeleteFunc(slices.Clone(list), func(c int) bool { return stride(dt, there, c) >= low })
	same := slices.DeleteFunc(slices.Clone(list), func(c int) bool { return dt[c].Size != w.units })
	switch {
	case len(below) == 1:
		w.take(h, below[0])
	case len(same) > 0:
		w.take(h, same[0])
	default:
		w.take(h, list[0])
	}
}

// take carries the units on to axis c of the other side.
func (w *walk) take(h hop, c int) {
	p := AxisPair{In: h.axis, Out: c}
	if h.out {
		p = AxisPair{In: c, Out: h.axis}
	}
	i := slices.IndexFunc(w.pairs[h.node], func(q AxisPair) bool { return slices.Contains(h.seg.x, q.In) })
	if i >= 0 {
		if w.pairs[h.node][i] != p {
			return
		}
	} else {
		w.pairs[h.node] = append(w.pairs[h.node], p)
	}
	w.reach(place{h.other(), c}, nil)
}

// repeated reports an axis along which one position is repeated.
func (w *walk) repeated(p place) bool {
	for {
		n := w.producer[p.value]
		if n == nil || n.Domain != "" || !w.static(n) {
			return false
		}
		s := w.facts.Sites[n]
		switch n.OpType {
		case "Expand", "Tile":
			i := p.axis - (len(s.Out[0].Type.Shape) - len(s.In[0].Type.Shape))
			if i < 0 || s.In[0].Type.Shape[i].Size == 1 {
				return true
			}
			p = place{n.Input(0), i}
			continue
		case "Concat":
			axis, err := concatAxis(s)
			return err == nil && axis == p.axis && s.In[0].Type.Shape[axis].Size == 1 &&
				!slices.ContainsFunc(n.Inputs, func(v string) bool { return v != n.Inputs[0] })
		}
		next := place{}
		for _, l := range w.linksOf(n) {
			for _, e := range [][2]AxisRef{{l.A, l.B}, {l.B, l.A}} {
				if l.PairsA == nil && e[0].Out && !e[1].Out && e[1].Index == 0 && at(n, e[0]) == p {
					next = at(n, e[1])
				}
			}
		}
		if next.value == "" || !slices.Contains([]string{"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"}, n.OpType) {
			return false
		}
		p = next
	}
}
