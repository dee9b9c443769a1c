package net

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

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

// CheckTarget refuses classes as labels of an output of one number, unless it is set that they are
// numbers.
func (n *Network) CheckTarget() error {
	x, ok := n.Target()
	if !ok || x.Kind != measure.Values || n.labels.Float || n.labels.Shape != nil || x.set {
		return nil
	}
	return fmt.Errorf("search: output %q: integers as labels are classes, here %d, and its type is %s: give floats as labels, or --output %s=values for numbers that are whole", x.Output, n.labels.Classes, n.Facts.Values[x.Output].Type, x.Output)
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
		return out, n.CheckTarget()
	}
	if p, found := n.predictions(err == nil); found {
		return p, nil
	}
	if !ok {
		return out, n.unlabelled()
	}
	return out, n.CheckTarget()
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
			if o != "" {
				by[o] = x
			}
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
