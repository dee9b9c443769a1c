package main

import (
	"fmt"
	"iter"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
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

// feeder brings the samples of a data set to a model's inputs.
type feeder struct {
	loader *data.Loader
	inputs []*ir.Value // one per field of the set; nil for a field that the model does not take
	fixed  bool        // the model fixes its batch: the padded last batch goes in whole
}

// newFeeder matches the fields of the part's set with the model's inputs.
func newFeeder(g *ir.Graph, p *data.Part, batch int) (*feeder, error) {
	f := &feeder{}
	feeds := runtimes.FeedNames(g)
	set := p.All().Set()
	f.inputs = make([]*ir.Value, len(set.Fields))
	for _, name := range feeds {
		k := fieldOf(set, name, len(feeds))
		if k < 0 {
			return nil, fmt.Errorf("data: input %q: want a field of that name in %s", name, set.Spec)
		}
		v, ok := input(g, name)
		if !ok {
			return nil, fmt.Errorf("BUG: data: feed %q is no input", name)
		}
		if f.inputs[k] = &v; len(v.Type.Shape) > 0 && v.Type.Shape[0].Known() {
			batch, f.fixed = v.Type.Shape[0].Size, true
		}
	}
	for k, field := range set.Fields {
		if f.inputs[k] == nil && !field.Optional {
			return nil, fmt.Errorf("data: field %q: want one of the model's inputs %q", field.Name, feeds)
		}
	}
	var err error
	f.loader, err = p.All().Apart().Loader(data.LoaderOptions{Batch: batch, Name: "measure"})
	return f, err
}

// fieldOf returns the field for one of a model's inputs, or -1.
func fieldOf(set *data.Set, name string, inputs int) int {
	k := set.Field(name)
	if k < 0 && inputs == 1 {
		k = set.Sole()
	}
	return k
}

func input(g *ir.Graph, name string) (ir.Value, bool) {
	for _, v := range g.Inputs {
		if v.Name == name {
			return v, true
		}
	}
	return ir.Value{}, false
}

// batches gives every sample once, in order.
func (f *feeder) batches() iter.Seq2[exporter.Labelled, error] {
	return func(yield func(exporter.Labelled, error) bool) {
		defer f.loader.Close()
		for {
			b, err := f.loader.Next()
			if err != nil {
				yield(exporter.Labelled{}, err)
				return
			}
			l, err := f.labelled(b)
			if !yield(l, err) || err != nil || b.Last {
				return
			}
		}
	}
}

func (f *feeder) labelled(b *data.Batch) (exporter.Labelled, error) {
	l := exporter.Labelled{Feed: exporter.Feed{}}
	for i, t := range b.Inputs {
		v := f.inputs[i]
		if v == nil {
			continue
		}
		if !f.fixed {
			t = head(t, b.Valid)
		}
		x, err := ops.ModelTensor(v.Name, v.Type.Elem, t)
		if err != nil {
			return l, fmt.Errorf("data: input %q: %w", v.Name, err)
		}
		l.Feed[v.Name] = x
	}
	if b.Labels != nil {
		size := b.Labels.Len() / b.Labels.Shape[0]
		l.Labels = b.Labels.I64[:b.Valid*size]
		if len(b.Labels.Shape) > 1 {
			l.Positions = size
		}
	}
	return l, nil
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

// feeds drops the labels.
func feeds(in iter.Seq2[exporter.Labelled, error]) iter.Seq2[exporter.Feed, error] {
	return func(yield func(exporter.Feed, error) bool) {
		for l, err := range in {
			if !yield(l.Feed, err) {
				return
			}
		}
	}
}
