package ops

import (
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// CacheAxes returns the axes of graph inputs and outputs that hold the heads of cached keys
// and values: they may be cut, and whoever keeps the cache keeps a smaller one. A cache is
//
//   - a graph input of rank 4 or more that a Concat extends along the sequence into a graph
//     output, or that an attention node reads and gives back as another of its outputs;
//   - a graph output of rank 4 named "present…" or "past…" (models that only begin a cache).
func CacheAxes(g *ir.Graph, f *Facts) map[string][]int {
	out := map[string][]int{}
	inputs, results := map[string]bool{}, map[string]bool{}
	for _, v := range g.Inputs {
		inputs[v.Name] = g.Init(v.Name) == nil
	}
	for _, v := range g.Outputs {
		results[v.Name] = true
	}
	rank := func(v string) int { return f.Values[v].Type.Rank() }
	cached := func(v string) bool { return rank(v) >= 4 && f.Values[v].Type.Elem.IsFloat() }
	for _, n := range g.Nodes {
		op, s := Lookup(n.Domain, n.OpType), f.Sites[n]
		if op == nil || s == nil {
			continue
		}
		switch {
		case op.Heads:
			for i, v := range n.Inputs {
				if slices.Contains(op.Caches, i) && inputs[v] && cached(v) {
					out[v] = []int{rank(v) - 3}
				}
			}
			for k, v := range n.Outputs {
				if k > 0 && k <= len(op.Caches) && results[v] && cached(v) {
					out[v] = []int{rank(v) - 3}
				}
			}
		case n.OpType == "Concat" && n.Domain == "" && results[n.Output(0)] && cached(n.Output(0)):
			axis, err := concatAxis(s)
			if err != nil {
				continue
			}
			for _, v := range n.Inputs {
				if !inputs[v] {
					continue
				}
				for a := 1; a < rank(v)-1; a++ {
					if a != axis {
						out[v] = append(out[v], a)
					}
				}
				out[n.Output(0)] = out[v]
			}
		}
	}
	for v := range results {
		name := strings.ToLower(v)
		if out[v] == nil && cached(v) && rank(v) == 4 && slices.ContainsFunc([]string{"present", "past"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			out[v] = []int{1, 2}
		}
	}
	return out
}
