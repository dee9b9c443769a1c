package net

import (
	"context"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// perturbation is how far weights are moved from the original before their gradients are
// looked at, as a share of their root mean square: at the original itself, distillation has none.
const perturbation = 0.05

// CheckGradient reports an objective from which no parameter gets a gradient, by a batch of a
// view and weights near the network's. teach may be nil unless the objective distils.
func (n *Network) CheckGradient(ctx context.Context, be engine.Backend, teach *Network, o Objective, view data.View, seed uint64) error {
	labelled := n.Learns(view.Part())
	if err := o.Check(n, labelled); err != nil {
		return err
	}
	st, err := n.gradientStep(be, o, labelled)
	if err != nil {
		return err
	}
	f, err := NewFeed(be, n, teach, o, view.Set(), labelled)
	if err != nil {
		return err
	}
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return err
	}
	draw := rng.New(seed, "objective/perturbation")
	for _, p := range n.Params {
		t, err := env[ParamName(p)].Read()
		if err != nil {
			return err
		}
		square := 0.0
		for _, v := range t.F32 {
			square += float64(v) * float64(v)
		}
		step := perturbation * max(math.Sqrt(square/float64(max(len(t.F32), 1))), 1e-3)
		moved := prim.NewTensor(t.Type)
		for i, v := range t.F32 {
			moved.F32[i] = v + float32(step*draw.NormFloat64())
		}
		if env[ParamName(p)], err = be.Upload(moved); err != nil {
			return err
		}
	}
	found := false
	err = n.sample(ctx, view, 1, seed, "gradient", func(_ int, b *data.Batch) error {
		in, err := f.batch(b)
		if err != nil {
			return err
		}
		out, err := st.Run(env, in)
		if err != nil {
			return err
		}
		defer out.Free()
		for _, p := range n.Params {
			t, err := out[gradName(p)].Read()
			if err != nil {
				return err
			}
			for _, v := range t.F32 {
				if v != 0 {
					found = true
					return nil
				}
			}
		}
		return nil
	})
	if err == nil && !found {
		var list []string
		for _, x := range n.Outputs {
			list = append(list, fmt.Sprintf("%q as %s", x.Output, x.Kind))
		}
		err = fmt.Errorf("search: objective: no parameter gets a gradient from the outputs %v: --output NAME=KIND says what an output is", list)
	}
	return err
}
