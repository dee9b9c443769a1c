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

// Peak returns the most bytes of values, neither inputs, constants nor outputs, that
// are live at a time when the nodes run in order and nothing is fused or overwritten.
func Peak(p *prim.Program) int {
	root, last := roots(p), LastUse(p)
	end := make([]int, len(p.Nodes)) // of roots
	for i := range p.Nodes {
		end[root[i]] = max(end[root[i]], last[i])
	}
	dying := make([]int, len(p.Nodes)) // bytes after a node
	live, peak := 0, 0
	for i, n := range p.Nodes {
		_, constant := n.Prim.(prim.Const)
		if n.Prim != nil && !constant && int(root[i]) == i && end[i] < len(p.Nodes) {
			live += n.Type.Bytes()
			dying[end[i]] += n.Type.Bytes()
		}
		peak = max(peak, live)
		live -= dying[i]
	}
	return peak
}

// roots returns, for every node, the node whose storage it reads.
func roots(p *prim.Program) []prim.ID {
	out := make([]prim.ID, len(p.Nodes))
	for i, n := range p.Nodes {
		if out[i] = prim.ID(i); isAlias(n.Prim) {
			out[i] = out[n.In[0]]
		}
	}
	return out
}

// isAlias reports whether a node only passes its first operand.
func isAlias(p prim.Prim) bool {
	switch p.(type) {
	case prim.Reshape, prim.StopGrad, prim.Barrier:
		return true
	}
	return false
}
