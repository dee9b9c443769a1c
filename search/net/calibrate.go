package net

import (
	"context"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Calibrated returns a plain network and its model with running statistics moved over so
// many shuffled batches of a view, augmented as steps say, weights untouched. Without statistics
// nothing changes.
func (n *Network) Calibrated(ctx context.Context, be engine.Backend, view data.View, batches int, seed uint64, augment ...data.Step) (*ir.Model, *Network, error) {
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return nil, nil, err
	}
	if err := n.calibrate(ctx, be, env, view, batches, seed, augment); err != nil {
		return nil, nil, err
	}
	w, err := n.Weights(env)
	if err != nil {
		return nil, nil, err
	}
	return n.With(w)
}

// With returns the network and its model with other weights by name, as WithWeights does; the
// receiver stays as it is.
func (n *Network) With(w map[string]*ir.Tensor) (*ir.Model, *Network, error) {
	m := WithWeights(n.Model, w)
	f, err := ops.InferModel(m, n.Facts.Bind)
	if err != nil {
		return nil, nil, err
	}
	c := *n
	c.Model, c.Facts = m, f
	return m, &c, nil
}

// calibrate moves running statistics over batches of the view, weights untouched.
func (n *Network) calibrate(ctx context.Context, be engine.Backend, env Env, view data.View, batches int, seed uint64, augment []data.Step) error {
	st, err := n.calibrateStep(be)
	if err != nil || st == nil {
		return err
	}
	f, err := NewFeed(be, n, nil, Objective{}, view.Set(), false)
	if err != nil {
		return err
	}
	return n.augmented(ctx, view, batches, seed, "calibrate", augment, func(i int, b *data.Batch) error {
		in, err := f.inputs(b)
		if err != nil {
			return err
		}
		if in[SeedName], err = be.Upload(prim.I64Tensor([]int64{int64(seed), int64(i)}, 2)); err != nil {
			return err
		}
		out, err := st.Run(env, in)
		if err != nil {
			return err
		}
		in.Free()
		out.Free()
		return nil
	})
}

// sample calls f with so many shuffled batches of a view, which has at least one sample;
// fewer than a batch are padded. Name tells apart the draws of one seed.
func (n *Network) sample(ctx context.Context, view data.View, batches int, seed uint64, name string, f func(i int, b *data.Batch) error) error {
	return n.augmented(ctx, view, batches, seed, name, nil, f)
}

// augmented is sample of augmented batches.
func (n *Network) augmented(ctx context.Context, view data.View, batches int, seed uint64, name string, augment []data.Step, f func(i int, b *data.Batch) error) error {
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Shuffle: true, DropLast: view.Len() >= n.Batch, Augment: augment, Seed: seed, Name: name})
	if err != nil {
		return err
	}
	defer l.Close()
	for i := range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := l.Next()
		if err != nil {
			return err
		}
		if err := f(i, b); err != nil {
			return err
		}
	}
	return nil
}
