package ops

import (
	"errors"
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// Lower appends the model's graph to b and returns the program value of every
// live ONNX value by name.
//
// Graph inputs become program inputs of their name (ONNX types map as in
// ProgramDType). Floating initialisers come from h.Init, or are constants in
// h.Float; integer ones are constants. Values that f knows become constants
// without lowering their node, except, when h.Init is set, floating values
// computed from floating initialisers, so that gradients reach those; in F64 too,
// since the elements that f holds are rounded to the model's types. Nodes that
// no graph output needs are skipped. Every live value must have static sizes.
// All unsupported operators are reported at once as an *UnsupportedError.
//
// The zero h.Float is prim.F32; the zero h.Seed is node 0, so set it to prim.Invalid for none.
func Lower(b *prim.Builder, m *ir.Model, f *Facts, h Hooks) (map[string]prim.ID, error) {
	keep := h.Init != nil || h.Float == prim.F64
	live := liveNodes(m.Graph, f, keep)
	if err := unsupported(m, live, f, keep); err != nil {
		return nil, err
	}
	w := lowering{b: b, facts: f, hooks: h, vals: map[string]prim.ID{}}
	if err := w.leaves(m.Graph, live); err != nil {
		return nil, err
	}
	tracked := trackedValues(m.Graph, f, keep)
	for _, n := range m.Graph.Nodes {
		if !live[n] {
			continue
		}
		if err := w.node(n, tracked); err != nil {
			return nil, err
		}
	}
	for _, o := range m.Graph.Outputs {
		if _, ok := w.vals[o.Name]; !ok {
			return nil, fmt.Errorf("lower: graph output %q: want a value of the graph, got none", o.Name)
		}
	}
	return w.vals, b.Err()
}

// Program builds the inference program of a model: graph inputs become program
// inputs and graph outputs program outputs, by name; every weight is a constant
// in float (prim.F32 or prim.F64). bind is as in InferModel and must make every size known.
func Program(m *ir.Model, bind map[string]int, float prim.DType) (*prim.Program, *Facts, error) {
	f, err := InferModel(m, bind)
	if err != nil {
		return nil, nil, err
	}
	b := prim.NewBuilder()
	vals, err := Lower(b, m, f, Hooks{Float: float, Seed: prim.Invalid})
	if err != nil {
		return nil, f, err
	}
	for _, o := range m.Graph.Outputs {
		b.Output(o.Name, vals[o.Name])
	}
	p, err := b.Program()
	return p, f, err
}

// liveNodes marks the nodes that graph outputs depend on, not walking through known constants.
func liveNodes(g *ir.Graph, f *Facts, keep bool) map[*ir.Node]bool {
	tracked := trackedValues(g, f, keep)
	need := map[string]bool{}
	for _, o := range g.Outputs {
		need[o.Name] = true
	}
	live := map[*ir.Node]bool{}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		lower := false
		for _, name := range n.Outputs {
			if name != "" && need[name] {
				live[n] = true
				lower = lower || f.Values[name].Const == nil || tracked[name]
			}
		}
		if lower {
			for _, name := range ir.Uses(n) {
				need[name] = true
			}
		}
	}
	return live
}

// trackedValues marks floating values that are computed from floating initialisers by
// nodes which can be lowered; with keep unset it marks none.
func trackedValues(g *ir.Graph, f *Facts, keep bool) map[string]bool {
	tracked := map[string]bool{}
	if !keep {
		return tracked
	}
	for _, t := range g.Inits {
		tracked[t.Name] = t.DType.IsFloat()
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			if !tracked[in] {
				continue
			}
			for _, out := range n.Outputs {
				if f.Values[out].Type.Elem.IsFloat() {
					tracked[out] = true
				}
			}
		}
	}
	return tracked
}

type lowering struct {
	b     *prim.Builder
	facts *Facts
	hooks Hooks
	vals  map[string]prim.ID
}

func (w *lowering) leaves(g *ir.Graph, live map[*ir.Node]bool) error {
	used := map[string]bool{}
	for _, n := range g.Nodes {
		if live[n] {
			for _, in := range n.Inputs {
				used[in] = true
			}
		}
	}
	for _, o := range g.Outputs {
		used[o.Name] = true
	}
	inits := map[string]bool{}
	for _, t := range g.Inits {
		inits[t.Name] = true
	}
	var errs []error
	for _, v := range g.Inputs {
		if inits[v.Name] || !used[v.Name] {
			continue
		}
		t := w.facts.Values[v.Name].Type
		d, err := ProgramDType(t.Elem, w.hooks.Float)
		if err == nil && !t.Static() {
			err = fmt.Errorf("want sizes that are known, got %s: bind its dimensions", t)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("lower: graph input %q: %w", v.Name, err))
			continue
		}
		if w.hooks.Whole[v.Name] {
			w.vals[v.Name] = w.b.Cast(w.b.Input(v.Name, prim.Type{DType: w.hooks.Float, Shape: t.Sizes()}), d)
			continue
		}
		w.vals[v.Name] = w.b.Input(v.Name, prim.Type{DType: d, Shape: t.Sizes()})
	}
	for _, t := range g.Inits {
		if !used[t.Name] {
			continue
		}
		if w.hooks.Init != nil && t.DType.IsFloat() {
			w.vals[t.Name] = w.hooks.Init(w.b, t)
			continue
		}
		if t.DType == ir.String {
			continue
		}
		v, err := HostTensor(t, w.hooks.Float)
		if err != nil {
			errs = append(errs, fmt.Errorf("lower: initialiser %q: %w", t.Name, err))
			continue
		}
		w.vals[t.Name] = w.b.Const(v)
	}
	return errors.Join(errs...)
}

// value returns the program value of a name, making a constant of what the facts know.
func (w *lowering) value(name string) (prim.ID, error) {
	if id, ok := w.vals[name]; ok {
		return id, nil
	}
	c := w.facts.Values[name].Const
	if c == nil {
		return prim.Invalid, fmt.Errorf("value %q: want a computed or constant value, got none", name)
	}
	v, err := HostTensor(c, w.hooks.Float)
	if err != nil {
		return prim.Invalid, fmt.Errorf("value %q: %w", name, err)
	}
	id := w.b.Const(v)
	w.vals[name] = id
	return id, nil
}

// known reports whether every output of n is a constant that needs no lowering.
func (w *lowering) known(n *ir.Node, tracked map[string]bool) bool {
	for _, name := range n.Outputs {
		if name != "" && (w.facts.Values[name].Const == nil || tracked[name]) {
			return false
		}
	}
	return true
}

func (w *lowering) node(n *ir.Node, tracked map[string]bool) error {
	s := w.facts.Sites[n]
	var out []prim.ID
	if w.known(n, tracked) {
		for _, name := range n.Outputs {
			if name == "" {
				out = append(out, prim.Invalid)
				continue
			}
			id, err := w.value(name)
			if err != nil {
				return s.Errorf("lower", "%w", err)
			}
			out = append(out, id)
		}
	} else {
		op := Lookup(n.Domain, n.OpType)
		l := &Lowering{Site: s, B: w.b, Training: w.hooks.Training && !(w.hooks.Frozen && op.State != nil), Float: w.hooks.Float, Seed: w.hooks.Seed}
		if l.Training {
			l.Update = func(i int, v prim.ID) {
				if w.hooks.Update != nil && n.Input(i) != "" {
					w.hooks.Update(n.Input(i), v)
				}
			}
		}
		if w.hooks.AxisMask != nil {
			l.AxisMask = func(i, axis int) prim.ID { return w.hooks.AxisMask(w.b, n.Input(i), axis) }
		}
		for i, name := range n.Inputs {
			id := prim.Invalid
			if name != "" {
				if t := s.In[i].Type; !t.Static() {
					return s.Errorf("lower", "input %d %q: want sizes that are known, got %s: bind its dimensions", i, name, t)
				}
				var err error
				if id, err = w.value(name); err != nil {
					return s.Errorf("lower", "input %d: %w", i, err)
				}
				if w.hooks.Input != nil {
					id = w.hooks.Input(w.b, n, name, id)
				}
			}
			l.In = append(l.In, id)
		}
		for k, name := range n.Outputs {
			if t := s.Out[k].Type; name != "" && !t.Static() {
				return s.Errorf("lower", "output %d %q: want sizes that are known, got %s: bind its dimensions", k, name, t)
			}
		}
		if op = s.Rules(); op == nil {
			return s.Errorf("lower", "want inputs of known type and rank")
		}
		var err error
		if out, err = op.Lower(l); err != nil {
			return err
		}
		if err := w.b.Err(); err != nil {
			return s.Errorf("lower", "%w", err)
		}
	}
	for k, name := range n.Outputs {
		if name == "" || k >= len(out) || out[k] == prim.Invalid {
			continue
		}
		id := out[k]
		if want, got := s.Out[k].Type.Sizes(), w.b.Shape(id); fmt.Sprint(want) != fmt.Sprint(got) {
			return s.Errorf("lower", "output %d %q: want sizes %v as inferred, got %v", k, name, want, got)
		}
		if w.hooks.Output != nil {
			id = w.hooks.Output(w.b, n, k, id)
		}
		w.vals[name] = id
	}
	return nil
}
