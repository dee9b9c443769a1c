package search

import (
	"context"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
)

// Fidelity is how close a network's outputs are to the original's. It needs no labels.
type Fidelity struct {
	Samples int           `json:"samples"`
	Error   float64       `json:"error"` // the largest of the outputs' errors
	Outputs []OutputError `json:"outputs"`
}

// OutputError is the distance of one output.
type OutputError struct {
	Name string `json:"name"`
	// Error is the root of the squared difference from the original's values over
	// the root of their squares, both summed over all samples: 0 is equal, 1 is as
	// far as zeros are.
	Error float64 `json:"error"`
}

// Compare measures a network against the original on a view, once, in order: on
// the logits of a classifier, on every float output of other models.
func Compare(ctx context.Context, be engine.Backend, n, original *Network, view data.View) (*Fidelity, error) {
	if view.Len() == 0 {
		return nil, fmt.Errorf("search: compare: %q of %q has no samples", view.Name, view.Set().Spec)
	}
	all := Objective{Distill: 1, Temperature: 1}
	names := original.teacherOutputs(all)
	if len(names) == 0 {
		return nil, fmt.Errorf("search: compare: the model has no float output")
	}
	f, err := newFeed(be, n, original, all, view.Set(), false)
	if err != nil {
		return nil, err
	}
	fwd, err := n.forward(be, names...)
	if err != nil {
		return nil, err
	}
	env := Env{}
	if err := n.load(be, env); err != nil {
		return nil, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Name: "compare"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r := &Fidelity{}
	apart, power := make([]float64, len(names)), make([]float64, len(names))
	err = l.Each(func(b *data.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := f.batch(b)
		if err != nil {
			return err
		}
		out, err := fwd.run(env, in)
		if err != nil {
			return err
		}
		for k, name := range names {
			got, err := out["@out/"+name].Read()
			if err != nil {
				return err
			}
			want, err := in[teacherName(name)].Read()
			if err != nil {
				return err
			}
			count := len(want.F32)
			if len(want.Shape) > 0 && want.Shape[0] == n.Batch {
				count = count / n.Batch * b.Valid
			}
			for i, v := range want.F32[:count] {
				d := float64(got.F32[i]) - float64(v)
				apart[k] += d * d
				power[k] += float64(v) * float64(v)
			}
		}
		r.Samples += b.Valid
		in.free()
		out.free()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, name := range names {
		e := math.Sqrt(apart[k] / max(power[k], 1e-30))
		if math.IsNaN(e) || math.IsInf(e, 0) {
			return nil, fmt.Errorf("search: compare: output %q: the values are not finite on %q", name, view.Name)
		}
		r.Outputs = append(r.Outputs, OutputError{name, e})
		r.Error = max(r.Error, e)
	}
	return r, nil
}
