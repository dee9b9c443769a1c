package prim

import (
	"fmt"
	"strings"
)

// Faults are what is wrong with a program, each with the address of its node, input or output.
type Faults []string

// Error lists the first twenty.
func (f Faults) Error() string {
	list, tail := f, ""
	if len(list) > 20 {
		list, tail = list[:20], fmt.Sprintf("; and %d more", len(f)-20)
	}
	return "prim: " + strings.Join(list, "; ") + tail
}

func (f *Faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// Validate returns nil or Faults with all that is wrong: nodes read earlier nodes only,
// attributes fit the operands, every type is the one that the primitive gives, inputs
// are nodes of their own, outputs are nodes, and names are unique.
func (p *Program) Validate() error {
	var f Faults
	for i, n := range p.Nodes {
		p.checkNode(&f, i, n)
	}
	names, fed := map[string]bool{}, map[ID]bool{}
	for _, in := range p.Inputs {
		switch {
		case in.ID < 0 || int(in.ID) >= len(p.Nodes) || p.Nodes[in.ID].Prim != nil || fed[in.ID]:
			f.add("input %q: want an input node of its own, got %d", in.Name, in.ID)
		case names[in.Name]:
			f.add("input %q: declared twice", in.Name)
		case in.Batch && len(p.Nodes[in.ID].Type.Shape) == 0:
			f.add("input %q: batch: want rank 1 or more, got %s", in.Name, p.Nodes[in.ID].Type)
		}
		names[in.Name], fed[in.ID] = true, true
	}
	for i, n := range p.Nodes {
		if n.Prim == nil && !fed[ID(i)] {
			f.add("node %d: want a primitive or a declared input", i)
		}
	}
	clear(names)
	for _, o := range p.Outputs {
		if o.ID < 0 || int(o.ID) >= len(p.Nodes) {
			f.add("output %q: want a node, got %d", o.Name, o.ID)
		}
		if names[o.Name] {
			f.add("output %q: declared twice", o.Name)
		}
		names[o.Name] = true
	}
	if len(f) == 0 {
		return nil
	}
	return f
}

func (p *Program) checkNode(f *Faults, i int, n Node) {
	if n.Type.DType > BF16 {
		f.add("node %d: want a dtype, got %s", i, n.Type)
		return
	}
	if n.Prim == nil {
		if err := n.Type.Check(); err != nil {
			f.add("node %d: %v", i, err)
		}
		if len(n.In) > 0 {
			f.add("node %d: want an input without operands, got %d", i, len(n.In))
		}
		return
	}
	in := make([]Type, len(n.In))
	sound := true // the operands can be judged
	for k, id := range n.In {
		if id < 0 || int(id) >= i {
			f.add("node %d (%s): operand %d: want an earlier node, got %d", i, n.Prim.Name(), k, id)
			sound = false
			continue
		}
		in[k] = p.Nodes[id].Type
		sound = sound && in[k].DType <= BF16 && in[k].Check() == nil
	}
	if !sound {
		return
	}
	if t, err := infer(n.Prim, in); err != nil {
		f.add("node %d: %v", i, err)
	} else if !t.Equal(n.Type) {
		f.add("node %d (%s): want type %s, got %s", i, n.Prim.Name(), t, n.Type)
	}
}
