package net

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// Behind adds to settings what a tail's operators say of the tensors that they read and that no
// setting is for: a Softmax or an ArgMax reads logits along its axis, a Sigmoid those of each
// element.
func Behind(t *ops.Tail, set Settings) Settings {
	if t == nil {
		return set
	}
	out := slices.Clone(set)
	for _, v := range t.At {
		if out.of(v) != nil {
			continue
		}
		if x, ok := reading(t, v); ok {
			x.Output, x.Weight = v, 1
			out = append(out, x)
		}
	}
	return out
}

// reading is what the readers of a tensor say of it: of several the one that speaks of
// probabilities.
func reading(t *ops.Tail, v string) (found Setting, ok bool) {
	for _, n := range t.Nodes {
		if !slices.Contains(n.Inputs, v) || n.Domain != "" {
			continue
		}
		x, says := readBy(t, n, v)
		if says && (!ok || found.Reason == reasonArgMax) {
			found, ok = x, true
		}
	}
	return found, ok
}

const reasonArgMax = "an ArgMax reads it"

func readBy(t *ops.Tail, n *ir.Node, v string) (Setting, bool) {
	switch n.OpType {
	case "Identity":
		return reading(t, n.Output(0))
	case "Transpose":
		perm := n.Ints("perm", nil)
		x, ok := reading(t, n.Output(0))
		if !ok || len(perm) == 0 || x.Axis < -len(perm) || x.Axis >= len(perm) {
			return Setting{}, false
		}
		x.Axis = perm[(x.Axis+len(perm))%len(perm)]
		return x, true
	case "Softmax", "LogSoftmax", "Hardmax":
		if t.Head.Opset("") < 13 && n.Attr("axis") == nil {
			return Setting{}, false
		}
		return Setting{Kind: measure.Logits, Axis: int(n.Int("axis", -1)), Reason: "a " + n.OpType + " reads it"}, true
	case "Sigmoid":
		return Setting{Kind: measure.Sigmoid, Reason: "a Sigmoid reads it"}, true
	case "ArgMax":
		return Setting{Kind: measure.Logits, Axis: int(n.Int("axis", 0)), Reason: reasonArgMax}, true
	}
	return Setting{}, false
}
