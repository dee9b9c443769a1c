package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// hostFolds finds the folds over the results of convolutions that can be computed on
// their parts while they are in the caches: those over all axes but that of the channels
// that read the result before anything else does. The convolution runs when the last of
// them is due; runsAt is changed accordingly. It returns convolutions by the last node
// of their folds, and the folds by convolution.
func hostFolds(p *prim.Program, live []bool, kernels []kernel, groups map[int][]int, runsAt []int) (hosts map[int]int, folds map[int][]int) {
	users := make([][]int, len(p.Nodes))
	for i, n := range p.Nodes {
		if live[i] {
			for k, id := range n.In {
				if !slices.Contains(n.In[:k], id) {
					users[id] = append(users[id], i)
				}
			}
		}
	}
	hosts, folds = map[int]int{}, map[int][]int{}
	for i, n := range p.Nodes {
		if !live[i] || kernels[i].host == nil {
			continue
		}
		var taken []int
		for _, u := range users[i] {
			if slices.Contains(taken, u) {
				continue
			}
			more := []int{u}
			if g := groups[runsAt[u]]; g != nil {
				more = g
			}
			if slices.ContainsFunc(more, func(f int) bool { return !foldsChannels(p, p.Nodes[f], n.Type) }) {
				break
			}
			last := slices.Max(append(slices.Clone(taken), more...))
			if !waits(users, append(slices.Clone(taken), more...), i, last, runsAt) {
				break
			}
			taken = append(taken, more...)
		}
		if len(taken) == 0 || len(taken) > maxSiblings {
			continue
		}
		slices.Sort(taken)
		last := taken[len(taken)-1]
		if _, used := hosts[last]; used {
			continue
		}
		for _, f := range taken {
			delete(groups, f)
			runsAt[f] = last
		}
		runsAt[i] = last
		hosts[last], folds[i] = i, taken
	}
	return hosts, folds
}

// waits reports whether nothing needs the results of convolution i or of its folds
// before node last, except the folds.
func waits(users [][]int, folds []int, i, last int, runsAt []int) bool {
	for _, f := range append(slices.Clone(folds), i) {
		for _, u := range users[f] {
			if !slices.Contains(folds, u) && runsAt[u] <= last {
				return false
			}
		}
	}
	return true
}

// foldsChannels reports whether node n folds planes of values of type t, its full
// operands, with others that are constant on a plane.
func foldsChannels(p *prim.Program, n prim.Node, t prim.Type) bool {
	if _, ok := n.Prim.(spread); ok {
		return true
	}
	r, ok := n.Prim.(prim.Reduce)
	if !ok || !overChannels(r) || !slices.Equal(r.Shape, t.Shape) {
		return false
	}
	for _, id := range n.In {
		s := p.Nodes[id].Type
		if s.DType != prim.F32 || len(s.Shape) != len(t.Shape) || !slices.Equal(s.Shape, t.Shape) && prim.Prod(s.Shape[2:]) != 1 {
			return false
		}
	}
	return true
}

// hostStep makes one step of a convolution and the folds over its result.
func hostStep(p *prim.Program, i int, nodes []int, kernels []kernel) step {
	n := p.Nodes[i]
	s := step{node: i, outs: nodes, kernel: kernels[i], bytes: float64(n.Type.Bytes())}
	for _, id := range n.In {
		s.in = append(s.in, int(id))
		s.bytes += float64(p.Nodes[id].Type.Bytes())
	}
	h := newHosted(p, i, nodes)
	for _, id := range h.in {
		if id != i && !slices.Contains(s.in, id) {
			s.bytes += float64(p.Nodes[id].Type.Bytes())
		}
	}
	for _, f := range nodes {
		s.flops += kernels[f].flops
	}
	host := s.host
	s.name += " and folds"
	s.pack = nil
	s.run = func(x *executable, out view, in []view) error {
		f := h.bind(x)
		if err := host(x, out, in, f); err != nil {
			return err
		}
		f.finish()
		return nil
	}
	return s
}
