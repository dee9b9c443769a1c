package net

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/measure"
)

// Labels describes the labels of a data set to the rule that says what outputs mean. The
// zero value is data without labels.
type Labels struct {
	Open    bool  // no data is known: labels may be classes
	Any     bool  // there are labels
	Float   bool  // they are numbers, else integers
	Shape   []int // of one sample's; nil: one class per sample
	Classes int   // of one class per sample
	Tokens  bool  // the samples are tokens
}

// LabelsOf describes a set's labels.
func LabelsOf(set *data.Set) Labels {
	l := Labels{Float: set.FloatLabels, Shape: set.LabelShape, Classes: len(set.Classes), Tokens: set.Vocab > 0}
	for _, p := range set.Parts {
		l.Any = l.Any || p.Labelled()
	}
	return l
}

// takes reports whether labels of that fit teach an output of the kind.
func (r reader) takes(k, fit measure.Kind) bool {
	switch {
	case k.Distributes():
		return fit.Distributes()
	case k == measure.Sigmoid:
		return fit == measure.Sigmoid || fit == measure.Values && (r.labels.Float || columns(r.shape) == 1) || fit == measure.Logits && r.labels.Shape == nil
	}
	return k == measure.Values && (fit == measure.Values || fit == measure.Sigmoid)
}

// fit says how the labels go with the output: its kind by them, and the axis of the classes.
// Maker is the kind by the operator that makes the output.
func (r reader) fit(maker measure.Kind) (k measure.Kind, axis int, ok bool) {
	if len(r.shape) == 0 || r.shape[0] != r.batch || !r.labels.Any && !r.labels.Open {
		return "", 0, false
	}
	inner, want := packed(r.shape[1:]), packed(r.labels.Shape)
	switch {
	case r.labels.Open:
		if len(r.shape) == 2 && r.shape[1] > 1 {
			return measure.Logits, 1, true
		}
		return "", 0, false
	case r.labels.Float:
		return measure.Values, 0, slices.Equal(inner, want)
	case r.labels.Shape == nil && len(inner) == 1:
		return measure.Logits, 1 + slices.Index(r.shape[1:], inner[0]), true
	case r.labels.Shape == nil && len(inner) == 0:
		if r.labels.Classes > 2 && maker != measure.Sigmoid {
			return measure.Values, 0, true
		}
		return measure.Sigmoid, 0, true
	case r.labels.Shape == nil:
		return "", 0, false
	case !r.labels.Tokens && slices.Equal(inner, want):
		return measure.Sigmoid, 0, true
	}
	kind := measure.Logits
	if r.labels.Tokens {
		kind = measure.NextToken
	}
	// Classes stand last behind the positions of a sequence, first before the pixels of a map.
	try := []int{len(r.shape) - 1, 1}
	if len(r.labels.Shape) > 1 {
		try = []int{1, len(r.shape) - 1}
	}
	for _, a := range try {
		if a > 0 && r.shape[a] > 1 && slices.Equal(slices.Delete(slices.Clone(r.shape[1:]), a-1, a), r.labels.Shape) {
			return kind, a, true
		}
	}
	return "", 0, false
}

// packed drops axes of size 1.
func packed(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
}

// String says what labels there are.
func (l Labels) String() string {
	switch {
	case !l.Any:
		return "labels (there are none)"
	case l.Float:
		return fmt.Sprintf("numbers of shape %v a sample", l.Shape)
	case l.Shape == nil:
		return fmt.Sprintf("%d classes", l.Classes)
	}
	return fmt.Sprintf("integers of shape %v a sample", l.Shape)
}
