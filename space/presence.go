package space

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
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
		if slices.ContainsFunc(out.ways, func(o []int) bool { return within(o, w) }) {
			continue
		}
		out.ways = append(slices.DeleteFunc(out.ways, func(o []int) bool { return within(w, o) }), w)
	}
	if len(out.ways) > maxWays {
		return need{always: true}
	}
	return out
}

// within reports whether b has all of a.
func within(a, b []int) bool {
	return !slices.ContainsFunc(a, func(d int) bool { return !slices.Contains(b, d) })
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

// reads says under which gates values are read by the nodes that a walk has come through.
type reads struct {
	stays need            // the node that the walk is at stays in the model
	needs map[string]need // by any node
	holds map[string]need // by a node that reads elements: one that computes sizes alone does not
}

// walk goes through the nodes from last to first. A residual node whose branch is skipped
// hands the reading of its output to the shortcut.
func (s *Supernet) walk(visit func(i int, r *reads)) {
	gates := map[string]int{} // label of the residual node → dim
	for d, e := range s.Effects {
		if e.Gate != nil {
			gates[e.Gate.Node] = d
		}
	}
	g := s.An.Model.Graph
	r := &reads{needs: map[string]need{}, holds: map[string]need{}}
	for _, v := range g.Outputs {
		r.needs[v.Name], r.holds[v.Name] = need{always: true}, need{always: true}
	}
	for i, n := range slices.Backward(g.Nodes) {
		var of, held need
		for _, o := range n.Outputs {
			if o != "" {
				of, held = of.or(r.needs[o]), held.or(r.holds[o])
			}
		}
		if of.never() { // nothing reads it in the source either, so nothing takes it away
			of.always = true
		}
		r.stays = of
		d, gated := gates[n.Label()]
		var gate *Gate
		if gated {
			gate = s.Effects[d].Gate
		}
		if gated && !gate.Stays {
			r.stays = of.and(d)
		}
		sizes := computesSizes(s.An.Facts, n)
		for _, v := range ir.Uses(n) {
			in := r.stays
			switch {
			case gated && gate.Stays && v == gate.Branch:
				in = of.and(d) // else there are zeros in its place
			case gated && !gate.Stays && v == gate.Shortcut:
				in = of
				r.holds[v] = r.holds[v].or(held)
			}
			r.needs[v] = r.needs[v].or(in)
			if !sizes {
				r.holds[v] = r.holds[v].or(r.stays)
			}
		}
		visit(i, r)
	}
}

// computesSizes reports whether all that a node gives are integers that are known
// beforehand: sizes, and what is computed from them.
func computesSizes(f *ops.Facts, n *ir.Node) bool {
	return !slices.ContainsFunc(n.Outputs, func(o string) bool {
		x := f.Values[o]
		return o != "" && !(x.Type.Elem.IsInt() && x.Const != nil)
	})
}
