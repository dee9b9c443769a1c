package net

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ops"
)

// lesson is one value that a network can learn from a teacher.
type lesson struct {
	output string // what is compared: a graph output, of a classifier its logits
	value  string // what the loss is taken on: output, or the logits behind it
	logits bool   // value holds logits of classes on its last axis
}

// lessons lists the logits of a classifier, of other models every float output.
func (n *Network) lessons() []lesson {
	if n.Classes > 0 {
		return []lesson{{n.Logits, n.Logits, true}}
	}
	behind := n.distributions()
	var out []lesson
	for _, v := range n.Model.Graph.Outputs {
		if !n.Facts.Values[v.Name].Type.Elem.IsFloat() {
			continue
		}
		if z := behind[v.Name]; z != "" {
			out = append(out, lesson{v.Name, z, true})
		} else {
			out = append(out, lesson{v.Name, v.Name, false})
		}
	}
	return out
}

// distributions maps every value that holds probabilities along its last axis to
// the logits behind it.
func (n *Network) distributions() map[string]string {
	out := map[string]string{}
	for _, x := range n.Model.Graph.Nodes {
		op, s := ops.Lookup(x.Domain, x.OpType), n.Facts.Sites[x]
		if op == nil || op.Probability == nil || s == nil {
			continue
		}
		if axes, err := op.Probability(s); err == nil && len(axes) == 1 && axes[0] > 0 && axes[0] == s.Input(0).Type.Rank()-1 {
			out[x.Output(0)] = x.Input(0)
		}
	}
	return out
}

// divergence returns T² · KL(teacher ‖ student) of logits along the last axis, at
// temperature T, as a mean over rows; rank 0.
func divergence(b *prim.Builder, teacher, student prim.ID, temperature float64) prim.ID {
	t := b.Type(student)
	rows := float64(t.Len() / t.Shape[len(t.Shape)-1])
	lt := logSoftmax(b, b.Scale(teacher, 1/temperature))
	ls := logSoftmax(b, b.Scale(student, 1/temperature))
	kl := prim.Op(prim.Mul, prim.Op(prim.Exp, prim.A(0)), prim.Op(prim.Sub, prim.A(0), prim.A(1)))
	return b.Scale(scalarMean(b, rows, kl, lt, ls), temperature*temperature)
}
