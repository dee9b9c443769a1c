package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// need says under which gates something is needed: always, or when all gates of one of
// the ways are open. The zero need is never.
type need struct {
	always bool
	ways   [][]int // gates, by index of Supernet.gates, ascending
}

// maxWays bounds the alternatives of a need, rawWays those before it is simplified; what has more
// is taken to be needed always.
const (
	maxWays = 16
	rawWays = 256
)

func (n need) never() bool { return !n.always && len(n.ways) == 0 }

func (n need) holds(open func(gate int) bool) bool {
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
	return out.most(rawWays)
}

// most is the need, or always where it has more ways.
func (n need) most(ways int) need {
	if len(n.ways) > ways {
		return need{always: true}
	}
	return n
}

// within reports whether b has all of a.
func within(a, b []int) bool {
	return !slices.ContainsFunc(a, func(d int) bool { return !slices.Contains(b, d) })
}

// and is what is needed when the gate is open besides.
func (n need) and(gate int) need {
	if n.always {
		return need{ways: [][]int{{gate}}}
	}
	var out need
	for _, w := range n.ways {
		w = append(slices.Clone(w), gate)
		slices.Sort(w)
		out = out.or(need{ways: [][]int{slices.Compact(w)}})
	}
	return out
}

// gates lists the gates that the need hangs on, some more than once.
func (n need) gates() []int { return slices.Concat(n.ways...) }

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

func (p presence) holds(open func(gate int) bool) bool {
	return p.need.holds(open) && !slices.ContainsFunc(p.mergers, func(m merger) bool {
		return !slices.ContainsFunc(m.closed, open) && m.other.holds(open)
	})
}

func (p presence) gates() []int {
	out := p.need.gates()
	for _, m := range p.mergers {
		out = append(append(out, m.closed...), m.other.gates()...)
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
	gates := map[string][]int{} // label of the residual node → gates
	for k, x := range s.gates {
		gates[x.Node] = append(gates[x.Node], k)
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
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { _, read := r.needs[o]; return read }) {
			of.always = true // nothing reads it in the source either, so nothing takes it away
		}
		r.stays = of
		own := map[string]int{}        // branch → its gate
		shortcuts := map[string]bool{} // values that the output may be
		for _, k := range gates[n.Label()] {
			if v := s.gates[k].Zeros; v != "" { // they are made of it
				r.needs[v] = s.cover(r.needs[v].or(of.and(s.like(k))))
				r.holds[v] = s.cover(r.holds[v].or(of.and(s.like(k))))
				continue
			}
			own[s.gates[k].Branch] = k
			if !s.gates[k].Stays {
				shortcuts[s.gates[k].Shortcut] = true
				r.stays = s.cover(r.stays.and(s.like(k)))
			}
		}
		sizes := computesSizes(s.An.Facts, n)
		for _, v := range ir.Uses(n) {
			in, through := r.stays, held
			if shortcuts[v] {
				in = of
			}
			if k, gated := own[v]; gated {
				k = s.like(k)
				in, through = s.cover(of.and(k)), s.cover(held.and(k)) // else there are zeros in its place
			}
			if shortcuts[v] {
				r.holds[v] = s.cover(r.holds[v].or(through))
			}
			r.needs[v] = s.cover(r.needs[v].or(in))
			if !sizes {
				r.holds[v] = s.cover(r.holds[v].or(r.stays))
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

// cover simplifies a need by what one dim's gates have in common: a way needs no gate that
// another of the dim's implies, ways that differ in gates of one dim are one with a gate for
// any of their choices, or without it where these are all, and a way that another covers goes.
func (s *Supernet) cover(n need) need {
	if n.always {
		return n
	}
	if !s.alternatives {
		return n.most(maxWays)
	}
	var ways [][]int
	for _, w := range n.ways {
		if !s.excluded(w) {
			ways = append(ways, slices.DeleteFunc(slices.Clone(w), func(g int) bool {
				return slices.ContainsFunc(w, func(h int) bool { return h != g && s.implies(h, g) && (h < g || !s.implies(g, h)) })
			}))
		}
	}
	for changed := true; changed; {
		changed = false
		for i, w := range ways {
			for _, g := range w {
				rest := slices.DeleteFunc(slices.Clone(w), func(h int) bool { return h == g })
				open := slices.Clone(s.gates[g].Open)
				for _, u := range ways {
					for _, h := range u {
						if s.gates[h].dim == s.gates[g].dim && within(slices.DeleteFunc(slices.Clone(u), func(x int) bool { return x == h }), rest) {
							for c, o := range s.gates[h].Open {
								open[c] = open[c] || o
							}
						}
					}
				}
				if slices.Equal(open, s.gates[g].Open) {
					continue
				}
				if slices.Contains(open, false) {
					any, ok := s.any[openKey(s.gates[g].dim, open)]
					if !ok {
						continue
					}
					rest = append(rest, any)
					slices.Sort(rest)
				} else if len(rest) == 0 {
					return need{always: true}
				}
				ways[i], changed = rest, true
				break
			}
			if changed {
				break
			}
		}
		for i := 0; changed && i < len(ways); i++ {
			if slices.ContainsFunc(ways, func(o []int) bool { return &o[0] != &ways[i][0] && s.covers(o, ways[i]) }) {
				ways = slices.Delete(ways, i, i+1)
				i--
			}
		}
	}
	return need{ways: ways}.most(maxWays)
}

// covers reports whether way b holds only where a does.
func (s *Supernet) covers(a, b []int) bool {
	return !slices.ContainsFunc(a, func(g int) bool {
		return !slices.ContainsFunc(b, func(h int) bool { return h == g || s.implies(h, g) })
	})
}

// anyLimit bounds the different gates of a dim of which every union gets a number.
const anyLimit = 8

// unite gives numbers to what opens with any of several gates of one dim, behind those of the gates.
func (s *Supernet) unite() {
	s.any = map[string]int{}
	of := map[int][][]bool{} // dim → different openings
	for k, g := range s.gates {
		key := openKey(g.dim, g.Open)
		if _, ok := s.any[key]; !ok {
			s.any[key] = k
			of[g.dim] = append(of[g.dim], g.Open)
		}
	}
	for d := range s.Space.Dims {
		if len(of[d]) > anyLimit {
			continue
		}
		sets := slices.Clone(of[d])
		for i := 0; i < len(sets); i++ {
			for _, o := range of[d] {
				union := slices.Clone(sets[i])
				for c := range union {
					union[c] = union[c] || o[c]
				}
				key := openKey(d, union)
				if _, ok := s.any[key]; ok || !slices.Contains(union, false) {
					continue
				}
				s.any[key] = len(s.gates)
				s.gates = append(s.gates, gateOf{&Gate{Open: union, Edge: true, Inner: true, Stays: true}, d})
				sets = append(sets, union)
			}
		}
	}
}

func openKey(dim int, open []bool) string { return fmt.Sprint(dim, open) }

// like is the first gate that the same choices of the same dim open.
func (s *Supernet) like(k int) int { return s.any[openKey(s.gates[k].dim, s.gates[k].Open)] }

// excluded reports whether no choice of some dim opens all of its gates.
func (s *Supernet) excluded(way []int) bool {
	for i, g := range way {
		open := slices.Clone(s.gates[g].Open)
		for _, h := range way[i+1:] {
			if s.gates[h].dim != s.gates[g].dim {
				continue
			}
			for c, o := range s.gates[h].Open {
				open[c] = open[c] && o
			}
		}
		if !slices.Contains(open, true) {
			return true
		}
	}
	return false
}

// implies reports whether every choice that opens gate h opens g, of the same dim.
func (s *Supernet) implies(h, g int) bool {
	if s.gates[h].dim != s.gates[g].dim {
		return false
	}
	for c, o := range s.gates[h].Open {
		if o && !s.gates[g].Open[c] {
			return false
		}
	}
	return true
}
