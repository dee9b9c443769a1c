package net

import (
	"context"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// Fidelity is how close a network's outputs are to the original's. It needs no labels.
type Fidelity struct {
	Samples int           `json:"samples"` // compared
	Error   float64       `json:"error"`   // the largest of the outputs' errors
	Outputs []OutputError `json:"outputs"`
}

// OutputError is the distance of one output.
type OutputError struct {
	Name string `json:"name"`
	// Error is the root of the squared difference from the original's values over
	// the root of their squares, both summed over all samples: 0 is equal, 1 is as
	// far as zeros are.
	Error float64 `json:"error"`
	// Rows counts the rows of classes on the last axis of logits and of probabilities,
	// Agreement is the share of them whose largest class is the original's, Whole the
	// share of samples that agree in every row. Rows is 0 for other outputs.
	Rows      int     `json:"rows,omitempty"`
	Agreement float64 `json:"agreement,omitempty"`
	Whole     float64 `json:"whole,omitempty"`
}

// Compare measures a network against the original on a view, once, in order: on
// the logits of a classifier, on every float output of other models. Both need the same
// batch size, and the original outputs that match; values that are not finite are an error.
func Compare(ctx context.Context, be engine.Backend, n, original *Network, view data.View) (*Fidelity, error) {
	if view.Len() == 0 {
		return nil, fmt.Errorf("search: compare: %q of %q has no samples", view.Name, view.Set().Spec)
	}
	lessons := n.lessons()
	if len(lessons) == 0 {
		return nil, fmt.Errorf("search: compare: the model has no float output")
	}
	var names []string
	for _, l := range lessons {
		names = append(names, l.output)
	}
	f, err := NewFeed(be, n, nil, Objective{}, view.Set(), false)
	if err != nil {
		return nil, err
	}
	if err := f.learn(original, func(l lesson) string { return l.output }); err != nil {
		return nil, fmt.Errorf("search: compare: original: %w", err)
	}
	fwd, err := n.Forward(be, names...)
	if err != nil {
		return nil, err
	}
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return nil, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Name: "compare"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r := &Fidelity{}
	sums := make([]apartness, len(lessons))
	err = l.Each(func(b *data.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := f.inputs(b)
		if err != nil {
			return err
		}
		want, err := f.teacher.run(in)
		if err != nil {
			return err
		}
		got, err := fwd.Run(env, in)
		if err != nil {
			return err
		}
		for k, l := range lessons {
			x, err := want[OutName(f.teacher.values[k].output)].Read()
			if err != nil {
				return err
			}
			y, err := got[OutName(l.output)].Read()
			if err != nil {
				return err
			}
			sums[k].add(x, y, n.Batch, b.Valid, l.logits)
		}
		r.Samples += b.Valid
		in.Free()
		want.Free()
		got.Free()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, l := range lessons {
		e := sums[k].result(l.output)
		if math.IsNaN(e.Error) || math.IsInf(e.Error, 0) {
			return nil, fmt.Errorf("search: compare: output %q: the values are not finite on %q", l.output, view.Name)
		}
		r.Outputs = append(r.Outputs, e)
		r.Error = max(r.Error, e.Error)
	}
	return r, nil
}

// apartness sums the distance of one output over batches.
type apartness struct {
	apart, power                 float64
	samples, whole, rows, agreed int
}

// add counts the first valid of batch samples, or everything where the leading axis
// is not the batch. Classes says that the last axis holds classes.
func (a *apartness) add(want, got *prim.Tensor, batch, valid int, classes bool) {
	count, samples := len(want.F32), 1
	if len(want.Shape) > 0 && want.Shape[0] == batch {
		count, samples = count/batch*valid, valid
	}
	for i, v := range want.F32[:count] {
		d := float64(got.F32[i]) - float64(v)
		a.apart += d * d
		a.power += float64(v) * float64(v)
	}
	if !classes || count == 0 {
		return
	}
	width := want.Shape[len(want.Shape)-1]
	rows := count / samples / width
	for s := range samples {
		same := 0
		for r := s * rows; r < (s+1)*rows; r++ {
			if measure.Largest(want.F32[r*width:(r+1)*width]) == measure.Largest(got.F32[r*width:(r+1)*width]) {
				same++
			}
		}
		a.rows += rows
		a.agreed += same
		a.samples++
		if same == rows {
			a.whole++
		}
	}
}

func (a *apartness) result(name string) OutputError {
	e := OutputError{Name: name, Error: math.Sqrt(a.apart / max(a.power, 1e-30)), Rows: a.rows}
	if a.rows > 0 {
		e.Agreement, e.Whole = float64(a.agreed)/float64(a.rows), float64(a.whole)/float64(a.samples)
	}
	return e
}
