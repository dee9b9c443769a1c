package mutate

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

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
