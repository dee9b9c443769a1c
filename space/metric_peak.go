package space

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Peak names the metric of working memory.
const Peak = "peak"

// peakMetric sums what is held while each node runs and takes the largest sum. A value is
// held from the node that makes it to the last one that reads it; a graph input from the
// start, a graph output to the end.
var peakMetric = Metric{
	Name:  Peak,
	Title: "peak bytes",
	Unit:  "bytes",
	Doc: "most bytes of graph inputs and computed values held at once, nodes run one after the other in the file's order for one sample; " +
		"weights and values of unknown size count 0, and sizes that the graph computes neither count nor hold what they are read off; expected: a lower bound, the largest of the nodes' expected bytes",
	Sums: func(s *Supernet) ([][]*Piece, error) {
		each, err := sampleBytes(s.An)
		if err != nil {
			return nil, err
		}
		h := newHolder(s, each)
		var sums [][]*Piece
		s.walk(func(i int, r *reads) { sums = append(sums, h.moment(i, r)) })
		return sums, nil
	},
}

// holder goes through a supernet's nodes from last to first and tells what is held
// while each of them runs.
type holder struct {
	net    *Supernet
	each   map[string]float64
	alias  map[string][]alias // shortcut → outputs that are it by another name when branches are skipped
	held   []string           // values that the nodes from here on read, or that leave the graph
	pieces map[string]*Piece  // by value and presence
}

// alias is the output of a residual node.
type alias struct {
	output string
	gates  []int // all of which are closed
	node   int   // index in the graph
}

func newHolder(s *Supernet, each map[string]float64) *holder {
	h := &holder{net: s, each: each, alias: map[string][]alias{}, pieces: map[string]*Piece{}}
	g := s.An.Model.Graph
	results := map[string]bool{}
	for _, v := range g.Outputs {
		results[v.Name] = true
		h.hold(v.Name)
	}
	for k, gate := range s.gates {
		if gate.Stays || gate.Zeros != "" {
			continue
		}
		closed := []int{k}
		for z, other := range s.gates {
			if other.Zeros != "" && other.Node == gate.Node {
				closed = append(closed, z)
			}
		}
		i := slices.IndexFunc(g.Nodes, func(n *ir.Node) bool { return n.Label() == gate.Node })
		// A graph output keeps its name: it becomes a copy of the shortcut.
		if out := g.Nodes[i].Output(0); !results[out] {
			h.alias[gate.Shortcut] = append(h.alias[gate.Shortcut], alias{out, closed, i})
		}
	}
	return h
}

func (h *holder) hold(value string) {
	if h.each[value] > 0 && !slices.Contains(h.held, value) {
		h.held = append(h.held, value)
	}
}

// moment lists what is held while node i runs. Where the node is skipped, that is no more
// than what is held before or after it.
func (h *holder) moment(i int, r *reads) []*Piece {
	n := h.net.An.Model.Graph.Nodes[i]
	for _, v := range ir.Uses(n) {
		if !r.holds[v].never() {
			h.hold(v)
		}
	}
	for _, g := range h.net.gates {
		if g.Node == n.Label() && g.Zeros != "" {
			h.hold(g.Zeros)
		}
	}
	for _, o := range n.Outputs {
		h.hold(o)
	}
	residual := slices.ContainsFunc(h.net.gates, func(g gateOf) bool { return !g.Stays && g.Node == n.Label() })
	var out []*Piece
	for _, v := range h.held {
		when := presence{need: r.holds[v]}
		if slices.Contains(n.Outputs, v) && !residual {
			when.need = r.stays // it is written even if nothing reads it any more
		}
		when.mergers = h.mergers(v, i, nil, r.holds)
		key := fmt.Sprint(v, when)
		if h.pieces[key] == nil {
			p := elements(v, h.each[v])
			p.when = &when
			h.pieces[key] = p
		}
		out = append(out, h.pieces[key])
	}
	h.held = slices.DeleteFunc(h.held, func(v string) bool { return slices.Contains(n.Outputs, v) })
	return out
}

// mergers lists what a value is another name of while node i runs, closed being the gates
// on the way to it.
func (h *holder) mergers(value string, i int, closed []int, holds map[string]need) []merger {
	var out []merger
	for _, a := range h.alias[value] {
		if a.node > i {
			continue
		}
		on := slices.Concat(closed, a.gates)
		if held := holds[a.output]; !held.never() {
			out = append(out, merger{on, held})
		}
		out = append(out, h.mergers(a.output, i, on, holds)...)
	}
	return out
}

// sampleBytes gives the bytes that one element of each value at the bound batch stands
// for when one sample runs; values that count nothing are left out.
func sampleBytes(an *Analysis) (map[string]float64, error) {
	one := an.Facts
	if an.Batch > 1 {
		var err error
		if one, err = oneSample(an); err != nil {
			return nil, fmt.Errorf("sizes at one sample: %w", err)
		}
	}
	values := map[string]bool{}
	for _, v := range an.Model.Graph.Inputs {
		values[v.Name] = true
	}
	for _, n := range an.Model.Graph.Nodes {
		for _, o := range n.Outputs {
			values[o] = true
		}
	}
	out := map[string]float64{}
	for v := range values {
		f := an.Facts.Values[v]
		if f.Weight || !f.Type.Static() || !one.Values[v].Type.Static() || f.Type.Elem.IsInt() && f.Const != nil {
			continue
		}
		if whole := ir.Prod(f.Shape()); whole > 0 {
			out[v] = float64(ir.Prod(one.Values[v].Shape())) / float64(whole) * float64(f.Type.Elem.Bits()) / 8
		}
	}
	return out, nil
}

// oneSample infers the model with 1 for the size that the first input leaves open in front.
func oneSample(an *Analysis) (*ops.Facts, error) {
	m, g, bind := *an.Model, *an.Model.Graph, maps.Clone(an.Facts.Bind)
	m.Graph, g.Inputs = &g, slices.Clone(g.Inputs)
	first := slices.IndexFunc(g.Inputs, func(v ir.Value) bool { return g.Init(v.Name) == nil && len(v.Type.Shape) > 0 })
	if name := g.Inputs[first].Type.Shape[0].Param; name != "" {
		bind[name] = 1
		return ops.InferModel(&m, bind)
	}
	for i, v := range g.Inputs {
		if len(v.Type.Shape) > 0 && !v.Type.Shape[0].Known() && v.Type.Shape[0].Param == "" {
			g.Inputs[i].Type = v.Type.Clone()
			g.Inputs[i].Type.Shape[0].Size = 1
		}
	}
	return ops.InferModel(&m, bind)
}
