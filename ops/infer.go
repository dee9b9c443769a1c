package ops

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// maxElements bounds the elements of one value.
const maxElements = 1 << 31

// AnyDim is the key of InferModel's bind that names every unnamed unknown input dimension.
const AnyDim = "*"

// InferModel computes the type, and where possible the elements, of every value
// of the model's graph.
//
// bind gives sizes (≥ 0) to symbolic dimensions by name; bind[AnyDim] gives one
// to unknown input dimensions without a name. Dimensions that stay unbound stay
// symbolic as far as the rules can carry them. Values computed from constants or
// from static shapes get their elements in Fact.Const when they are small.
//
// An operator without rules is no error: its outputs take the type that
// value_info declares, or an unranked tensor of undefined element type. A rule
// that refuses its node, or a result of another element type than value_info or a
// graph output declares, is an error; all of them are reported at once. Declared sizes
// are hints, as they are for ONNX Runtime: where a result has others, these hold and
// Facts.Notes says so, and a size that depends on an open dimension of an input is not
// taken from a declaration.
func InferModel(m *ir.Model, bind map[string]int) (*Facts, error) {
	if err := checkBind(bind); err != nil {
		return nil, err
	}
	in := newInference(m, bind)
	for _, n := range m.Graph.Nodes {
		in.node(n)
	}
	return in.result()
}

// newInference knows the initialisers and inputs of a model and no node.
func newInference(m *ir.Model, bind map[string]int) *inference {
	in := &inference{
		model:    m,
		declared: map[string]ir.Type{},
		facts:    &Facts{Values: map[string]Fact{}, Sites: map[*ir.Node]*Site{}, Bind: bind},
	}
	g := m.Graph
	for _, list := range [][]ir.Value{g.Info, g.Outputs} {
		for _, v := range list {
			t := bindType(v.Type, bind, false)
			if old, ok := in.declared[v.Name]; ok {
				if r, note, err := refine(old, t, true); err == nil && note == "" {
					t = r
				}
			}
			in.declared[v.Name] = t
		}
	}
	for _, t := range g.Inits {
		in.initialiser(t)
	}
	for _, v := range g.Inputs {
		if _, ok := in.facts.Values[v.Name]; ok {
			continue
		}
		t := known(bindType(v.Type, bind, true))
		if !atMost(t, maxElements) {
			in.errs = append(in.errs, fmt.Errorf("infer: graph input %q: want at most %d elements, got %s", v.Name, maxElements, t))
			t = unknown()
		}
		in.facts.Values[v.Name] = Fact{Type: t}
		in.open = in.open || !t.Static()
	}
	return in
}

func (in *inference) initialiser(t *ir.Tensor) {
	in.facts.Values[t.Name] = Fact{Type: t.Type(), Const: t, Weight: true}
}

func (in *inference) result() (*Facts, error) {
	if err := errors.Join(in.errs...); err != nil {
		return nil, err
	}
	return in.facts, nil
}

type inference struct {
	model    *ir.Model
	declared map[string]ir.Type
	facts    *Facts
	open     bool // some input has a dimension without a size
	errs     []error
}

func (in *inference) node(n *ir.Node) {
	s := &Site{Node: n, Opset: int(in.model.Opset(n.Domain)), In: make([]Fact, len(n.Inputs))}
	in.facts.Sites[n] = s
	for i, name := range n.Inputs {
		if name == "" {
			continue
		}
		f, ok := in.facts.Values[name]
		if !ok {
			in.errs = append(in.errs, s.Errorf("infer", "input %d: want a value of an earlier node, got %q", i, name))
			f = Fact{Type: unknown()}
		}
		s.In[i] = f
	}
	op := usable(n, s.Opset)
	s.Out = make([]Fact, len(n.Outputs))
	if op != nil && op.Infer != nil && inferable(s) {
		out, err := op.Infer(s)
		if err != nil {
			in.errs = append(in.errs, err)
			op = nil
		}
		s.rules = op
		copy(s.Out, out)
	} else {
		op = nil
	}
	for k, name := range n.Outputs {
		if name == "" {
			s.Out[k] = Fact{}
			continue
		}
		s.Out[k].Type = known(s.Out[k].Type)
		if want, ok := in.declared[name]; ok {
			t, note, err := refine(s.Out[k].Type, want, !in.open)
			if err != nil {
				in.errs = append(in.errs, s.Errorf("infer", "output %d %q: %w", k, name, err))
			} else {
				s.Out[k].Type = t
			}
			if note != "" {
				in.facts.Notes = append(in.facts.Notes, fmt.Sprintf("node %q (%s): output %q: %s", n.Label(), n.OpType, name, note))
			}
		}
	}
	for k, name := range n.Outputs {
		if name != "" && !atMost(s.Out[k].Type, maxElements) {
			in.errs = append(in.errs, s.Errorf("infer", "output %d %q: want at most %d elements, got %s", k, name, maxElements, s.Out[k].Type))
			s.Out[k].Type = unknown()
			op = nil
		}
	}
	if op != nil {
		if err := fold(op, s); err != nil {
			in.errs = append(in.errs, err)
		}
	}
	for k, name := range n.Outputs {
		if name != "" {
			in.facts.Values[name] = s.Out[k]
		}
	}
}

// inferable reports whether every present input is a ranked tensor of known
// element type: the condition under which Op.Infer is called.
func inferable(s *Site) bool {
	for i, name := range s.Node.Inputs {
		t := s.In[i].Type
		if name != "" && (t.Kind != ir.KindTensor || !t.Ranked || t.Elem == ir.Undefined) {
			return false
		}
	}
	return true
}

// usable returns the rules that hold for a node, nil when there are none.
func usable(n *ir.Node, opset int) *Op {
	op := Lookup(n.Domain, n.OpType)
	if op == nil || opset < op.Since {
		return nil
	}
	return op
}

// atMost reports whether the known sizes of t multiply to no more than limit.
func atMost(t ir.Type, limit int) bool {
	n := 1
	for _, d := range t.Shape {
		if d.Size > 0 && n > limit/d.Size {
			return false
		}
		if d.Known() {
			n *= d.Size
		}
		if n == 0 {
			n = 1
		}
	}
	return true
}

func unknown() ir.Type { return ir.Type{Kind: ir.KindTensor} }

// known replaces "no type" by an unranked tensor: the value exists.
func known(t ir.Type) ir.Type {
	if t.Kind == ir.KindNone {
		return unknown()
	}
	return t
}

func checkBind(bind map[string]int) error {
	var bad []string
	for name, n := range bind {
		if n < 0 {
			bad = append(bad, fmt.Sprintf("infer: dimension %q: want a size ≥ 0, got %d", name, n))
		}
	}
	slices.Sort(bad)
	var errs []error
	for _, s := range bad {
		errs = append(errs, errors.New(s))
	}
	return errors.Join(errs...)
}

// bindType replaces bound names by sizes; with anonymous set, unnamed unknown dimensions take bind[AnyDim].
func bindType(t ir.Type, bind map[string]int, anonymous bool) ir.Type {
	t = t.Clone()
	for i, d := range t.Shape {
		if d.Known() {
			continue
		}
		key := d.Param
		if key == "" && anonymous {
			key = AnyDim
		}
		if n, ok := bind[key]; ok && key != "" {
			t.Shape[i].Size = n
		}
	}
	return t
}

// refine returns what an inferred and a declared type of one value say together. Where sizes
// differ the inferred ones hold, and note says so; unknown ones are taken from the
// declaration only when sized is set.
func refine(got, want ir.Type, sized bool) (t ir.Type, note string, err error) {
	if want.Kind == ir.KindNone {
		return got, "", nil
	}
	if got.Kind == ir.KindTensor && got.Elem == ir.Undefined && !got.Ranked {
		return want, "", nil
	}
	if got.Kind != want.Kind || want.Elem != ir.Undefined && got.Elem != ir.Undefined && want.Elem != got.Elem {
		return got, "", fmt.Errorf("type: want %s as declared, got %s", want, got)
	}
	if got.Kind != ir.KindTensor {
		return got, "", nil
	}
	out := got.Clone()
	if out.Elem == ir.Undefined {
		out.Elem = want.Elem
	}
	if !want.Ranked {
		return out, "", nil
	}
	if !got.Ranked {
		out.Ranked, out.Shape = true, want.Clone().Shape
		return out, "", nil
	}
	differs := fmt.Sprintf("declared as %s, it is %s", want, got)
	if len(got.Shape) != len(want.Shape) {
		return out, differs, nil
	}
	for i, w := range want.Shape {
		d := &out.Shape[i]
		switch {
		case d.Known() && w.Known() && d.Size != w.Size:
			note = differs
		case !d.Known() && w.Known() && sized:
			d.Size = w.Size
		case !d.Known() && !w.Known() && d.Param == "":
			d.Param = w.Param
		}
	}
	if note != "" {
		out.Shape = got.Clone().Shape
	}
	return out, note, nil
}
