package net

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// Meaning is what one float output of a model means, and with that how it is taught.
type Meaning struct {
	Output string       `json:"output"`
	Kind   measure.Kind `json:"kind"`
	// Weight is the output's share of what the original teaches, relative to the others'.
	Weight float64 `json:"weight"`
	// Labels says that the data's labels are for this output.
	Labels bool   `json:"labels,omitempty"`
	Reason string `json:"reason"`

	value string // what the loss is taken on: the output, or the logits behind it
	axis  int    // of value: the classes', the vectors'
	set   bool   // the kind was given
}

// Raw reports whether elements of a Sigmoid output are logits.
func (x Meaning) Raw() bool { return x.Kind == measure.Sigmoid && x.value == x.Output }

// Meanings says of every float output of a model what it means: as it is set, by the
// operator that makes it, by its shape and the labels, in this order; a single column is never
// a distribution. Labels are for the first output that they fit, of classes for one of just
// as many where there is one. Keys and values that a decoder hands to its next call are left out where
// there is anything else. Facts are the model's at so many samples.
func Meanings(m *ir.Model, f *ops.Facts, batch int, labels Labels, set Settings) ([]Meaning, error) {
	caches := ops.CacheAxes(m.Graph, f)
	var out, past []Meaning
	var errs []error
	for _, s := range set {
		if !slices.ContainsFunc(m.Graph.Outputs, func(v ir.Value) bool { return v.Name == s.Output && f.Values[v.Name].Type.Elem.IsFloat() }) {
			errs = append(errs, fmt.Errorf("output %q: want one of the float outputs %s", s.Output, floats(m, f)))
		}
	}
	read := func(output string, target bool) (Meaning, error) {
		r := reader{m: m, f: f, labels: labels, output: output, shape: f.Values[output].Shape(), batch: batch}
		x, err := r.meaning(set.of(output), target)
		if err != nil {
			return x, fmt.Errorf("output %q: %w", output, err)
		}
		return x, nil
	}
	for _, v := range m.Graph.Outputs {
		if !f.Values[v.Name].Type.Elem.IsFloat() {
			continue
		}
		x, err := read(v.Name, true)
		switch {
		case err != nil:
			errs = append(errs, err)
		case caches[v.Name] != nil && set.of(v.Name) == nil:
			past = append(past, x)
		default:
			out = append(out, x)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		out = past
	}
	target := slices.IndexFunc(out, func(x Meaning) bool { return x.Labels })
	for i, x := range out {
		if x.Labels && labels.Shape == nil && x.Kind.Distributes() && f.Values[x.value].Shape()[x.axis] == labels.Classes {
			target = i
			break
		}
	}
	for i, x := range out {
		if x.Labels && i != target {
			var err error
			if out[i], err = read(x.Output, false); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func floats(m *ir.Model, f *ops.Facts) string {
	var names []string
	for _, v := range m.Graph.Outputs {
		if f.Values[v.Name].Type.Elem.IsFloat() {
			names = append(names, strconv.Quote(v.Name))
		}
	}
	return strings.Join(names, ", ")
}

// reader finds what one output means.
type reader struct {
	m      *ir.Model
	f      *ops.Facts
	labels Labels
	output string
	shape  []int
	batch  int
}

// meaning reads one output, which labels may be for, or not.
func (r reader) meaning(given *Setting, target bool) (Meaning, error) {
	x := Meaning{Output: r.output, Weight: 1, value: r.output, axis: len(r.shape) - 1}
	maker, behind, axis := r.maker()
	fit, own, fits := r.fit(maker)
	fits = fits && target
	hint := r.hint(given)
	if hint != nil || given != nil && given.Reason != "" {
		given = nil
	}
	switch {
	case given != nil:
		x.Kind, x.Weight, x.Reason, x.set = given.Kind, given.Weight, "set", true
	case maker == measure.Probabilities && fits && fit == measure.NextToken && axis == own:
		x.Kind, x.Reason = measure.NextToken, "a Softmax makes it, labels are tokens"
	case maker != "":
		x.Kind, x.Reason = maker, made[maker]
	case hint != nil:
		x.Kind, x.Reason = hint.Kind, hint.Reason
	case fits:
		x.Kind, x.Reason = fit, reasons[fit]
	default:
		x.Kind, x.Reason = measure.Values, "nothing says otherwise"
		if columns(r.shape) == 1 {
			x.Reason = "one column is no distribution"
		} else if !r.labels.Any {
			x.Reason = "no Softmax, Sigmoid or labels say otherwise"
		}
	}
	switch {
	case x.Kind.Distributes() && maker == measure.Probabilities:
		x.value, x.axis = behind, axis
	case x.Kind.Distributes():
		if maker == measure.Logits {
			x.axis = axis
		} else if fits && fit.Distributes() {
			x.axis = own
		} else if hint != nil && hint.Kind.Distributes() {
			x.axis = hint.Axis
		} else {
			x.axis = r.classes()
		}
	case x.Kind == measure.Sigmoid && maker == measure.Sigmoid:
		x.value = behind
	}
	x.Labels = fits && r.takes(x.Kind, fit)
	if x.Labels && x.Kind.Distributes() {
		if x.Labels = x.value == x.Output || x.axis == own; x.Labels {
			x.axis = own
		}
	}
	if narrow := x.axis < 1 || r.shape[x.axis] == 0 || r.shape[x.axis] == 1; narrow && x.Kind.Distributes() {
		return x, fmt.Errorf("want two classes or more for %s, its type is %s", x.Kind, r.f.Values[r.output].Type)
	} else if narrow && x.Kind == measure.Embedding {
		return x, fmt.Errorf("want vectors along the last axis for %s, its type is %s", x.Kind, r.f.Values[r.output].Type)
	}
	return x, nil
}

// hint returns what was found behind the output, its axis from the front; nil for none, and where
// the output's sizes do not allow it.
func (r reader) hint(given *Setting) *Setting {
	if given == nil || given.Reason == "" {
		return nil
	}
	x := *given
	if x.Axis < 0 {
		x.Axis += len(r.shape)
	}
	if x.Kind.Distributes() && (x.Axis < 1 || x.Axis >= len(r.shape) || r.shape[x.Axis] < 2) {
		return nil
	}
	return &x
}

// classes is the axis that classes stand along where nothing says which: the last of those
// longer than 1; the first behind the samples of a map, unless a Transpose put it elsewhere.
func (r reader) classes() int {
	a := len(r.shape) - 1
	if a > 2 && r.shape[1] > 1 && !r.transposed() {
		return 1
	}
	for a > 1 && r.shape[a] == 1 {
		a--
	}
	return a
}

// transposed reports whether the output is one of a Transpose, but for operators that only move
// its elements.
func (r reader) transposed() bool {
	at := r.output
	for i := len(r.m.Graph.Nodes) - 1; i >= 0; i-- {
		n := r.m.Graph.Nodes[i]
		if !slices.Contains(n.Outputs, at) || n.Domain != "" || !slices.Contains(reshapes, n.OpType) {
			continue
		}
		if n.OpType == "Transpose" {
			return true
		}
		at = n.Input(0)
	}
	return false
}

var made = map[measure.Kind]string{
	measure.Probabilities: "a Softmax makes it", measure.Logits: "a LogSoftmax makes it",
	measure.Sigmoid: "a Sigmoid makes it", measure.Embedding: "its vectors are normalised",
}

var reasons = map[measure.Kind]string{
	measure.Logits: "labels are its classes", measure.NextToken: "labels are the next tokens",
	measure.Sigmoid: "labels are a yes or no of each element", measure.Values: "labels are numbers of its shape",
}

// columns counts the elements of a sample.
func columns(shape []int) int {
	n := 1
	for _, d := range shape[min(1, len(shape)):] {
		n *= d
	}
	return n
}
