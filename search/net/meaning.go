package net

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
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
}

// Raw reports whether elements of a Sigmoid output are logits.
func (x Meaning) Raw() bool { return x.Kind == measure.Sigmoid && x.value == x.Output }

// Setting says what an output means instead of what is found. Weight 0 leaves an output
// untaught.
type Setting struct {
	Output string
	Kind   measure.Kind
	Weight float64
	// Axis is that of the classes, from the end where it is below 0; 0 where it is to be found.
	Axis int
	// Reason, where it is not "", says by what this was found behind the output: it counts for
	// less than the operator that makes the output, and more than labels.
	Reason string
}

// Settings is a list whose text is NAME=KIND[:WEIGHT],…
type Settings []Setting

// UnmarshalText reads settings; a weight that is not given is 1.
func (s *Settings) UnmarshalText(text []byte) error {
	*s = nil
	if len(text) == 0 {
		return nil
	}
	for _, item := range strings.Split(string(text), ",") {
		at := strings.LastIndex(item, "=")
		if at < 1 {
			return fmt.Errorf("want NAME=KIND or NAME=KIND:WEIGHT, got %q", item)
		}
		kind, weight, weighted := strings.Cut(item[at+1:], ":")
		x := Setting{Output: strings.TrimSpace(item[:at]), Kind: measure.Kind(strings.TrimSpace(kind)), Weight: 1}
		if !slices.Contains(measure.Kinds, x.Kind) {
			return fmt.Errorf("output %q: want one of the kinds %v, got %q", x.Output, measure.Kinds, x.Kind)
		}
		if weighted {
			w, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
			if err != nil || !(w >= 0) || w > 1e6 {
				return fmt.Errorf("output %q: want a weight of 0 or more, got %q", x.Output, weight)
			}
			x.Weight = w
		}
		if slices.ContainsFunc(*s, func(y Setting) bool { return y.Output == x.Output }) {
			return fmt.Errorf("output %q: given twice", x.Output)
		}
		*s = append(*s, x)
	}
	return nil
}

// of returns the setting of an output, or nil.
func (s Settings) of(output string) *Setting {
	if at := slices.IndexFunc(s, func(x Setting) bool { return x.Output == output }); at >= 0 {
		return &s[at]
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Settings) MarshalText() ([]byte, error) {
	var out []string
	for _, x := range s {
		text := x.Output + "=" + string(x.Kind)
		if x.Weight != 1 {
			text += ":" + strconv.FormatFloat(x.Weight, 'g', -1, 64)
		}
		out = append(out, text)
	}
	return []byte(strings.Join(out, ",")), nil
}

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
		x.Kind, x.Weight, x.Reason = given.Kind, given.Weight, "set"
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

// Means takes what outputs mean from settings, where they are set, and else from the labels
// that the network was made for.
func (n *Network) Means(set Settings) error {
	list, err := Meanings(n.Model, n.Facts, n.Batch, n.labels, set)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	n.Outputs = list
	n.Logits, n.Classes, n.Positions = "", 0, 0
	if x, ok := n.Target(); ok && x.Kind.Distributes() {
		n.Logits, n.Classes = x.value, n.Facts.Values[x.value].Shape()[x.axis]
		if n.labels.Shape != nil {
			n.Positions = prim.Prod(n.labels.Shape)
		}
	}
	return nil
}

// Target returns the output that labels are for.
func (n *Network) Target() (Meaning, bool) {
	at := slices.IndexFunc(n.Outputs, func(x Meaning) bool { return x.Labels })
	if at < 0 {
		return Meaning{}, false
	}
	return n.Outputs[at], true
}

// Learns reports whether labels of a part teach one of the outputs.
func (n *Network) Learns(p *data.Part) bool {
	_, ok := n.Target()
	return ok && p != nil && p.Labelled()
}

// Scored returns what a target is as measures take it; false without one.
func (n *Network) Scored() (measure.Output, bool) {
	x, ok := n.Target()
	out := measure.Output{Name: x.Output, Kind: x.Kind, Axis: x.axis, Raw: x.Raw()}
	if shape := n.Facts.Values[x.value].Shape(); x.Kind == measure.Sigmoid && n.labels.Shape == nil && columns(shape) > 1 {
		out.Classes = columns(shape)
	}
	if x.Kind.Distributes() {
		out.Classes = n.Classes
		if out.Kind = measure.Logits; x.value != x.Output {
			out.Kind = measure.Probabilities
		}
	}
	return out, ok
}

// ScoredOn returns the output of a model that labels of a set are for, also of one that the
// engine does not run: then by the declared types. Without one it is an error that says why.
func ScoredOn(m *ir.Model, set *data.Set, means Settings) (measure.Output, error) {
	o := Open(m)
	batch := max(o.Fixed, 2)
	n := &Network{Model: o.Model, Batch: batch, labels: LabelsOf(set)}
	bind, err := BindingOn(o.Model, batch, set)
	if err == nil {
		n.Facts, err = ops.InferModel(o.Model, bind)
	}
	if err != nil {
		if first := m.Graph.Outputs[0]; !first.Type.Ranked && means == nil {
			return unranked(m, first.Name), nil
		}
		n.Facts = declared(m, batch, max(n.labels.Classes, 2))
	}
	if err := n.Means(means); err != nil {
		return measure.Output{}, err
	}
	out, ok := n.Scored()
	if ok && (means.of(out.Name) != nil || !n.decided(out.Name)) {
		return out, nil
	}
	if p, found := n.predictions(err == nil); found {
		return p, nil
	}
	if !ok {
		return out, n.unlabelled()
	}
	return out, nil
}

// predictions finds the first output of class numbers that labels are for. Without known sizes
// those that the model leaves open are any.
func (n *Network) predictions(known bool) (measure.Output, bool) {
	if !n.labels.Any || n.labels.Float {
		return measure.Output{}, false
	}
	want := packed(n.labels.Shape)
	for _, v := range n.Model.Graph.Outputs {
		t := v.Type
		if known {
			t = n.Facts.Values[v.Name].Type
		}
		if !n.decided(v.Name) || !t.Ranked || len(t.Shape) == 0 {
			continue
		}
		own := slices.DeleteFunc(slices.Clone(t.Shape[1:]), func(d ir.Dim) bool { return d.Known() && d.Size == 1 })
		if slices.EqualFunc(own, want, func(d ir.Dim, size int) bool { return !d.Known() || d.Size == size }) {
			return measure.Output{Name: v.Name, Kind: measure.Predictions}, true
		}
	}
	return measure.Output{}, false
}

// decided reports an output of integers or booleans, also one that a Cast made numbers of.
func (n *Network) decided(output string) bool {
	by := map[string]*ir.Node{}
	for _, x := range n.Model.Graph.Nodes {
		for _, o := range x.Outputs {
			by[o] = x
		}
	}
	for at := output; ; {
		switch e := n.Facts.Values[at].Type.Elem; {
		case e == ir.Bool || e.IsInt():
			return true
		case by[at] == nil || by[at].Domain != "" || by[at].OpType != "Cast" && !slices.Contains(reshapes, by[at].OpType):
			return false
		}
		at = by[at].Input(0)
	}
}

// declared is what a model says of its outputs, at so many samples and open sizes of open.
func declared(m *ir.Model, batch, open int) *ops.Facts {
	f := &ops.Facts{Values: map[string]ops.Fact{}}
	for _, v := range m.Graph.Outputs {
		t := v.Type.Clone()
		for i, d := range t.Shape {
			switch {
			case i == 0:
				t.Shape[i] = ir.Dim{Size: batch}
			case !d.Known():
				t.Shape[i] = ir.Dim{Size: open}
			}
		}
		f.Values[v.Name] = ops.Fact{Type: t}
	}
	return f
}

// unranked takes an output of which nothing is known for classes, as its operator makes them.
func unranked(m *ir.Model, name string) measure.Output {
	out := measure.Output{Name: name, Kind: measure.Logits}
	if e := m.Graph.Outputs[0].Type.Elem; e == ir.Bool || e.IsInt() {
		out.Kind = measure.Predictions
	}
	for _, n := range m.Graph.Nodes {
		if op := ops.Lookup(n.Domain, n.OpType); op != nil && op.Probability != nil && n.Output(0) == name {
			out.Kind = measure.Probabilities
		}
	}
	return out
}

// unlabelled says why labels are for none of the outputs.
func (n *Network) unlabelled() error {
	var have []string
	for _, v := range n.Model.Graph.Outputs {
		have = append(have, fmt.Sprintf("%q %s", v.Name, n.Facts.Values[v.Name].Type))
	}
	return fmt.Errorf("search: labels: want an output that %s are for, the model has %s", n.labels, strings.Join(have, ", "))
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
