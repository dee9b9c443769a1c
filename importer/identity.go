package importer

import (
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

func identities() pass.Pass {
	return pass.Pass{
		Name: "identity", Doc: "Identity nodes are removed; graph outputs keep their names",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			return bypass(m, "remove Identity", func(_ *ir.Index, n *ir.Node) bool { return isOp(n, "Identity") })
		},
	}
}

func dropouts() pass.Pass {
	return pass.Pass{
		Name: "dropout", Doc: "Dropout nodes that are inactive in inference are removed",
		Next: func(m *ir.Model) (*ir.Patch, error) { return bypass(m, "remove Dropout", inactiveDropout) },
	}
}

// inactiveDropout reports a Dropout whose mask nobody uses and whose training
// mode is off: not given, or constant false.
func inactiveDropout(x *ir.Index, n *ir.Node) bool {
	if !isOp(n, "Dropout") {
		return false
	}
	if mask := n.Output(1); mask != "" && (x.IsOutput(mask) || len(x.Consumers(mask)) > 0) {
		return false
	}
	mode := n.Input(2)
	if mode == "" {
		return true
	}
	t := x.Init(mode)
	return t != nil && t.DType == ir.Bool && len(t.Raw) == 1 && t.Raw[0] == 0
}

// bypass removes nodes whose first output equals their first input. A node that
// makes a graph output passes its name on to the value it copies; it stays when
// that value is an input, an initialiser or itself an output.
func bypass(m *ir.Model, title string, match func(*ir.Index, *ir.Node) bool) (*ir.Patch, error) {
	x := ir.NewIndex(m.Graph)
	p := ir.NewPatch(m.Graph, title)
	root := map[string]string{}
	for _, n := range m.Graph.Nodes {
		in, out := n.Input(0), n.Output(0)
		if in == "" || out == "" || x.IsOutput(out) || !match(x, n) {
			continue
		}
		if r, ok := root[in]; ok {
			in = r
		}
		root[out] = in
		p.Remove(n)
		p.Rewire(out, in)
	}
	if !p.Empty() {
		return p, nil
	}
	for _, n := range m.Graph.Nodes {
		in, out := n.Input(0), n.Output(0)
		if in == "" || out == "" || !match(x, n) || x.Producer(in) == nil || x.IsOutput(in) {
			continue
		}
		p.Remove(n)
		p.Rename(in, out)
		return p, nil
	}
	return p, nil
}
