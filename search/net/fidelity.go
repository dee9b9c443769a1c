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
	Name string       `json:"name"`
	Kind measure.Kind `json:"kind"`
	// Error is the root of the squared difference from the original's values over
	// the root of their squares, both summed over all samples: 0 is equal, 1 is as
	// far as zeros are.
	Error float64 `json:"error"`
	// Rows counts the rows of classes, or the elements of Sigmoid. Agreement is the share of
	// rows whose largest class is the original's, of elements on the original's side of one
	// half, Whole the share of samples that agree in every row. Rows is 0 for other outputs.
	Rows      int     `json:"rows,omitempty"`
	Agreement float64 `json:"agreement,omitempty"`
	Whole     float64 `json:"whole,omitempty"`
	// Cosine, of Embedding, is the mean cosine of vectors with the original's.
	Cosine *float64 `json:"cosine,omitempty"`
	// R2, of Values, is 1 less the mean squared difference relative to the variance of the
	// original's, as the loss has it (see Scale).
	R2 *float64 `json:"r2,omitempty"`
}

// Figure is the number that stands for an output: agreement, cosine or R².
func (o OutputError) Figure() measure.Figure {
	switch {
	case o.Cosine != nil:
		return measure.Figure{Name: "cosine", Value: *o.Cosine}
	case o.R2 != nil:
		return measure.Figure{Name: "R²", Value: *o.R2, Points: true}
	case o.Rows > 0:
		return measure.Figure{Name: "agreement", Value: o.Agreement, Points: true}
	}
	return measure.Figure{Name: "distance", Value: o.Error, Lower: true}
}

// Compare measures a network against the original on a view, once, in order, on every output
// that has a meaning. Both need the same batch size, and the original outputs that match;
// values that are not finite
// where the original's are are an error, and so are original's that
// are too large to be compared, of an output that has a weight.
func Compare(ctx context.Context, be engine.Backend, n, original *Network, view data.View) (*Fidelity, error) {
	if view.Len() == 0 {
		return nil, fmt.Errorf("search: compare: %q of %q has no samples", view.Name, view.Set().Spec)
	}
	list := n.Outputs
	if len(list) == 0 {
		return nil, fmt.Errorf("search: compare: the model has no float output")
	}
	var names []string
	for _, x := range list {
		names = append(names, x.Output)
	}
	f, err := NewFeed(be, n, nil, Objective{}, view.Set(), false)
	if err != nil {
		return nil, err
	}
	if err := f.learn(original, list, func(x Meaning) string { return x.Output }); err != nil {
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
	sums := make([]apartness, len(list))
	for k, x := range list {
		sums[k].tally = newTally(Meaning{Kind: measure.Values}, n.Facts.Values[x.Output].Shape(), n.Batch)
	}
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
		for k, l := range list {
			x, err := want[OutName(f.teacher.values[k].Output)].Read()
			if err != nil {
				return err
			}
			y, err := got[OutName(l.Output)].Read()
			if err != nil {
				return err
			}
			sums[k].add(l, x, y, n.Batch, b.Valid)
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
	for k, l := range list {
		if err := sums[k].reach.fault(); err != nil && l.Weight == 0 {
			continue // nor is it learned from
		} else if err != nil {
			return nil, fmt.Errorf("search: compare: output %q on %q of %q: %w", l.Output, view.Name, view.Set().Spec, err)
		}
		e := sums[k].result(l)
		if math.IsNaN(e.Error) || math.IsInf(e.Error, 0) {
			return nil, fmt.Errorf("search: compare: output %q: the values are not finite on %q", l.Output, view.Name)
		}
		r.Outputs = append(r.Outputs, e)
		r.Error = max(r.Error, e.Error)
	}
	return r, nil
}

// apartness sums the distance of one output over batches.
type apartness struct {
	reach                        fillings // of the original's
	apart, power                 float64
	samples, whole, rows, agreed int
	cosine                       float64
	tally                        tally     // of the original's
	off                          []float64 // squared differences by column of tally
}

// add counts the first valid of batch samples, or everything where the leading axis
// is not the batch.
func (a *apartness) add(x Meaning, want, got *prim.Tensor, batch, valid int) {
	count, samples := len(want.F32), 1
	if len(want.Shape) > 0 && want.Shape[0] == batch {
		count, samples = count/batch*valid, valid
	}
	inner := 1
	if a.tally.axis > 0 {
		inner = prim.Prod(a.tally.shape[a.tally.axis+1:])
	}
	if a.off == nil {
		a.off = make([]float64, len(a.tally.mean))
	}
	a.reach.add(want.F32[:count])
	for i, v := range want.F32[:count] {
		if fills(v) && (got.F32[i] == v || fills(got.F32[i])) {
			continue
		}
		d := float64(got.F32[i]) - float64(v)
		a.apart += d * d
		a.power += float64(v) * float64(v)
		a.off[i/inner%len(a.off)] += d * d
	}
	if count == 0 {
		return
	}
	size := count / samples
	for s := range samples {
		w, g := want.F32[s*size:(s+1)*size], got.F32[s*size:(s+1)*size]
		switch {
		case x.Kind == measure.Values:
			a.tally.add(w, 1)
		case x.Kind == measure.Sigmoid:
			half := float32(0.5)
			if x.Raw() {
				half = 0
			}
			a.agree(size, func(i int) bool { return (w[i] > half) == (g[i] > half) })
		default:
			n, step := want.Shape[x.axis], prim.Prod(want.Shape[x.axis+1:])
			row := func(v []float32, r int) []float32 { return strided(v, r/step*n*step+r%step, n, step) }
			if x.Kind == measure.Embedding {
				for r := range size / n {
					a.cosine += cosine(row(w, r), row(g, r))
				}
				a.rows += size / n
				continue
			}
			a.agree(size/n, func(r int) bool { return measure.Largest(row(w, r)) == measure.Largest(row(g, r)) })
		}
	}
}

// agree counts a sample of so many rows.
func (a *apartness) agree(rows int, same func(i int) bool) {
	agreed := 0
	for r := range rows {
		if same(r) {
			agreed++
		}
	}
	a.rows += rows
	a.agreed += agreed
	a.samples++
	if agreed == rows {
		a.whole++
	}
}

// strided returns n elements, step apart.
func strided(v []float32, at, n, step int) []float32 {
	if step == 1 {
		return v[at : at+n]
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = v[at+i*step]
	}
	return out
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, v := range a {
		ab += float64(v) * float64(b[i])
		aa += float64(v) * float64(v)
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(max(aa*bb, 1e-60))
}

func (a *apartness) result(x Meaning) OutputError {
	power := a.power
	if power == 0 {
		power = 1e-30
	}
	e := OutputError{Name: x.Output, Kind: x.Kind, Error: math.Sqrt(a.apart / power)}
	switch {
	case x.Kind == measure.Values && a.tally.samples > 0:
		v := a.tally.variance()
		each := float64(a.tally.samples) * float64(columns(a.tally.shape)) / float64(len(v.v))
		r := 1.0
		for c, off := range a.off {
			r -= off / each / v.v[c] / float64(len(v.v))
		}
		e.R2 = &r
	case x.Kind == measure.Embedding && a.rows > 0:
		c := a.cosine / float64(a.rows)
		e.Cosine = &c
	case a.rows > 0:
		e.Rows, e.Agreement, e.Whole = a.rows, float64(a.agreed)/float64(a.rows), float64(a.whole)/float64(a.samples)
	}
	return e
}
