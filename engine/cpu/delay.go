package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// smallValue is the size up to which a Map is moved behind what does not wait for it.
const smallValue = 4096

// delay moves Maps and aliases of small values to where they are first needed, so that folds that
// do not wait for each other stand next to each other.
func delay(p *prim.Program) *prim.Program {
	q := &prim.Program{Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	to := make([]prim.ID, len(p.Nodes))
	for i := range to {
		to[i] = prim.Invalid
	}
	small := func(id prim.ID) bool { return p.Nodes[id].Type.Len() <= smallValue }
	var add func(i int)
	add = func(i int) {
		if to[i] != prim.Invalid {
			return
		}
		n := p.Nodes[i]
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			add(int(id))
			in[k] = to[id]
		}
		n.In = in
		to[i] = prim.ID(len(q.Nodes))
		q.Nodes = append(q.Nodes, n)
	}
	var late []int
	for i, n := range p.Nodes {
		if _, ok := n.Prim.(prim.Map); (ok || n.Prim != nil && isAlias(n.Prim)) && small(prim.ID(i)) && !slices.ContainsFunc(n.In, func(id prim.ID) bool { return !small(id) }) {
			late = append(late, i)
			continue
		}
		add(i)
	}
	for _, i := range late {
		add(i)
	}
	q.Rename(to)
	return q
}
