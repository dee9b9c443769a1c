package entangle

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
)

// Feeder brings the samples of a data set to the inputs of models, to all of them the
// same ones.
type Feeder struct {
	view     data.View
	batch    int
	bindings []*data.Binding // one per model
	inputs   [][]ir.Value    // of each model, in the order of its binding
	idle     [][]ir.Value    // inputs of each model that it does not read
	fixed    bool            // a model fixes its batch: the padded last batch goes in whole
}

// NewFeeder binds each model to the view's set.
func NewFeeder(view data.View, batch int, models ...runtimes.Source) (*Feeder, error) {
	f := &Feeder{view: view}
	set := view.Set()
	batch = min(batch, max(view.Len(), 1)) // what is beyond the samples would be padding
	for _, m := range models {
		b, err := net.Bind(m.Model, set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Label(), err)
		}
		if b.Batch > 0 && f.fixed && b.Batch != batch {
			return nil, fmt.Errorf("%s: data: want batches of %d as the model before it, got %d", m.Label(), batch, b.Batch)
		}
		if b.Batch > 0 {
			batch, f.fixed = b.Batch, true
		}
		f.bindings, f.inputs = append(f.bindings, b), append(f.inputs, net.DataInputs(m.Model))
		f.idle = append(f.idle, net.UnreadInputs(m.Model))
	}
	f.batch = batch
	return f, nil
}

// each gives every batch once, in order.
func (f *Feeder) each(take func(b *data.Batch, err error) bool) {
	loader, err := f.view.Apart().Loader(data.LoaderOptions{Batch: f.batch, Name: "measure"})
	if err != nil {
		take(nil, err)
		return
	}
	defer loader.Close()
	for {
		b, err := loader.Next()
		if !take(b, err) || err != nil || b.Last {
			return
		}
	}
}

// Labelled gives the batches of the first model.
func (f *Feeder) Labelled() iter.Seq2[exporter.Labelled, error] {
	return func(yield func(exporter.Labelled, error) bool) {
		f.each(func(b *data.Batch, err error) bool {
			l := exporter.Labelled{}
			if err == nil {
				l.Feed, err = f.feed(0, b)
			}
			if err == nil && b.Labels != nil {
				l.Samples, l.Shape = b.Valid, f.view.Set().LabelShape
				if size := b.Valid * (b.Labels.Len() / b.Labels.Shape[0]); f.view.Set().FloatLabels {
					l.Numbers = b.Labels.F32[:size]
				} else {
					l.Labels = b.Labels.I64[:size]
				}
			}
			return yield(l, err) && err == nil
		})
	}
}

// Pairs gives the batches of both models.
func (f *Feeder) Pairs() iter.Seq2[[2]exporter.Feed, error] {
	return func(yield func([2]exporter.Feed, error) bool) {
		f.each(func(b *data.Batch, err error) bool {
			var pair [2]exporter.Feed
			for i := range pair {
				if err == nil {
					pair[i], err = f.feed(i, b)
				}
			}
			return yield(pair, err) && err == nil
		})
	}
}

// feed is a batch as a model takes it.
func (f *Feeder) feed(model int, b *data.Batch) (exporter.Feed, error) {
	out := exporter.Feed{}
	for i, v := range f.inputs[model] {
		x, err := ops.ModelTensor(v.Name, v.Type.Elem, f.tensor(model, i, v, b))
		if err != nil {
			return nil, fmt.Errorf("data: input %q: %w", v.Name, err)
		}
		out[v.Name] = x
	}
	return out, f.unread(out, model, b)
}

// unread adds zeros for inputs that the model does not read: one where a size is open.
func (f *Feeder) unread(out exporter.Feed, model int, b *data.Batch) error {
	for _, v := range f.idle[model] {
		shape := slices.Clone(v.Type.Sizes())
		for axis, n := range shape {
			switch {
			case n >= 0:
			case axis == 0 && f.fixed:
				shape[axis] = len(b.Index)
			case axis == 0:
				shape[axis] = b.Valid
			default:
				shape[axis] = cmp.Or(f.bindings[model].Dims[v.Type.Shape[axis].Param], 1)
			}
		}
		x, err := ops.ModelTensor(v.Name, v.Type.Elem, prim.NewTensor(prim.Type{DType: prim.F32, Shape: shape}))
		if err != nil {
			return fmt.Errorf("data: input %q: %w", v.Name, err)
		}
		out[v.Name] = x
	}
	return nil
}

// tensor is input i of a model, before it has the model's element type.
func (f *Feeder) tensor(model, i int, v ir.Value, b *data.Batch) *prim.Tensor {
	bound, rows := f.bindings[model], b.Valid
	if f.fixed {
		rows = len(b.Index)
	}
	if k := bound.Fields[i]; k >= 0 {
		return head(b.Inputs[k], rows).Take(bound.Kept[i])
	}
	shape := slices.Clone(v.Type.Sizes())
	shape[0] = rows
	for axis, n := range shape {
		if n < 0 {
			shape[axis] = 0 // the past
		}
	}
	return prim.F32Tensor(nil, shape...)
}

// head returns the first n rows of t.
func head(t *prim.Tensor, n int) *prim.Tensor {
	if n == t.Shape[0] {
		return t
	}
	shape := append([]int{n}, t.Shape[1:]...)
	size := prim.Prod(shape)
	if t.DType == prim.I64 {
		return prim.I64Tensor(t.I64[:size], shape...)
	}
	return prim.F32Tensor(t.F32[:size], shape...)
}
