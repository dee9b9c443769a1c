package net

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// reshapes are operators that move elements about without changing any.
var reshapes = []string{"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}

// maker finds the operator that says what the output is, behind those that only move its
// elements: "" for none. Behind is what it took, axis the classes' in it.
func (r reader) maker() (k measure.Kind, behind string, axis int) {
	by := map[string]*ir.Node{}
	for _, n := range r.m.Graph.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				by[o] = n
			}
		}
	}
	moved := false
	for at := r.output; ; {
		n := by[at]
		if n == nil {
			return "", "", 0
		}
		op := ops.Lookup(n.Domain, n.OpType)
		switch {
		case op == nil:
			return "", "", 0
		case n.Domain == "" && slices.Contains(reshapes, n.OpType):
			moved = moved || n.OpType != "Identity"
			at = n.Input(0)
			continue
		case n.Domain == "" && n.OpType == "Sigmoid":
			return measure.Sigmoid, n.Input(0), 0
		case moved && !slices.Equal(packed(r.f.Values[at].Shape()), packed(r.shape)):
			return "", "", 0
		case op.Probability != nil:
			a, ok := r.along(op, n)
			if !ok || moved {
				return "", "", 0
			}
			return measure.Probabilities, n.Input(0), a
		case n.Domain == "" && n.OpType == "LogSoftmax":
			a := int(n.Int("axis", -1))
			if a < 0 {
				a += len(r.shape)
			}
			if moved || a < 1 || a >= len(r.shape) || r.shape[a] < 2 {
				return "", "", 0
			}
			return measure.Logits, at, a
		case r.normalised(n, by) && r.shape[len(r.shape)-1] > 1:
			return measure.Embedding, at, len(r.shape) - 1
		}
		return "", "", 0
	}
}

// along returns the axis of an operator's distributions; false where there are several, or
// classes of one.
func (r reader) along(op *ops.Op, n *ir.Node) (int, bool) {
	s := r.f.Sites[n]
	if s == nil { // what it takes is as what it makes
		s = &ops.Site{Node: n, Opset: int(r.m.Opset(n.Domain)), In: []ops.Fact{r.f.Values[n.Output(0)]}}
	}
	axes, err := op.Probability(s)
	if err != nil || !s.In[0].Type.Ranked {
		return 0, false
	}
	shape := s.In[0].Shape()
	axes = slices.DeleteFunc(slices.Clone(axes), func(a int) bool { return shape[a] == 1 })
	if _, a, ok := r.fit(""); ok && slices.Contains(axes, a) {
		return a, true // over positions as well, they are the same up to a factor
	}
	return slices.Max(append(axes, 0)), len(axes) == 1 && axes[0] > 0
}

// normalised reports whether a node divides vectors along the last axis by their lengths.
func (r reader) normalised(n *ir.Node, by map[string]*ir.Node) bool {
	last := len(r.shape) - 1
	switch {
	case last < 1 || n.Domain != "":
		return false
	case n.OpType == "LpNormalization":
		a := int(n.Int("axis", -1))
		return a == -1 || a == last
	case n.OpType != "Div":
		return false
	}
	for at := n.Input(1); by[at] != nil; at = by[at].Input(0) {
		switch by[at].OpType {
		case "ReduceL2":
			shape := r.f.Values[at].Shape()
			return len(shape) == last+1 && shape[last] == 1 && r.f.Values[by[at].Input(0)].Shape()[last] > 1
		case "Clip", "Max", "Expand", "Add", "Sqrt":
		case "ReduceSum":
			return true
		default:
			return false
		}
	}
	return false
}
