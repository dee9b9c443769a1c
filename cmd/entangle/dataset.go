package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
)

func partFlag() cli.Flag {
	return &cli.StringFlag{Name: "part", Usage: "part to measure on: test, val or train", Category: groupData, Value: "test"}
}

// openPart opens the job's data for a model and returns the part that --part names.
func openPart(c *cli.Context, m *entangle.Model, j entangle.Job) (*data.Part, error) {
	set, err := entangle.OpenData(m, j.Data)
	if err != nil {
		return nil, err
	}
	want := c.String("part")
	if p := set.Part(want); p != nil {
		return p, nil
	}
	var have []string
	for _, p := range set.Parts {
		have = append(have, p.Name)
	}
	return nil, usagef("--part: want one of %s, got %q", strings.Join(have, ", "), want)
}

// feeder brings the samples of a data set to the inputs of models, to all of them the
// same ones.
type feeder struct {
	loader   *data.Loader
	bindings []*data.Binding // one per model
	inputs   [][]ir.Value    // of each model, in the order of its binding
	fixed    bool            // a model fixes its batch: the padded last batch goes in whole
}

// newFeeder binds each model to the part's set.
func newFeeder(p *data.Part, batch int, models ...runtimes.Source) (*feeder, error) {
	f := &feeder{}
	set := p.All().Set()
	batch = min(batch, max(p.Len(), 1)) // what is beyond the samples would be padding
	for _, m := range models {
		b, err := set.Bind(net.Inputs(m.Model))
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
	}
	var err error
	f.loader, err = p.All().Apart().Loader(data.LoaderOptions{Batch: batch, Name: "measure"})
	return f, err
}

// each gives every batch once, in order.
func (f *feeder) each(take func(b *data.Batch, err error) bool) {
	defer f.loader.Close()
	for {
		b, err := f.loader.Next()
		if !take(b, err) || err != nil || b.Last {
			return
		}
	}
}

// labelled gives the batches of the first model.
func (f *feeder) labelled() iter.Seq2[exporter.Labelled, error] {
	return func(yield func(exporter.Labelled, error) bool) {
		f.each(func(b *data.Batch, err error) bool {
			l := exporter.Labelled{}
			if err == nil {
				l.Feed, err = f.feed(0, b)
			}
			if err == nil && b.Labels != nil {
				size := b.Labels.Len() / b.Labels.Shape[0]
				l.Labels = b.Labels.I64[:b.Valid*size]
				if len(b.Labels.Shape) > 1 {
					l.Positions = size
				}
			}
			return yield(l, err) && err == nil
		})
	}
}

// pairs gives the batches of both models.
func (f *feeder) pairs() iter.Seq2[[2]exporter.Feed, error] {
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
func (f *feeder) feed(model int, b *data.Batch) (exporter.Feed, error) {
	out := exporter.Feed{}
	for i, v := range f.inputs[model] {
		x, err := ops.ModelTensor(v.Name, v.Type.Elem, f.tensor(model, i, v, b))
		if err != nil {
			return nil, fmt.Errorf("data: input %q: %w", v.Name, err)
		}
		out[v.Name] = x
	}
	return out, nil
}

// tensor is input i of a model, before it has the model's element type.
func (f *feeder) tensor(model, i int, v ir.Value, b *data.Batch) *prim.Tensor {
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
