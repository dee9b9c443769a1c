package search

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// feed turns batches into buffers under the names that programs expect, the
// teacher's outputs included.
type feed struct {
	be      engine.Backend
	net     *Network
	o       Objective
	fields  []string // graph input per field of the data set
	teacher *teacher
	labels  bool
	held    *resident // nil: batches come with their samples
}

// teacher is the original model, run in inference mode.
type teacher struct {
	net *Network
	fwd *step
	env Env
}

func newTeacher(be engine.Backend, n *Network, outputs []string) (*teacher, error) {
	if len(outputs) == 0 {
		return nil, nil
	}
	fwd, err := n.forward(be, outputs...)
	if err != nil {
		return nil, fmt.Errorf("search: teacher: %w", err)
	}
	t := &teacher{n, fwd, Env{}}
	return t, n.load(be, t.env)
}

// fieldInputs maps the data's fields to graph inputs, as inputFields does; "" where
// the model has no input for a field.
func fieldInputs(n *Network, set *data.Set) ([]string, error) {
	fields, err := inputFields(n.Inputs, set)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(set.Fields))
	for i, k := range fields {
		out[k] = n.Inputs[i]
	}
	return out, nil
}

func newFeed(be engine.Backend, n *Network, teach *Network, o Objective, set *data.Set, labels bool) (*feed, error) {
	fields, err := fieldInputs(n, set)
	if err != nil {
		return nil, err
	}
	f := &feed{be: be, net: n, o: o, fields: fields, labels: labels && n.Classes > 0}
	if o.Distill > 0 {
		if teach == nil {
			return nil, fmt.Errorf("search: objective: distillation needs the original model as teacher")
		}
		if teach.Batch != n.Batch {
			return nil, fmt.Errorf("search: teacher: want batch %d, got %d", n.Batch, teach.Batch)
		}
		if f.teacher, err = newTeacher(be, teach, n.teacherOutputs(o)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// fed is a batch as programs take it: host tensors of whole batches with the program
// inputs that they are for, dealt in parts of the network's batch.
type fed struct {
	batch   *data.Batch
	names   []string
	tensors []*prim.Tensor
	parts   int
	ready   Env // part 0, uploaded ahead; nil: not yet
}

func (x *fed) add(name string, t *prim.Tensor) {
	x.names, x.tensors = append(x.names, name), append(x.tensors, t)
}

// fieldsOf takes a batch's input fields only.
func (f *feed) fieldsOf(b *data.Batch) *fed {
	x := &fed{batch: b, parts: len(b.Index) / f.net.Batch}
	if b.Moves != nil {
		f.held.add(x, b)
	}
	for i, t := range b.Inputs {
		if name := f.fields[i]; name != "" {
			x.add(name, t)
		}
	}
	return x
}

// prepare takes a batch with its targets.
func (f *feed) prepare(b *data.Batch) (*fed, error) {
	x := f.fieldsOf(b)
	switch {
	case f.labels && f.net.Positions > 0:
		label, share, _, err := positionTargets(b, f.net.Positions, f.net.Classes)
		if err != nil {
			return nil, err
		}
		for i := range share.F32 {
			share.F32[i] *= float32(x.parts)
		}
		x.add(targetName, label)
		x.add(shareName, share)
	case f.labels:
		t, err := target(b, f.net.Classes, f.o.Smoothing)
		if err != nil {
			return nil, err
		}
		x.add(targetName, t)
	}
	return x, nil
}

// upload uploads part i.
func (f *feed) upload(x *fed, i int) (Env, error) {
	env := Env{}
	for k, t := range x.tensors {
		rows := t.Shape[0] / x.parts
		name, part := x.names[k], t.Span(i*rows, (i+1)*rows)
		if want, ok := f.net.Facts.Values[name]; ok && !slices.Equal(want.Shape(), part.Shape) {
			return nil, fmt.Errorf("search: input %q: the model wants %v, the data gives %v", name, want.Shape(), part.Shape)
		}
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

// hold keeps the part of a view on the device when it is no larger than limit bytes and
// its batches can be made there.
func (f *feed) hold(view data.View, steps []data.Step, limit int) (err error) {
	if limit > 0 && len(f.fields) == 1 && f.fields[0] != "" {
		f.held, err = newResident(f.be, f.net, f.fields[0], view, steps, limit)
	}
	return err
}

// holds reports whether batches of a part are made on the device.
func (f *feed) holds(part *data.Part) bool { return f.held != nil && f.held.part == part }

// teach runs the teacher on uploaded inputs and adds its outputs to them.
func (f *feed) teach(env Env) error {
	if f.teacher == nil {
		return nil
	}
	out, err := f.teacher.fwd.run(f.teacher.env, env)
	if err != nil {
		return err
	}
	for _, v := range f.net.teacherOutputs(f.o) {
		env[teacherName(v)] = out["@out/"+v]
	}
	return nil
}

// inputs uploads the input fields of a batch of the network's size.
func (f *feed) inputs(b *data.Batch) (Env, error) { return f.upload(f.fieldsOf(b), 0) }

// batch uploads a batch of the network's size with its targets, the teacher's included.
func (f *feed) batch(b *data.Batch) (Env, error) {
	x, err := f.prepare(b)
	if err != nil {
		return nil, err
	}
	env, err := f.upload(x, 0)
	if err != nil {
		return nil, err
	}
	return env, f.teach(env)
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
