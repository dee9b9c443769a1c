package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

// SizeRead says that a node computes with the size of an axis as a number, so that
// cutting the axis would change more than the positions that go.
type SizeRead struct {
	Value string
	Axis  int
	Node  *ir.Node
}

// arithmetics lists the operators that compute with the numbers of all their inputs.
var arithmetics = []string{"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "Mod"}

// SizeReads finds where sizes that Shape or Size take meet computed numbers, such as
// a sum divided by the size of its axis, or are outputs. Sizes that only shape values are no
// reads.
func SizeReads(g *ir.Graph, f *Facts) []SizeRead {
	from := map[string][][]place{} // per element of a value known from sizes: the axes behind it
	var out []SizeRead
	for _, n := range g.Nodes {
		s := f.Sites[n]
		if s.Rules() == nil || n.Domain != "" || len(s.Out) == 0 {
			continue
		}
		elems := sizesBehind(s, from)
		if elems == nil {
			continue
		}
		if s.Out[0].Const != nil {
			from[n.Output(0)] = elems
			for k := 1; k < len(s.Out); k++ {
				from[n.Output(k)] = repeatUnion(elems, s.Out[k])
			}
			continue
		}
		if !slices.Contains(arithmetics, n.OpType) {
			continue
		}
		for _, p := range union(elems) {
			out = append(out, SizeRead{p.value, p.axis, n})
		}
	}
	for _, v := range g.Outputs {
		elems := from[v.Name]
		if elems == nil {
			continue
		}
		at := slices.IndexFunc(g.Nodes, func(n *ir.Node) bool { return slices.Contains(n.Outputs, v.Name) })
		for _, p := range union(elems) {
			out = append(out, SizeRead{p.value, p.axis, g.Nodes[at]})
		}
	}
	return out
}

// sizesBehind returns, per element of output 0, the axes whose sizes it is computed from;
// nil when there are none or they only shape the output.
func sizesBehind(s *Site, from map[string][][]place) [][]place {
	n := s.Node
	switch n.OpType {
	case "Shape":
		if s.Out[0].Const == nil {
			return nil
		}
		var out [][]place
		start := n.Int("start", 0)
		if start < 0 {
			start += s.In[0].Type.Rank()
		}
		for i := range s.Out[0].Const.Len() {
			out = append(out, []place{{n.Input(0), max(start, 0) + i}})
		}
		return out
	case "Size":
		var all []place
		for i := range s.In[0].Type.Rank() {
			all = append(all, place{n.Input(0), i})
		}
		return [][]place{all}
	case "ConstantOfShape", "Expand", "Reshape", "Tile", "Range", "Resize", "Upsample", "Pad":
		// Their last inputs are sizes; the first one's numbers pass on.
		if from[n.Input(0)] == nil || n.OpType == "ConstantOfShape" {
			return nil
		}
		return repeatUnion(from[n.Input(0)], s.Out[0])
	case "Split":
		if e := from[n.Input(0)]; e != nil {
			return repeatUnion(e, s.Out[0])
		}
	case "Gather":
		if e := from[n.Input(0)]; e != nil {
			if index := gatherIndex(s, 0); index != nil && s.In[0].Type.Rank() == 1 {
				var out [][]place
				for _, i := range index {
					out = append(out, e[i])
				}
				return out
			}
		}
	case "Slice":
		if e := from[n.Input(0)]; e != nil && s.In[0].Type.Rank() == 1 {
			if sel, err := selections(s); err == nil && len(sel) == 1 && sel[0].n >= 0 {
				var out [][]place
				for i := range sel[0].n {
					out = append(out, e[sel[0].start+i*sel[0].step])
				}
				return out
			}
		}
	case "Concat":
		var out [][]place
		found := false
		for i, v := range n.Inputs {
			if s.In[i].Type.Rank() != 1 || !s.In[i].Type.Static() {
				found = false
				break
			}
			part := from[v]
			if found = found || part != nil; part == nil {
				part = make([][]place, s.In[i].Shape()[0])
			}
			out = append(out, part...)
		}
		if found {
			return out
		}
	}
	var tainted [][]place
	for _, v := range n.Inputs {
		if e := from[v]; e != nil {
			if tainted == nil {
				tainted = e
			} else {
				tainted = [][]place{append(union(tainted), union(e)...)}
			}
		}
	}
	if tainted == nil {
		return nil
	}
	if s.Out[0].Const == nil || s.Out[0].Const.Len() == len(tainted) {
		return tainted
	}
	return repeatUnion(tainted, s.Out[0])
}

// repeatUnion gives every element of a known value all axes of the elements.
func repeatUnion(elems [][]place, f Fact) [][]place {
	n := 1
	if f.Const != nil {
		n = f.Const.Len()
	}
	return slices.Repeat([][]place{union(elems)}, n)
}

func union(elems [][]place) []place {
	var out []place
	for _, e := range elems {
		for _, p := range e {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
