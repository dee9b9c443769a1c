package entangle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// Split divides a model where learning ends (ops.FindTail): the result's Normal is what can be
// searched, cut and trained, its Tail what stays behind it. Tensors named by at are taught in
// place of the outputs behind them. A model without a tail, and one that was split before, come
// back as they are. A name that cannot be taught is a *JobError; an operator that cannot run in
// the midst of the network a *ModelError.
func (m *Model) Split(at ...string) (*Model, error) {
	if m.split || m.Normal == nil {
		return m, nil
	}
	if err := m.checkNames(at); err != nil {
		return nil, &JobError{[]error{&keyed{"learn_at", err}}}
	}
	f, err := m.anyFacts()
	if err != nil && len(at) > 0 {
		return nil, err
	}
	var t *ops.Tail
	if err == nil {
		t, err = ops.FindTail(m.Normal, f, at)
		switch refused := m.CheckTrainable(); {
		case err != nil && len(at) > 0:
			return nil, &JobError{[]error{&keyed{"learn_at", err}}}
		case err != nil && refused != nil:
			return nil, refused
		case err != nil:
			return nil, &ModelError{err}
		case t != nil && len(at) == 0 && t.Trained > 0 && refused != nil:
			t = nil // layers behind a recurrent operator would not be taught: it is refused as a whole
		}
	}
	out := *m
	out.split = true
	if t != nil {
		out.Normal, out.Tail, out.whole = t.Head, t, space.Fingerprint(m.Normal)
	}
	return &out, nil
}

// Learned is Split for those who do not train: a model that has an operator in its midst that
// cannot run stays whole.
func (m *Model) Learned() *Model {
	if out, err := m.Split(); err == nil {
		return out
	}
	out := *m
	out.split = true
	return &out
}

// Runnable is what this program's engines can run of a model: the part before its tail where
// that has operators which they cannot, else all of it.
func (m *Model) Runnable() *Model {
	if out := m.Learned(); out.Tail != nil && out.Tail.Foreign {
		return out
	}
	return m
}

// Source returns a model as runtimes take it: its file, for this program's own engines the
// normal graph; after Split what is before the tail.
func (m *Model) Source(own bool) (runtimes.Source, error) {
	switch {
	case own:
		return runtimes.Source{Path: m.Path, Model: m.Normal}, nil
	case m.Tail == nil:
		return runtimes.Source{Path: m.Path, Model: m.Raw}, nil
	}
	body, err := exporter.Encode(m.Normal)
	return runtimes.Source{Path: m.Path, Data: body, Model: m.Normal}, err
}

// likewise splits a teacher as the model that learns from it: at the same tensors where it has
// them, else where it ends by itself.
func (m *Model) likewise(student *Model, at []string) *Model {
	if student.Tail != nil {
		at = student.Tail.At
	}
	if out, err := m.Split(at...); err == nil {
		return out
	}
	return m.Learned()
}

// checkNames reports the first name that is no tensor of the normal form.
func (m *Model) checkNames(at []string) error {
	if len(at) == 0 {
		return nil
	}
	now, then := valueNames(m.Normal), valueNames(m.Raw)
	for _, v := range at {
		switch {
		case slices.Contains(now, v):
		case slices.Contains(then, v):
			return fmt.Errorf("tensor %q is one of the file but is gone from the normal form, where constants are folded and nodes that do nothing removed: want one that inspect --stage normal shows%s", v, meant(v, now))
		default:
			return fmt.Errorf("the model has no tensor %q%s", v, meant(v, now))
		}
	}
	return nil
}

func valueNames(m *ir.Model) []string {
	var out []string
	for _, v := range m.Graph.Inputs {
		out = append(out, v.Name)
	}
	for _, t := range m.Graph.Inits {
		out = append(out, t.Name)
	}
	for _, n := range m.Graph.Nodes {
		out = append(out, slices.DeleteFunc(slices.Clone(n.Outputs), func(v string) bool { return v == "" })...)
	}
	return out
}

// anyFacts infers a model at some sizes for what it leaves open: types do not depend on them.
func (m *Model) anyFacts() (*ops.Facts, error) {
	open := map[string]bool{}
	for _, v := range net.DataInputs(m.Normal) {
		for i, d := range v.Type.Shape {
			switch {
			case d.Known():
			case d.Param == "":
				open[ops.AnyDim] = true
			case i > 0:
				open[d.Param] = true
			}
		}
	}
	f, err := m.Infer(nil)
	if len(open) == 0 {
		return f, err
	}
	for _, n := range defaultSizes {
		for _, one := range []int{1, n} {
			sizes := map[string]int{}
			for name := range open {
				sizes[name] = sizeOf(name, n, one, nil)
			}
			if f, err := m.Infer(sizes); err == nil {
				return f, nil
			}
		}
	}
	return f, err
}

// mark says in an analysis of the part before a tail what it is a part of, and why its ends stay.
func (m *Model) mark(an *space.Analysis) {
	an.Source = m.whole
	if m.Tail == nil {
		return
	}
	for _, v := range an.Model.Graph.Outputs {
		if m.Tail.Ends(v.Name) {
			continue
		}
		for _, axes := range an.Pins {
			for axis, why := range axes {
				if why == fmt.Sprintf("graph output %q keeps its shape", v.Name) {
					axes[axis] = fmt.Sprintf("%q keeps its shape: what stays as it is reads it", v.Name)
				}
			}
		}
	}
}

// followed is net.Followed of a normal graph without its tail, which is put back.
func followed(normal *ir.Model) (*ir.Model, bool) {
	m := (&Model{Raw: normal, Normal: normal}).Learned()
	head, open := net.Followed(m.Normal)
	return m.Tail.Graft(head), open
}

// Means adds to settings of outputs what is known of them by what stays behind (net.Behind).
func (m *Model) Means(set net.Settings) net.Settings { return net.Behind(m.Tail, set) }

// notes says what of the model is not taken as it is written, and where learning happens, where it is
// not at the outputs.
func (m *Model) notes() []string {
	out := m.learns()
	if m.symbols != "" {
		out = append([]string{m.symbols}, out...)
	}
	return out
}

func (m *Model) learns() []string {
	if m.Tail == nil {
		return nil
	}
	if len(m.Tail.Nodes) == 0 {
		return []string{m.Tail.String()}
	}
	return []string{fmt.Sprintf("%s; %s behind %s kept, and counted in no cost", m.Tail, m.Tail.Count(), plural(len(m.Tail.Nodes), "is", "are"))}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// LearnsAt says where learning happens, "" where it is at the outputs.
func (m *Model) LearnsAt() string { return strings.Join(m.learns(), "") }
