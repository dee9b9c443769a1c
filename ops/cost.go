package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// ModelPrice is what a model costs at the facts' shapes, for the whole bound batch.
type ModelPrice struct {
	MACs   float64
	Params int // elements of the floating initialisers that live nodes read, each counted once, running statistics left out
	Bytes  int // storage of all of them in the model's own element types
	Nodes  []NodePrice
}

// NodePrice is one live node's share, in graph order. Params and Bytes count
// initialisers at the first node that reads them.
type NodePrice struct {
	Node   *ir.Node
	MACs   float64
	Params int
	Bytes  int
}

// ModelCost prices every node that graph outputs depend on. Nodes whose sizes
// are not all known count no MACs.
func ModelCost(m *ir.Model, f *Facts) ModelPrice {
	live := liveNodes(m.Graph, f, true)
	inits := map[string]*ir.Tensor{}
	for _, t := range m.Graph.Inits {
		if t.DType.IsFloat() {
			inits[t.Name] = t
		}
	}
	var total ModelPrice
	for _, n := range m.Graph.Nodes {
		if !live[n] {
			continue
		}
		p := NodePrice{Node: n}
		s := f.Sites[n]
		p.MACs = s.Price().MACs
		var state []int
		if op := usable(n, s.Opset); op != nil {
			state = op.State
		}
		for i, name := range n.Inputs {
			if t := inits[name]; t != nil {
				p.count(t)
				if slices.Contains(state, i) {
					p.Params -= t.Len()
				}
				delete(inits, name)
			}
		}
		for _, name := range ir.Uses(n) { // what is left are captures of subgraphs
			if t := inits[name]; t != nil {
				p.count(t)
				delete(inits, name)
			}
		}
		for _, g := range ir.Subgraphs(n) {
			ir.WalkGraphs(g, func(g *ir.Graph) {
				for _, t := range g.Inits {
					if t.DType.IsFloat() {
						p.count(t)
					}
				}
			})
		}
		total.MACs += p.MACs
		total.Params += p.Params
		total.Bytes += p.Bytes
		total.Nodes = append(total.Nodes, p)
	}
	return total
}

// count adds a weight.
func (p *NodePrice) count(t *ir.Tensor) {
	p.Params += t.Len()
	p.Bytes += (t.Len()*t.DType.Bits() + 7) / 8
}

// Price is the node's cost; zero where no rule holds or a size is unknown.
func (s *Site) Price() Cost {
	if op := s.Rules(); op != nil && op.Cost != nil && s.static() {
		return op.Cost(s)
	}
	return Cost{}
}

// static reports whether the sizes of all present inputs and outputs are known.
func (s *Site) static() bool {
	for i, name := range s.Node.Inputs {
		if name != "" && !s.In[i].Type.Static() {
			return false
		}
	}
	for k, name := range s.Node.Outputs {
		if name != "" && !s.Out[k].Type.Static() {
			return false
		}
	}
	return true
}
