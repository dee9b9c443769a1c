// Package mutate damages models in their structure, for tests of what must refuse a model
// with an error and never panic. What it leaves is often still a model: edits stay near
// what files hold.
package mutate

import (
	"math/rand/v2"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// Model applies so many edits to m, in place, and returns their names in order. Operators are
// the types that a node may change to. The generator alone decides.
func Model(r *rand.Rand, m *ir.Model, edits int, operators []string) []string {
	s := &state{Rand: r, model: m, operators: operators}
	var done []string
	for range edits {
		// An edit that finds nothing to damage leaves its turn to another.
		for range 20 {
			e := all[r.IntN(len(all))]
			s.graph = s.anyGraph()
			if e.apply(s) {
				done = append(done, e.name)
				break
			}
		}
	}
	return done
}

// Names lists the kinds of edit.
func Names() []string {
	var out []string
	for _, e := range all {
		out = append(out, e.name)
	}
	return out
}

// edit is one kind of damage; apply reports whether it found something to damage.
type edit struct {
	name  string
	apply func(*state) bool
}

var all = []edit{
	{"attribute value", attributeValue},
	{"attribute list", attributeList},
	{"attribute gone", attributeGone},
	{"attribute added", attributeAdded},
	{"attribute kind", attributeKind},
	{"attribute tensor", attributeTensor},
	{"declared size", declaredSize},
	{"declared rank", declaredRank},
	{"declared type", declaredType},
	{"declaration gone", declarationGone},
	{"declaration added", declarationAdded},
	{"initialiser shape", initialiserShape},
	{"initialiser size", initialiserSize},
	{"initialiser type", initialiserType},
	{"initialiser number", initialiserNumber},
	{"initialiser becomes an input", initialiserFed},
	{"input becomes an initialiser", inputStored},
	{"input rewired", inputRewired},
	{"inputs swapped", inputsSwapped},
	{"input left out", inputLeftOut},
	{"inputs shortened", inputsShortened},
	{"input added", inputAdded},
	{"output left out", outputLeftOut},
	{"output added", outputAdded},
	{"operator", operator},
	{"domain", domain},
	{"opset", opset},
	{"node gone", nodeGone},
	{"node repeated", nodeRepeated},
	{"node name", nodeName},
	{"graph output", graphOutput},
	{"graph output gone", graphOutputGone},
	{"subgraph", subgraph},
}

// state is what edits work on: one graph of the model, its own or a subgraph.
type state struct {
	*rand.Rand
	model     *ir.Model
	graph     *ir.Graph
	operators []string
	made      int // names handed out
}

func (s *state) anyGraph() *ir.Graph {
	var graphs []*ir.Graph
	ir.WalkGraphs(s.model.Graph, func(g *ir.Graph) { graphs = append(graphs, g) })
	if s.IntN(2) == 0 {
		return s.model.Graph
	}
	return graphs[s.IntN(len(graphs))]
}

func pick[T any](s *state, list []T) T { return list[s.IntN(len(list))] }

// node returns a node of the graph or, of models with functions, of a function; nil when there is none.
func (s *state) node() *ir.Node {
	nodes := s.graph.Nodes
	if len(s.model.Functions) > 0 && s.IntN(4) == 0 {
		nodes = pick(s, s.model.Functions).Nodes
	}
	if len(nodes) == 0 {
		return nil
	}
	return pick(s, nodes)
}

// number is an integer as attributes and sizes hold, now and then an absurd one.
func (s *state) number() int64 {
	if s.IntN(8) == 0 {
		return pick(s, []int64{100, -100, 1 << 20, 1 << 31, -1 << 31, 1 << 40, 1<<63 - 1, -1 << 63})
	}
	return pick(s, []int64{0, 1, -1, 2, -2, 3, -3, 4, 5, 7, 8})
}

func (s *state) size() ir.Dim {
	switch s.IntN(60) {
	case 0, 1, 2, 3, 4, 5, 6:
		return ir.Dim{Size: -1}
	case 7, 8, 9, 10, 11, 12, 13:
		return ir.Dim{Size: -1, Param: pick(s, []string{"batch", "n", "sequence"})}
	case 14:
		return ir.Dim{Size: 1 << 20}
	}
	return ir.Dim{Size: pick(s, []int{0, 1, 2, 3, 4, 5, 8, 16})}
}

func (s *state) fresh() string {
	s.made++
	return "mutated_" + string(rune('a'+s.made%26)) + string(rune('a'+s.made/26%26)) + string(rune('a'+s.IntN(26)))
}

// value returns the name of a value that is made before node n, or anywhere for nil; "" when there is none.
func (s *state) value(n *ir.Node) string {
	g, names := s.graph, []string{}
	for _, v := range g.Inputs {
		names = append(names, v.Name)
	}
	for _, x := range g.Nodes {
		if x == n {
			break
		}
		for _, o := range x.Outputs {
			if o != "" {
				names = append(names, o)
			}
		}
	}
	if len(g.Inits) > 0 && (len(names) == 0 || s.IntN(3) == 0) {
		return pick(s, g.Inits).Name
	}
	if len(names) == 0 {
		return ""
	}
	return pick(s, names)
}

func (s *state) attribute() *ir.Attr {
	n := s.node()
	if n == nil || len(n.Attrs) == 0 {
		return nil
	}
	return &n.Attrs[s.IntN(len(n.Attrs))]
}

func attributeValue(s *state) bool {
	a := s.attribute()
	if a == nil {
		return false
	}
	switch a.Kind {
	case ir.AttrInt:
		a.I = s.number()
	case ir.AttrFloat:
		a.F = float32(s.number())
	case ir.AttrString:
		a.S = []byte(pick(s, []string{"", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "linear", "cubic", "nearest", "reflect", "edge", "wrap", "ij->ji", "...", "none"}))
	case ir.AttrInts:
		if len(a.Ints) == 0 {
			return false
		}
		a.Ints[s.IntN(len(a.Ints))] = s.number()
	default:
		return false
	}
	return true
}

func attributeList(s *state) bool {
	a := s.attribute()
	if a == nil || a.Kind != ir.AttrInts {
		return false
	}
	switch {
	case len(a.Ints) > 0 && s.IntN(2) == 0:
		at := s.IntN(len(a.Ints))
		a.Ints = slices.Delete(slices.Clone(a.Ints), at, at+1)
	case len(a.Ints) > 0 && s.IntN(6) == 0:
		a.Ints = nil
	default:
		a.Ints = append(slices.Clone(a.Ints), s.number())
	}
	return true
}

func attributeGone(s *state) bool {
	n := s.node()
	if n == nil || len(n.Attrs) == 0 {
		return false
	}
	at := s.IntN(len(n.Attrs))
	n.Attrs = slices.Delete(n.Attrs, at, at+1)
	return true
}

// integers and lists are attributes that many operators read.
var (
	integers = []string{"axis", "axes", "group", "keepdims", "transA", "transB", "transB", "num_heads", "kv_num_heads", "q_num_heads", "to", "ceil_mode", "num_groups",
		"block_size", "allowzero", "exclusive", "reverse", "largest", "sorted", "start", "end", "stash_type", "training_mode", "num_outputs", "batch_dims",
		"noop_with_empty_axes", "is_causal", "interleaved", "rotary_embedding_dim", "unidirectional", "local_window_size", "do_rotary", "broadcast", "spatial", "select_last_index"}
	lists = []string{"axes", "pads", "kernel_shape", "strides", "dilations", "perm", "split", "output_padding", "output_shape", "qkv_hidden_sizes", "shape", "starts", "ends", "scales", "repeats", "value_ints"}
)

func attributeAdded(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	switch s.IntN(4) {
	case 0:
		n.SetAttr(ir.IntAttr(pick(s, integers), int(s.number())))
	case 1:
		n.SetAttr(ir.StringAttr(pick(s, []string{"auto_pad", "mode", "equation", "coordinate_transformation_mode", "nearest_mode", "reduction", "approximate", "direction", "layout"}),
			pick(s, []string{"SAME_UPPER", "VALID", "", "cubic", "tanh", "ij,jk->ik", "align_corners", "add"})))
	case 2:
		n.SetAttr(ir.FloatAttr(pick(s, []string{"epsilon", "alpha", "beta", "momentum", "scale", "softcap", "ratio", "mask_filter_value", "min", "max", "value"}), float64(s.number())))
	default:
		v := make([]int, s.IntN(6))
		for i := range v {
			v[i] = int(s.number())
		}
		n.SetAttr(ir.IntsAttr(pick(s, lists), v...))
	}
	return true
}

func attributeKind(s *state) bool {
	a := s.attribute()
	if a == nil {
		return false
	}
	switch s.IntN(5) {
	case 0:
		*a = ir.IntAttr(a.Name, int(s.number()))
	case 1:
		*a = ir.IntsAttr(a.Name, int(s.number()), int(s.number()))
	case 2:
		*a = ir.StringAttr(a.Name, "1")
	case 3:
		*a = ir.FloatAttr(a.Name, float64(s.number()))
	default:
		*a = ir.TensorAttr(a.Name, ir.NewInt64("", []int{1}, []int64{s.number()}))
	}
	return true
}

func attributeTensor(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.T != nil {
			t := s.damaged(a.T)
			if t != nil {
				a.T = t
			}
			return t != nil
		}
	}
	return false
}

// declared returns a typed name of the graph, nil when there is none.
func (s *state) declared() *ir.Value {
	g := s.graph
	lists := [][]ir.Value{g.Inputs, g.Inputs, g.Outputs, g.Info}
	if list := pick(s, lists); len(list) > 0 {
		return &list[s.IntN(len(list))]
	}
	return nil
}

func declaredSize(s *state) bool {
	v := s.declared()
	if v == nil || len(v.Type.Shape) == 0 {
		return false
	}
	v.Type.Shape[s.IntN(len(v.Type.Shape))] = s.size()
	return true
}

func declaredRank(s *state) bool {
	v := s.declared()
	if v == nil {
		return false
	}
	switch t := &v.Type; s.IntN(4) {
	case 0:
		t.Ranked, t.Shape = false, nil
	case 1:
		t.Ranked, t.Shape = true, []ir.Dim{}
	case 2:
		t.Ranked, t.Shape = true, append(slices.Clone(t.Shape), s.size())
	default:
		if len(t.Shape) == 0 {
			return false
		}
		at := s.IntN(len(t.Shape))
		t.Shape = slices.Delete(t.Shape, at, at+1)
	}
	return true
}

// elems are element types, the common ones more than once.
var elems = []ir.DType{ir.Float32, ir.Float32, ir.Int64, ir.Int64, ir.Float16, ir.BFloat16, ir.Float64, ir.Int32, ir.Int8, ir.Uint8, ir.Bool, ir.String, ir.Complex64, ir.Uint4, ir.Undefined}

func declaredType(s *state) bool {
	v := s.declared()
	if v == nil {
		return false
	}
	switch s.IntN(8) {
	case 0:
		v.Type = ir.Type{}
	case 1:
		inner := v.Type.Clone()
		v.Type = ir.Type{Kind: pick(s, []ir.Kind{ir.KindSequence, ir.KindOptional}), Inner: &inner}
	default:
		v.Type.Elem = pick(s, elems)
	}
	return true
}

func declarationGone(s *state) bool {
	g := s.graph
	if len(g.Info) == 0 || s.IntN(3) == 0 {
		if len(g.Info) == 0 {
			return false
		}
		g.Info = nil
		return true
	}
	at := s.IntN(len(g.Info))
	g.Info = slices.Delete(g.Info, at, at+1)
	return true
}

func declarationAdded(s *state) bool {
	n := s.node()
	if n == nil || n.Output(0) == "" {
		return false
	}
	t := ir.TensorType(pick(s, elems))
	for range s.IntN(5) {
		t.Shape = append(t.Shape, s.size())
	}
	s.graph.Info = append(s.graph.Info, ir.Value{Name: n.Output(0), Type: t})
	return true
}

func (s *state) changeInit(change func(*ir.Tensor) *ir.Tensor) bool {
	g := s.graph
	if len(g.Inits) == 0 {
		return false
	}
	at := s.IntN(len(g.Inits))
	t := change(g.Inits[at])
	if t != nil {
		g.Inits[at] = t
	}
	return t != nil
}

func (s *state) damaged(t *ir.Tensor) *ir.Tensor {
	return pick(s, []func(*state, *ir.Tensor) *ir.Tensor{reshaped, resized, retyped, renumbered})(s, t)
}

func initialiserShape(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return reshaped(s, t) })
}

func initialiserSize(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return resized(s, t) })
}

func initialiserType(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return retyped(s, t) })
}

func initialiserNumber(s *state) bool {
	return s.changeInit(func(t *ir.Tensor) *ir.Tensor { return renumbered(s, t) })
}

// reshaped keeps the elements: axes are merged, swapped, added or all of them flattened.
func reshaped(s *state, old *ir.Tensor) *ir.Tensor {
	t := *old
	d := slices.Clone(t.Dims)
	switch s.IntN(5) {
	case 0:
		d = []int{t.Len()}
	case 1:
		d = append(d, 1)
	case 2:
		d = append([]int{1}, d...)
	case 3:
		if len(d) < 2 {
			return nil
		}
		i, j := s.IntN(len(d)), s.IntN(len(d))
		d[i], d[j] = d[j], d[i]
	default:
		if len(d) < 2 {
			return nil
		}
		d = append([]int{d[0] * d[1]}, d[2:]...)
	}
	t.Dims = d
	return &t
}

// resized changes the size of an axis, or makes a scalar; elements are the first, repeated where they do not suffice.
func resized(s *state, old *ir.Tensor) *ir.Tensor {
	width := old.DType.Bits() / 8
	if width == 0 || old.DType == ir.String || len(old.Raw) == 0 {
		return nil
	}
	t := *old
	t.Dims = slices.Clone(t.Dims)
	if len(t.Dims) == 0 || s.IntN(6) == 0 {
		t.Dims = [][]int{{}, {1}, {0}, {2}}[s.IntN(4)]
	} else {
		at := s.IntN(len(t.Dims))
		t.Dims[at] = pick(s, []int{0, 1, 2, 3, 4, 5, t.Dims[at] + 1, max(t.Dims[at]-1, 0), 2 * t.Dims[at]})
	}
	n := width * t.Len()
	t.Raw = append([]byte{}, old.Raw[:min(n, len(old.Raw))]...)
	for len(t.Raw) < n {
		t.Raw = append(t.Raw, old.Raw[:min(len(old.Raw), n-len(t.Raw))]...)
	}
	return &t
}

// retyped gives the elements another type: the numbers where both have them, else zeros.
func retyped(s *state, old *ir.Tensor) *ir.Tensor {
	d := pick(s, elems)
	if d == ir.Undefined || d == ir.String {
		return nil
	}
	t := &ir.Tensor{Name: old.Name, DType: d, Dims: old.Dims, Raw: make([]byte, (old.Len()*d.Bits()+7)/8)}
	if v, err := old.Float64s(); err == nil && (d.IsFloat() || d.IsInt()) {
		if x, err := ir.NewFloats(old.Name, d, old.Dims, v); err == nil {
			return x
		}
	}
	return t
}

// renumbered changes one element of an integer tensor, or all of a floating one.
func renumbered(s *state, old *ir.Tensor) *ir.Tensor {
	if v, err := old.Int64s(); err == nil && len(v) > 0 {
		v = slices.Clone(v)
		v[s.IntN(len(v))] = s.number()
		if t, err := ir.NewInts(old.Name, old.DType, old.Dims, v); err == nil {
			return t
		}
	}
	t := old.Clone()
	for i := range t.Raw {
		t.Raw[i] = 0xff // of floats: none is a number
	}
	return t
}

func initialiserFed(s *state) bool {
	g := s.graph
	if len(g.Inits) == 0 {
		return false
	}
	at := s.IntN(len(g.Inits))
	t := g.Inits[at]
	g.Inits = slices.Delete(g.Inits, at, at+1)
	if !slices.ContainsFunc(g.Inputs, func(v ir.Value) bool { return v.Name == t.Name }) {
		g.Inputs = append(g.Inputs, ir.Value{Name: t.Name, Type: t.Type()})
	}
	return true
}

func inputStored(s *state) bool {
	g := s.graph
	if len(g.Inputs) == 0 {
		return false
	}
	at := s.IntN(len(g.Inputs))
	v := g.Inputs[at]
	if g.Init(v.Name) != nil || v.Type.Elem.Bits()%8 != 0 || v.Type.Elem == ir.String || v.Type.Elem == ir.Undefined {
		return false
	}
	var dims []int
	for _, d := range v.Type.Shape {
		dims = append(dims, min(max(d.Size, 1), 32))
	}
	g.Inits = append(g.Inits, &ir.Tensor{Name: v.Name, DType: v.Type.Elem, Dims: dims, Raw: make([]byte, ir.Prod(dims)*v.Type.Elem.Bits()/8)})
	g.Inputs = slices.Delete(g.Inputs, at, at+1)
	return true
}

func inputRewired(s *state) bool {
	n := s.node()
	if n == nil || len(n.Inputs) == 0 {
		return false
	}
	v := s.value(n)
	if v != "" {
		n.Inputs[s.IntN(len(n.Inputs))] = v
	}
	return v != ""
}

func inputsSwapped(s *state) bool {
	n := s.node()
	if n == nil || len(n.Inputs) < 2 {
		return false
	}
	i, j := s.IntN(len(n.Inputs)), s.IntN(len(n.Inputs))
	n.Inputs[i], n.Inputs[j] = n.Inputs[j], n.Inputs[i]
	return i != j
}

func inputLeftOut(s *state) bool {
	n := s.node()
	if n == nil || len(n.Inputs) == 0 {
		return false
	}
	n.Inputs[s.IntN(len(n.Inputs))] = ""
	return true
}

func inputsShortened(s *state) bool {
	n := s.node()
	if n == nil || len(n.Inputs) == 0 {
		return false
	}
	n.Inputs = n.Inputs[:s.IntN(len(n.Inputs))]
	return true
}

func inputAdded(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	for range s.IntN(3) {
		n.Inputs = append(n.Inputs, "")
	}
	n.Inputs = append(n.Inputs, s.value(n))
	return true
}

func outputLeftOut(s *state) bool {
	n := s.node()
	if n == nil || len(n.Outputs) == 0 {
		return false
	}
	if s.IntN(3) == 0 {
		n.Outputs = n.Outputs[:s.IntN(len(n.Outputs))]
		return true
	}
	n.Outputs[s.IntN(len(n.Outputs))] = ""
	return true
}

func outputAdded(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	n.Outputs = append(n.Outputs, s.fresh())
	return true
}

func operator(s *state) bool {
	n := s.node()
	if n == nil || len(s.operators) == 0 {
		return false
	}
	n.OpType = pick(s, s.operators)
	return true
}

func domain(s *state) bool {
	n := s.node()
	if n == nil {
		return false
	}
	n.Domain = pick(s, []string{"", "com.microsoft", "com.microsoft"})
	if n.Domain != "" && s.model.Opset(n.Domain) == 0 {
		s.model.Opsets = append(s.model.Opsets, ir.Opset{Domain: n.Domain, Version: 1})
	}
	return true
}

func opset(s *state) bool {
	if len(s.model.Opsets) == 0 {
		return false
	}
	s.model.Opsets[s.IntN(len(s.model.Opsets))].Version = int64(1 + s.IntN(24))
	return true
}

// nodeGone lets the readers of a node's first output read an input in its place.
func nodeGone(s *state) bool {
	g := s.graph
	if len(g.Nodes) == 0 {
		return false
	}
	at := s.IntN(len(g.Nodes))
	n := g.Nodes[at]
	short := n.Input(0)
	if len(n.Inputs) > 0 {
		short = pick(s, n.Inputs)
	}
	if short == "" || n.Output(0) == "" {
		return false
	}
	g.Nodes = slices.Delete(g.Nodes, at, at+1)
	for _, x := range g.Nodes {
		for i, v := range x.Inputs {
			if v == n.Output(0) {
				x.Inputs[i] = short
			}
		}
	}
	for i := range g.Outputs {
		if g.Outputs[i].Name == n.Output(0) {
			g.Outputs[i].Name = short
		}
	}
	return true
}

// nodeRepeated puts a copy of a node, with outputs of its own, behind it; a reader takes them.
func nodeRepeated(s *state) bool {
	g := s.graph
	if len(g.Nodes) == 0 {
		return false
	}
	at := s.IntN(len(g.Nodes))
	c := g.Nodes[at].Clone()
	if s.IntN(2) == 0 {
		c.Name = s.fresh()
	}
	renamed := map[string]string{}
	for i, o := range c.Outputs {
		if o != "" {
			renamed[o] = s.fresh()
			c.Outputs[i] = renamed[o]
		}
	}
	g.Nodes = slices.Insert(g.Nodes, at+1, c)
	for _, x := range g.Nodes[at+2:] {
		for i, v := range x.Inputs {
			if renamed[v] != "" && s.IntN(2) == 0 {
				x.Inputs[i] = renamed[v]
			}
		}
	}
	return true
}

func nodeName(s *state) bool {
	n, other := s.node(), s.node()
	if n == nil || other == nil {
		return false
	}
	n.Name = pick(s, []string{"", other.Name, n.Output(0), other.Output(0)})
	return true
}

func graphOutput(s *state) bool {
	g := s.graph
	v := s.value(nil)
	if len(g.Outputs) == 0 || v == "" {
		return false
	}
	if s.IntN(2) == 0 {
		g.Outputs = append(g.Outputs, ir.Value{Name: v})
		return true
	}
	o := &g.Outputs[s.IntN(len(g.Outputs))]
	if o.Name = v; s.IntN(2) == 0 {
		o.Type = ir.Type{}
	}
	return true
}

func graphOutputGone(s *state) bool {
	g := s.graph
	if len(g.Outputs) == 0 {
		return false
	}
	at := s.IntN(len(g.Outputs))
	g.Outputs = slices.Delete(g.Outputs, at, at+1)
	return true
}

// subgraph moves a node into both branches of an If, or into the body of a Loop.
func subgraph(s *state) bool {
	g := s.graph
	if len(g.Nodes) == 0 {
		return false
	}
	at := s.IntN(len(g.Nodes))
	n := g.Nodes[at]
	if n.Output(0) == "" {
		return false
	}
	body := func() *ir.Graph {
		c := n.Clone()
		b := &ir.Graph{Name: s.fresh(), Nodes: []*ir.Node{c}}
		for i, o := range c.Outputs {
			if o != "" {
				c.Outputs[i] = s.fresh()
				b.Outputs = append(b.Outputs, ir.Value{Name: c.Outputs[i]})
			}
		}
		return b
	}
	cond := &ir.Tensor{Name: s.fresh(), DType: ir.Bool, Raw: []byte{byte(s.IntN(2))}}
	if s.IntN(2) == 0 {
		g.Inits = append(g.Inits, cond)
	} else {
		g.Inputs = append(g.Inputs, ir.Value{Name: cond.Name, Type: ir.TensorType(ir.Bool)})
	}
	outputs := slices.DeleteFunc(slices.Clone(n.Outputs), func(o string) bool { return o == "" })
	x := &ir.Node{Name: n.Name, OpType: "If", Inputs: []string{cond.Name}, Outputs: outputs}
	for _, name := range []string{"then_branch", "else_branch"} {
		if s.IntN(8) > 0 {
			x.Attrs = append(x.Attrs, ir.Attr{Name: name, Kind: ir.AttrGraph, G: body()})
		}
	}
	if s.IntN(4) == 0 {
		x.OpType, x.Inputs = "Loop", []string{"", cond.Name}
		x.Attrs = []ir.Attr{{Name: "body", Kind: ir.AttrGraph, G: body()}}
	}
	g.Nodes[at] = x
	return true
}
