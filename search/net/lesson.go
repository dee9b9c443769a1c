package net

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// lesson is one value that a network can learn from a teacher.
type lesson struct {
	output string // what is compared: a graph output, of a classifier its logits
	value  string // what the loss is taken on: output, or the logits behind it
	logits bool   // value holds logits of classes on its last axis
}

// lessons lists the logits of a classifier, of other models every float output; keys and
// values that a decoder hands to its next call only where there is nothing else.
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
	caches := ops.CacheAxes(n.Model.Graph, n.Facts)
	if results := slices.DeleteFunc(slices.Clone(out), func(l lesson) bool { return caches[l.output] != nil }); len(results) > 0 {
		return results
	}
	return out
}

// lessonsOf returns what a teacher has to say on each of the network's own lessons: its
// output of the same name, or its only one where the network has one as well.
func (n *Network) lessonsOf(t *Network) ([]lesson, error) {
	mine, theirs := n.lessons(), t.lessons()
	var out []lesson
	var errs []error
	for _, own := range mine {
		at := slices.IndexFunc(theirs, func(l lesson) bool { return l.output == own.output })
		if at < 0 && len(mine) == 1 && len(theirs) == 1 {
			at = 0
		}
		if at < 0 {
			errs = append(errs, fmt.Errorf("want an output %q as the network's, got none", own.output))
			continue
		}
		l := theirs[at]
		if l.logits != own.logits {
			errs = append(errs, fmt.Errorf("output %q: want classes on its last axis as the network's %q has: %t, got %t", l.output, own.output, own.logits, l.logits))
		}
		if want, got := n.Facts.Values[own.value].Shape(), t.Facts.Values[l.value].Shape(); !slices.Equal(want, got) {
			errs = append(errs, fmt.Errorf("output %q: want %v as the network's %q, got %v", l.output, want, own.output, got))
		}
		out = append(out, l)
	}
	return out, errors.Join(errs...)
}

// distributions maps every value that holds probabilities along its last axis to
// the logits behind it.
func (n *Network) distributions() map[string]string {
	out := map[string]string{}
	for _, x := range n.Model.Graph.Nodes {
		s := n.Facts.Sites[x]
		op := s.Rules()
		if op == nil || op.Probability == nil {
			continue
		}
		if axes, err := op.Probability(s); err == nil && len(axes) == 1 && axes[0] > 0 && axes[0] == s.Input(0).Type.Rank()-1 {
			out[x.Output(0)] = x.Input(0)
		}
	}
	return out
}

// Scored returns the output that a classifier is scored on, the first, of type t as far as
// that is known, and the value that holds its logits: of probabilities what the operator
// took, else the output. An output is probabilities when its operator normalises over the
// classes: its last axis but for those of size 1 behind. An unknown rank is taken to do so.
func Scored(m *ir.Model, t ir.Type) (out measure.Output, logits string) {
	name := m.Graph.Outputs[0].Name
	out, logits = measure.Output{Name: name}, name
	for _, x := range m.Graph.Nodes {
		op := ops.Lookup(x.Domain, x.OpType)
		if op == nil || op.Probability == nil || x.Output(0) != name {
			continue
		}
		classes := t.Rank() - 1
		for classes > 1 && t.Shape[classes].Size == 1 {
			classes--
		}
		if classes >= 0 {
			axes, err := op.Probability(&ops.Site{Node: x, Opset: int(m.Opset(x.Domain)), In: []ops.Fact{{Type: t}}})
			if err != nil || !slices.Contains(axes, classes) {
				continue
			}
		}
		out.Kind, logits = measure.Probabilities, x.Input(0)
	}
	return out, logits
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
