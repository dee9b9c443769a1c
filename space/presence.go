package space

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// need says under which gates something is needed: always, or when all gates of one of
// the ways are open. The zero need is never.
type need struct {
	always bool
	ways   [][]int // dims, ascending
}

// maxWays bounds the alternatives of a need; what has more is taken to be needed always.
const maxWays = 16

func (n need) never() bool { return !n.always && len(n.ways) == 0 }

func (n need) holds(open func(d int) bool) bool {
	return n.always || slices.ContainsFunc(n.ways, func(way []int) bool {
		return !slices.ContainsFunc(way, func(d int) bool { return !open(d) })
	})
}

// or is what is needed under the one or the other.
func (n need) or(m need) need {
	if n.always || m.always {
		return need{always: true}
	}
	out := need{ways: slices.Clone(n.ways)}
	for _, w := range m.ways {
		if !slices.ContainsFunc(out.ways, func(o []int) bool { return slices.Equal(o, w) }) {
			out.ways = append(out.ways, w)
		}
	}
	if len(out.ways) > maxWays {
		return need{always: true}
	}
	return out
}

// and is what is needed when gate d is open besides.
func (n need) and(d int) need {
	if n.always {
		return need{ways: [][]int{{d}}}
	}
	var out need
	for _, w := range n.ways {
		w = append(slices.Clone(w), d)
		slices.Sort(w)
		out = out.or(need{ways: [][]int{slices.Compact(w)}})
	}
	return out
}

// dims lists the gates that the need hangs on, some more than once.
func (n need) dims() []int { return slices.Concat(n.ways...) }

// merger says when a value is another one by another name: when every gate between the
// two is closed and the other is needed.
type merger struct {
	closed []int
	other  need
}

// presence says when a subnet has a piece: when it is needed and not another by another name.
type presence struct {
	need
	mergers []merger
}

func (p presence) holds(open func(d int) bool) bool {
	return p.need.holds(open) && !slices.ContainsFunc(p.mergers, func(m merger) bool {
		return !slices.ContainsFunc(m.closed, open) && m.other.holds(open)
	})
}

func (p presence) dims() []int {
	out := p.need.dims()
	for _, m := range p.mergers {
		out = append(append(out, m.closed...), m.other.dims()...)
	}
	return out
}

// walk goes through the nodes from last to first. It tells of each under which gates it
// stays, and of all values under which gates this node or a later one reads them, where a
// residual node whose branch is skipped hands the reading of its output to the shortcut.
func (s *Supernet) walk(visit func(i int, stays need, needs map[string]need)) {
	gates := map[string]int{} // label of the residual node → dim
	for d, e := range s.Effects {
		if e.Gate != nil {
			gates[e.Gate.Node] = d
		}
	}
	g := s.An.Model.Graph
	needs := map[string]need{}
	for _, v := range g.Outputs {
		needs[v.Name] = need{always: true}
	}
	for i, n := range slices.Backward(g.Nodes) {
		var of need
		for _, o := range n.Outputs {
			if o != "" {
				of = of.or(needs[o])
			}
		}
		if of.never() { // nothing reads it in the source either, so nothing takes it away
			of.always = true
		}
		stays := of
		d, gated := gates[n.Label()]
		if gated {
			stays = of.and(d)
		}
		for _, v := range ir.Uses(n) {
			if gated && v == s.Effects[d].Gate.Branch {
				needs[v] = needs[v].or(stays)
			} else {
				needs[v] = needs[v].or(of)
			}
		}
		visit(i, stays, needs)
	}
}
