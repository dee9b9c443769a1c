package engine

import "github.com/entangle-nas/entangle/engine/prim"

// LastUse returns, for every node, the index of the last node that reads it:
// len(p.Nodes) for outputs, its own index where nothing reads it.
func LastUse(p *prim.Program) []int {
	last := make([]int, len(p.Nodes))
	for i, n := range p.Nodes {
		last[i] = i
		for _, in := range n.In {
			last[in] = i
		}
	}
	for _, o := range p.Outputs {
		last[o.ID] = len(p.Nodes)
	}
	return last
}
