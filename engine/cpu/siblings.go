package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// maxSiblings bounds the folds of one pass.
const maxSiblings = 6

// siblings finds Reduces over the same axes of the same domain that read a common
// operand and do not wait for each other: they run in one pass, when the last of
// them is due. It returns the groups of two and more by their last node.
func siblings(p *prim.Program, live []bool, kernels []kernel) map[int][]int {
	type group struct {
		nodes []int
		reads map[prim.ID]bool
	}
	open := map[string]*group{}
	member := make([]string, len(p.Nodes)) // key of the open group whose result a node reads or is
	out := map[int][]int{}
	closeGroup := func(key string) {
		if g := open[key]; g != nil && len(g.nodes) > 1 {
			out[g.nodes[len(g.nodes)-1]] = g.nodes
		}
		delete(open, key)
	}
	var keys []string
	for i, n := range p.Nodes {
		if !live[i] || n.Prim == nil {
			continue
		}
		for _, in := range n.In {
			if key := member[in]; key != "" {
				if isAlias(n.Prim) {
					member[i] = key
					continue
				}
				if g := open[key]; g != nil && slices.Contains(g.nodes, rootOf(p, in)) {
					closeGroup(key)
				}
			}
		}
		r, ok := n.Prim.(prim.Reduce)
		if !ok || !kernels[i].folds {
			continue
		}
		key := domainKey(r)
		full := map[prim.ID]bool{}
		for _, in := range n.In {
			if slices.Equal(p.Nodes[in].Type.Shape, r.Shape) {
				full[in] = true
			}
		}
		g := open[key]
		shares := false
		if g != nil {
			for id := range full {
				shares = shares || g.reads[id]
			}
		}
		if g == nil || !shares || len(g.nodes) == maxSiblings {
			closeGroup(key)
			g = &group{reads: map[prim.ID]bool{}}
			open[key] = g
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		g.nodes = append(g.nodes, i)
		member[i] = key
		for id := range full {
			g.reads[id] = true
		}
	}
	for _, key := range keys {
		closeGroup(key)
	}
	return out
}

func rootOf(p *prim.Program, id prim.ID) int {
	for p.Nodes[id].Prim != nil && isAlias(p.Nodes[id].Prim) {
		id = p.Nodes[id].In[0]
	}
	return int(id)
}

func domainKey(r prim.Reduce) string {
	var b []byte
	for _, l := range [][]int{r.Axes, r.Shape} {
		for _, n := range l {
			b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		}
		b = append(b, '|', '|', '|', '|')
	}
	return string(b)
}

// joinFolds makes one step of sibling Reduces; its inputs are the distinct operands.
func joinFolds(p *prim.Program, nodes []int, kernels []kernel) step {
	s := step{node: nodes[len(nodes)-1], outs: nodes}
	var folds []prim.Reduce
	var args [][]int
	var types []prim.Type
	for _, i := range nodes {
		n := p.Nodes[i]
		var a []int
		for _, in := range n.In {
			k := slices.Index(s.in, int(in))
			if k < 0 {
				k = len(s.in)
				s.in = append(s.in, int(in))
				types = append(types, p.Nodes[in].Type)
				s.bytes += float64(p.Nodes[in].Type.Bytes())
			}
			a = append(a, k)
		}
		folds, args = append(folds, n.Prim.(prim.Reduce)), append(args, a)
		s.flops += kernels[i].flops
		s.bytes += float64(n.Type.Bytes())
	}
	g := newReduction(folds, args, types)
	s.name = "reduce together " + kernels[s.node].name
	s.run = func(x *executable, _ view, in []view) error {
		outs := make([][]float32, len(nodes))
		for f, i := range nodes {
			outs[f] = x.views[i].f32()
		}
		g.run(x, outs, in)
		return nil
	}
	return s
}
