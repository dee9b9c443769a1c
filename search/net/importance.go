package net

import (
	"context"
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/space"
)

// Tell hears how many of a number of parts of some work are done.
type Tell func(done, total int)

func (t Tell) done(done, total int) {
	if t != nil {
		t(done, total)
	}
}

// Importance lists the ways of ordering a width's units, as Order takes them.
var Importance = []string{"obs", "taylor", "magnitude", "none"}

// Order ranks the units of every width of s, in place, by importance: "obs" (what the layers
// that read them lose when their other weights are fitted to what goes; where none reads them
// through weights, as taylor), "taylor" (first-order change of the loss on batches of view),
// "magnitude" (norm of the weights) or "none".
// Distillation alone has no slope at the original: there, "taylor" estimates the
// first-order change of the outputs instead, by its square along random signs; of
// probabilities p that of √p, of a yes or no that of asin √p, whose squares are a quarter of
// the curvature of KL(p ‖ ·).
// Tell, which may be nil, hears of the parts of the work that are done.
func Order(ctx context.Context, be engine.Backend, n, teach *Network, an *space.Analysis, s *space.Space, how string, view data.View, o Objective, batches int, seed uint64, tell Tell) error {
	switch how {
	case "none":
		return nil
	case "magnitude":
		sc, err := space.Magnitude(an, s)
		if err == nil {
			s.SetOrder(sc)
		}
		return err
	case "obs":
		sc, err := readerScores(ctx, be, n, an, s, view, batches, seed, tell)
		if err != nil {
			return err
		}
		rest := false
		for i, d := range s.Dims {
			rest = rest || d.CountsUnits() && sc[i] == nil
		}
		if rest {
			if err := Order(ctx, be, n, teach, an, s, "taylor", view, o, batches, seed, tell); err != nil {
				return err
			}
		}
		s.SetOrder(sc)
		return nil
	case "taylor":
	default:
		return fmt.Errorf("search: importance %q: want one of %v", how, Importance)
	}
	labelled := n.Learns(view.Part())
	if err := o.Check(n, labelled); err != nil {
		return err
	}
	probe := o.Labels == 0
	var st *Step
	var err error
	if probe {
		st, err = n.probeStep(be, o.Temperature)
		o.Distill = 0
	} else {
		st, err = n.gradientStep(be, o, labelled)
	}
	if err != nil {
		return err
	}
	f, err := NewFeed(be, n, teach, o, view.Set(), labelled && !probe)
	if err != nil {
		return err
	}
	signs := rng.New(seed, "importance/probe")
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return err
	}
	var total space.Scores
	err = n.sample(ctx, view, batches, seed, "importance", func(i int, b *data.Batch) error {
		defer func() { tell.done(i+1, batches) }()
		in, err := f.batch(b)
		if err != nil {
			return err
		}
		if probe {
			if err := n.probes(be, signs, in); err != nil {
				return err
			}
		}
		out, err := st.Run(env, in)
		if err != nil {
			return err
		}
		grads := map[string][]float32{}
		for _, p := range n.Params {
			t, err := out[gradName(p)].Read()
			if err != nil {
				return err
			}
			grads[p] = t.F32
		}
		in.Free()
		out.Free()
		sc, err := space.Taylor(an, s, grads)
		if err != nil {
			return err
		}
		if total == nil {
			total = sc
			return nil
		}
		for i := range sc {
			for u, v := range sc[i] {
				total[i][u] += v
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.SetOrder(total)
	return nil
}

func probeName(output string) string { return "@probe/" + output }

// probeStep compiles the gradient of Σ sign·y / √Σy² over the outputs y that a
// teacher would give; signs are inputs. For logits y is the root of their softmax at
// the temperature.
func (n *Network) probeStep(be engine.Backend, temperature float64) (*Step, error) {
	g, err := n.Lower(false)
	if err != nil {
		return nil, err
	}
	b := g.Builder
	total := prim.Invalid
	list, _ := n.taught()
	for _, x := range list {
		y := g.values[x.value]
		signs := g.beside(probeName(x.value), x.value)
		switch {
		case x.Kind.Distributes():
			y = rowsOf(b, y, x.axis)
			signs = rowsOf(b, signs, x.axis)
			y = b.Map(prim.Op(prim.Exp, prim.Op(prim.Mul, prim.A(0), prim.L(0.5))), logSoftmax(b, b.Scale(y, 1/temperature)))
		case x.Kind == measure.Sigmoid:
			y = b.Map(prim.Op(prim.Atan, prim.Op(prim.Exp, prim.Op(prim.Mul, prim.A(0), prim.L(0.5)))), b.Clip(y, -60, 60))
		}
		power := b.StopGrad(scalarMean(b, 1, prim.Op(prim.Mul, prim.A(0), prim.A(0)), y))
		part := b.Map(prim.Op(prim.Div, prim.A(0), prim.Op(prim.Sqrt, prim.Op(prim.Add, prim.A(1), prim.L(1e-8)))),
			scalarMean(b, 1, prim.Op(prim.Mul, prim.A(0), prim.A(1)), signs, y), power)
		total = plus(b, total, part)
	}
	if total == prim.Invalid {
		return nil, fmt.Errorf("search: importance: the model has no float output")
	}
	return n.compileGradients(be, g, total)
}

// probes uploads random signs for every probed output.
func (n *Network) probes(be engine.Backend, r *rng.Stream, in Env) error {
	for _, v := range n.teacherOutputs(Objective{Distill: 1}) {
		if in[probeName(v)] != nil { // of two outputs, as logits and their Softmax are
			continue
		}
		t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: n.Facts.Values[v].Shape()})
		for i := range t.F32 {
			t.F32[i] = float32(2*r.IntN(2) - 1)
		}
		var err error
		if in[probeName(v)], err = be.Upload(t); err != nil {
			return err
		}
	}
	return nil
}
