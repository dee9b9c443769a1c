package net

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/measure"
)

// taught lists the outputs that the original teaches, and what each weighs, 1 in all.
func (n *Network) taught() (list []Meaning, shares []float64) {
	sum := 0.0
	for _, x := range n.Outputs {
		if x.Weight > 0 {
			list, shares = append(list, x), append(shares, x.Weight)
			sum += x.Weight
		}
	}
	for i := range shares {
		shares[i] /= sum
	}
	return list, shares
}

// of returns what a teacher has to say on outputs of the network: its output of the same
// name, or its only one where the network has one as well, as the network takes it.
func (n *Network) of(t *Network, list []Meaning) ([]Meaning, error) {
	var out []Meaning
	var errs []error
	for _, own := range list {
		at := slices.IndexFunc(t.Outputs, func(x Meaning) bool { return x.Output == own.Output })
		if at < 0 && len(n.Outputs) == 1 && len(t.Outputs) == 1 {
			at = 0
		}
		if at < 0 {
			errs = append(errs, fmt.Errorf("want an output %q as the network's, got none", own.Output))
			continue
		}
		x := t.Outputs[at]
		logits, behind := own.Kind.Distributes() || own.Kind == measure.Sigmoid, x.value != x.Output
		switch same := x.Kind.Distributes() == own.Kind.Distributes() && (x.Kind == measure.Sigmoid) == (own.Kind == measure.Sigmoid); {
		case logits && behind && !same:
			errs = append(errs, fmt.Errorf("output %q: want %s as the network's %q, got %s", x.Output, own.Kind, own.Output, x.Kind))
			continue
		case own.value != own.Output && !behind:
			errs = append(errs, fmt.Errorf("output %q: want a Softmax, LogSoftmax or Sigmoid that makes it, as one makes the network's %q: what it gives may be logits or their probabilities", x.Output, own.Output))
			continue
		case !logits:
			x.value = x.Output
		}
		x.Kind, x.axis = own.Kind, own.axis
		if want, got := n.Facts.Values[own.value].Shape(), t.Facts.Values[x.value].Shape(); !slices.Equal(want, got) {
			errs = append(errs, fmt.Errorf("output %q: want %v as the network's %q, got %v", x.Output, want, own.Output, got))
		}
		out = append(out, x)
	}
	return out, errors.Join(errs...)
}
