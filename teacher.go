package entangle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// importTeacher opens the job's teacher; nil where it has none.
func (j *Job) importTeacher() (*Model, error) {
	if j.Teacher == "" {
		return nil, nil
	}
	t, err := Import(j.Teacher)
	if err != nil {
		return nil, fmt.Errorf("teacher: %w", err)
	}
	return t, nil
}

// teaches puts an error under the key of the teacher, and its file.
func (m *Model) teaches(err error) error {
	if m.Path != "" {
		err = fmt.Errorf("%s: %w", m.Path, err)
	}
	return &keyed{"teacher", err}
}

// checkTeacher refuses a teacher that is not the one that the job was made with.
func (j *Job) checkTeacher(t *Model) error {
	if t == nil || j.Record.Teacher == "" {
		return nil
	}
	if got := space.Fingerprint(t.Raw); got != j.Record.Teacher {
		return &JobError{[]error{&keyed{"record.teacher_sha256", fmt.Errorf("%q is another teacher than the job was made with: want %s, got %s", t.Path, j.Record.Teacher, got)}}}
	}
	return nil
}

// teachingNetwork makes a network that teaches another on the same samples, with its outputs
// under the names of those that they teach. What it takes is found by the names of its inputs,
// by what fits, or by their place among the other's; what it gives by name, or by its place
// where the shapes are equal. Notes say what was found by place. What does not fit is a
// *JobError.
func teachingNetwork(t *Model, pupil *net.Network, set *data.Set) (n *net.Network, notes []string, err error) {
	n, notes, err = teachingNormal(t, t.Normal, pupil, set)
	if err == nil {
		return n, notes, nil
	}
	// Behind a tail there may be class numbers and boxes, before it what they are made of.
	if head := t.Learned(); head.Tail != nil {
		if n, notes, other := teachingNormal(t, head.Normal, pupil, set); other == nil {
			return n, append([]string{"teacher: it " + head.LearnsAt()}, notes...), nil
		}
	}
	return nil, nil, err
}

// teachingNormal is teachingNetwork of a normal graph of the teacher's.
func teachingNormal(t *Model, m *ir.Model, pupil *net.Network, set *data.Set) (n *net.Network, notes []string, err error) {
	refuse := func(err error) (*net.Network, []string, error) {
		return nil, nil, &JobError{[]error{t.teaches(err)}}
	}
	if n, err = net.NewNetworkOn(m, pupil.Batch, set, nil); err != nil {
		placed, told := inputsByPlace(m, pupil, set)
		if placed == nil {
			return refuse(err)
		}
		var other error
		if n, other = net.NewNetworkOn(placed, pupil.Batch, set, nil); other != nil {
			return refuse(err)
		}
		m, notes = placed, told
	}
	if err := ops.CheckFinite(n.Model, n.Facts); err != nil {
		return refuse(err)
	}
	given, taught, err := outputsFor(n, pupil)
	if err != nil {
		return refuse(err)
	}
	c := m.Clone()
	c.Graph.Outputs = nil
	for i, v := range given {
		c.Graph.Outputs = append(c.Graph.Outputs, v)
		if v.Name != taught[i] {
			notes = append(notes, fmt.Sprintf("teacher: its output %q teaches %q", v.Name, taught[i]))
		}
	}
	for i, v := range given {
		if v.Name == taught[i] {
			continue
		}
		renameValue(c.Graph, taught[i], unusedName(c.Graph, taught[i]))
		renameValue(c.Graph, v.Name, taught[i])
	}
	if n, err = net.NewNetworkOn(c, pupil.Batch, set, nil); err != nil {
		return refuse(err)
	}
	return n, notes, nil
}

// outputsFor returns, for each output of the pupil that is taught, the teacher's with its name.
func outputsFor(t, pupil *net.Network) (given []ir.Value, taught []string, err error) {
	theirs := t.Model.Graph.Outputs
	named := func(name string) int {
		return slices.IndexFunc(theirs, func(v ir.Value) bool { return v.Name == name })
	}
	var errs []error
	for place, v := range lessonsOf(pupil) {
		if v.Name == "" {
			continue
		}
		want := pupil.Facts.Values[v.Name].Shape()
		at := named(v.Name)
		if at < 0 && place < len(theirs) && !slices.ContainsFunc(pupil.Model.Graph.Outputs, func(o ir.Value) bool { return o.Name == theirs[place].Name }) {
			at = place
		}
		if at < 0 {
			var names []string
			for _, o := range theirs {
				names = append(names, o.Name)
			}
			errs = append(errs, fmt.Errorf("output %q of the model: want one of that name, or one at its place, of shape %v, got the outputs %q", v.Name, want, names))
			continue
		}
		if got := t.Facts.Values[theirs[at].Name].Shape(); !slices.Equal(want, got) {
			errs = append(errs, fmt.Errorf("output %q: want the shape %v of the model's %q, got %v%s", theirs[at].Name, want, v.Name, got, exposes(t.Model.Graph, theirs[at])))
			continue
		}
		given, taught = append(given, theirs[at]), append(taught, v.Name)
	}
	return given, taught, errors.Join(errs...)
}

// exposes says which tensor to make an output where one is made of integers, as class numbers are.
func exposes(g *ir.Graph, out ir.Value) string {
	at := out.Name
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if !slices.Contains(n.Outputs, at) {
			continue
		}
		switch n.OpType {
		case "ArgMax", "ArgMin", "TopK":
			return fmt.Sprintf(": it ends in %s %q: give a teacher that has %q, which that reads, as an output", n.OpType, n.Label(), n.Input(0))
		}
		at = n.Input(0)
	}
	return ""
}

// lessonsOf returns the outputs of a network, without a name those that are not taught.
func lessonsOf(n *net.Network) []ir.Value {
	out := slices.Clone(n.Model.Graph.Outputs)
	for i, v := range out {
		if !slices.ContainsFunc(n.Outputs, func(x net.Meaning) bool { return x.Output == v.Name }) {
			out[i].Name = ""
		}
	}
	return out
}

// inputsByPlace gives the inputs of a teacher that no field of the set is named for the names
// of the pupil's at the same place, nil where there is another number of them.
func inputsByPlace(m *ir.Model, pupil *net.Network, set *data.Set) (*ir.Model, []string) {
	ours, theirs := net.DataInputs(pupil.Model), net.DataInputs(m)
	if len(ours) != len(theirs) {
		return nil, nil
	}
	c := m.Clone()
	var notes []string
	for i, v := range theirs {
		if set.Field(v.Name) >= 0 || v.Name == ours[i].Name {
			continue
		}
		if slices.ContainsFunc(theirs, func(o ir.Value) bool { return o.Name == ours[i].Name }) {
			return nil, nil
		}
		renameValue(c.Graph, ours[i].Name, unusedName(c.Graph, ours[i].Name))
		renameValue(c.Graph, v.Name, ours[i].Name)
		notes = append(notes, fmt.Sprintf("teacher: its input %q takes what the model's %q takes", v.Name, ours[i].Name))
	}
	return c, notes
}

// renameValue gives a value another name, in subgraphs too.
func renameValue(g *ir.Graph, from, to string) {
	if from == to {
		return
	}
	for _, list := range [][]ir.Value{g.Inputs, g.Outputs, g.Info} {
		for i := range list {
			if list[i].Name == from {
				list[i].Name = to
			}
		}
	}
	for i, t := range g.Inits {
		if t.Name == from {
			c := *t
			c.Name = to
			g.Inits[i] = &c
		}
	}
	for _, n := range g.Nodes {
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for i := range list {
				if list[i] == from {
					list[i] = to
				}
			}
		}
		for _, sub := range ir.Subgraphs(n) {
			renameValue(sub, from, to)
		}
	}
}

// unusedName returns a name like the given one that no value of the graph has.
func unusedName(g *ir.Graph, name string) string {
	taken := map[string]bool{}
	var collect func(g *ir.Graph)
	collect = func(g *ir.Graph) {
		for _, list := range [][]ir.Value{g.Inputs, g.Outputs, g.Info} {
			for _, v := range list {
				taken[v.Name] = true
			}
		}
		for _, t := range g.Inits {
			taken[t.Name] = true
		}
		for _, n := range g.Nodes {
			for _, v := range slices.Concat(n.Inputs, n.Outputs) {
				taken[v] = true
			}
			for _, sub := range ir.Subgraphs(n) {
				collect(sub)
			}
		}
	}
	collect(g)
	for taken[name] {
		name += ".teacher"
	}
	return name
}
