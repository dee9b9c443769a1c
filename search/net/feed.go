package net

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ops"
)

// Feed turns batches of a data set into buffers under the names that the programs of a
// network expect, the teacher's outputs included.
type Feed struct {
	be      engine.Backend
	net     *Network
	o       Objective
	set     *data.Set
	fields  []string // name of the buffer of each field; "" where no program takes it whole
	parts   []part   // buffers that are no whole fields
	teacher *teacher
	Labels  bool      // batches bring targets
	held    *resident // nil: batches come with their samples
}

// teacher is the original model, run in inference mode.
type teacher struct {
	fwd    *Step
	env    Env
	inputs map[string]string // names of the feed's buffers by the teacher's inputs
	values []Meaning         // one for each of the network's
}

// part is a buffer with positions of a field, or an empty past.
type part struct {
	name  string
	field int // -1: the past
	kept  ops.Positions
	past  prim.Type
}

// tensor returns the part's rows for a batch of those inputs.
func (p part) tensor(b *data.Batch) *prim.Tensor {
	if p.field >= 0 {
		return b.Inputs[p.field].Take(p.kept)
	}
	t := prim.Type{DType: p.past.DType, Shape: slices.Clone(p.past.Shape)}
	t.Shape[0] = len(b.Index)
	return prim.NewTensor(t)
}

// partOf returns input i of a network as a part of that name; false where it is a whole field.
func partOf(n *Network, b *data.Binding, i int, name string) (part, bool) {
	p := part{name: name, field: b.Fields[i], kept: b.Kept[i]}
	if p.field < 0 {
		p.past = prim.Type{DType: prim.F32, Shape: n.Facts.Values[n.Inputs[i]].Shape()}
	}
	return p, p.field < 0 || p.kept != nil
}

// fieldName is what the buffer of a field is called that the network itself does not take.
func fieldName(field string) string { return "@field/" + field }

// NewFeed makes a feed for a network, whose inputs must have the types that the set gives.
// With an objective that distils it runs teach, which must have the network's batch size
// and outputs that match. With labels batches bring targets, if the network has an output that they are for.
func NewFeed(be engine.Backend, n *Network, teach *Network, o Objective, set *data.Set, labels bool) (*Feed, error) {
	b, err := n.binding(set)
	if err != nil {
		return nil, err
	}
	f := &Feed{be: be, net: n, o: o, set: set, fields: make([]string, len(set.Fields)), Labels: labels}
	if _, ok := n.Target(); !ok {
		f.Labels = false
	}
	for i, k := range b.Fields {
		if p, ok := partOf(n, b, i, n.Inputs[i]); ok {
			f.parts = append(f.parts, p)
			continue
		}
		f.fields[k] = n.Inputs[i]
	}
	if o.Distill > 0 {
		if teach == nil {
			return nil, fmt.Errorf("search: objective: distillation needs the original model as teacher")
		}
		list, _ := n.taught()
		if err := f.learn(teach, list, func(x Meaning) string { return x.value }); err != nil {
			return nil, fmt.Errorf("search: teacher: %w", err)
		}
	}
	return f, nil
}

// learn gives the feed a teacher that computes one value for each of some of the network's
// outputs. The teacher takes fields of its own; what it has beyond the network's is
// uploaded with every batch.
func (f *Feed) learn(teach *Network, list []Meaning, value func(Meaning) string) error {
	if teach.Batch != f.net.Batch {
		return fmt.Errorf("want batch %d, got %d", f.net.Batch, teach.Batch)
	}
	b, err := teach.binding(f.set)
	if err != nil {
		return err
	}
	t := &teacher{env: Env{}, inputs: map[string]string{}}
	for i, k := range b.Fields {
		if p, ok := partOf(teach, b, i, "@teacher/in/"+teach.Inputs[i]); ok {
			f.parts = append(f.parts, p)
			t.inputs[teach.Inputs[i]] = p.name
			continue
		}
		if f.fields[k] == "" {
			f.fields[k] = fieldName(f.set.Fields[k].Name)
		}
		t.inputs[teach.Inputs[i]] = f.fields[k]
	}
	if t.values, err = f.net.of(teach, list); err != nil {
		return err
	}
	var names []string
	for _, x := range t.values {
		names = append(names, value(x))
	}
	if t.fwd, err = teach.Forward(f.be, names...); err != nil {
		return err
	}
	f.teacher = t
	return teach.Load(f.be, t.env)
}

// run computes the teacher's outputs on the buffers of a batch.
func (t *teacher) run(batch Env) (Env, error) {
	in := Env{}
	for input, name := range t.inputs {
		in[input] = batch[name]
	}
	return t.fwd.Run(t.env, in)
}

// Batch is a batch as programs take it: host tensors of whole batches with the program
// inputs that they are for, dealt in parts of the network's batch.
type Batch struct {
	Batch   *data.Batch
	Parts   int // of the network's batch
	Ready   Env // part 0, uploaded ahead; nil: not yet
	names   []string
	tensors []*prim.Tensor
}

func (x *Batch) add(name string, t *prim.Tensor) {
	x.names, x.tensors = append(x.names, name), append(x.tensors, t)
}

// fieldsOf takes a batch's input fields only.
func (f *Feed) fieldsOf(b *data.Batch) *Batch {
	x := &Batch{Batch: b, Parts: len(b.Index) / f.net.Batch}
	if b.Moves != nil {
		f.held.add(x, b)
	}
	for i, t := range b.Inputs {
		if name := f.fields[i]; name != "" {
			x.add(name, t)
		}
	}
	for _, p := range f.parts {
		x.add(p.name, p.tensor(b))
	}
	return x
}

// Prepare takes a batch of a multiple of the network's size with its targets, when the feed
// has labels; a label that is no class is an error. Nothing is uploaded yet.
func (f *Feed) Prepare(b *data.Batch) (*Batch, error) {
	x := f.fieldsOf(b)
	switch {
	case f.Labels && f.net.Positions > 0:
		label, share, _, err := positionTargets(b, f.net.Positions, f.net.Classes)
		if err != nil {
			return nil, err
		}
		for i := range share.F32 {
			share.F32[i] *= float32(x.Parts)
		}
		x.add(TargetName, label)
		x.add(shareName, share)
	case f.Labels && f.net.Classes == 0:
		t, err := f.net.elements(b)
		if err != nil {
			return nil, err
		}
		x.add(TargetName, t)
	case f.Labels:
		t, err := target(b, f.net.Classes, f.o.Smoothing)
		if err != nil {
			return nil, err
		}
		x.add(TargetName, t)
	}
	return x, nil
}

// Upload uploads part i. The buffers are the caller's to free.
func (f *Feed) Upload(x *Batch, i int) (Env, error) {
	env := Env{}
	for k, t := range x.tensors {
		rows := t.Shape[0] / x.Parts
		name, part := x.names[k], t.Span(i*rows, (i+1)*rows)
		buf, err := f.be.Upload(part)
		if err != nil {
			return nil, err
		}
		env[name] = buf
	}
	if env[indexName] == nil {
		return env, nil
	}
	return env, f.held.make(env)
}

// Hold keeps the part of a view on the device when it is no larger than limit bytes and
// its batches, augmented by steps, can be made there; else it does nothing. Batches of a
// part that a feed Holds are loaded with data.LoaderOptions.Moves.
func (f *Feed) Hold(view data.View, steps []data.Step, limit int) (err error) {
	if limit > 0 && len(f.fields) == 1 && f.fields[0] != "" && len(f.parts) == 0 {
		f.held, err = newResident(f.be, f.net, f.fields[0], view, steps, limit)
	}
	return err
}

// Holds reports whether batches of a part are made on the device.
func (f *Feed) Holds(part *data.Part) bool { return f.held != nil && f.held.part == part }

// Teach runs the teacher, when there is one, on uploaded inputs and adds its outputs to them.
func (f *Feed) Teach(env Env) error {
	if f.teacher == nil {
		return nil
	}
	out, err := f.teacher.run(env)
	if err != nil {
		return err
	}
	for i, v := range f.net.teacherOutputs(f.o) {
		env[teacherName(v)] = out[OutName(f.teacher.values[i].value)]
	}
	return nil
}

// inputs uploads the input fields of a batch of the network's size.
func (f *Feed) inputs(b *data.Batch) (Env, error) { return f.Upload(f.fieldsOf(b), 0) }

// batch uploads a batch of the network's size with its targets, the teacher's included.
func (f *Feed) batch(b *data.Batch) (Env, error) {
	x, err := f.Prepare(b)
	if err != nil {
		return nil, err
	}
	env, err := f.Upload(x, 0)
	if err != nil {
		return nil, err
	}
	return env, f.Teach(env)
}

// target returns the label distribution f32[batch, classes].
func target(b *data.Batch, classes int, smoothing float64) (*prim.Tensor, error) {
	if b.Labels == nil {
		return nil, fmt.Errorf("search: the batch has no labels")
	}
	n := b.Labels.Len()
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n, classes}})
	if b.Soft != nil && b.Soft.Shape[1] == classes {
		copy(t.F32, b.Soft.F32)
	} else {
		for i, l := range b.Labels.I64 {
			if l < 0 || l >= int64(classes) {
				return nil, fmt.Errorf("search: label %d of sample %d: the model has %d classes", l, b.Index[i], classes)
			}
			if b.Lambda == nil {
				t.F32[i*classes+int(l)] = 1
				continue
			}
			t.F32[i*classes+int(l)] += b.Lambda[i]
			if p := b.Labels.I64[b.Partner[i]]; p >= 0 && p < int64(classes) {
				t.F32[i*classes+int(p)] += 1 - b.Lambda[i]
			}
		}
	}
	if smoothing > 0 {
		for i := range t.F32 {
			t.F32[i] = t.F32[i]*float32(1-smoothing) + float32(smoothing)/float32(classes)
		}
	}
	return t, nil
}
