package search

import (
	"context"
	"fmt"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/space"
)

// Importance lists the ways of ordering a width's units.
var Importance = []string{"taylor", "magnitude", "none"}

// Order ranks the units of every width by importance: "taylor" (first-order change
// of the loss on batches of view), "magnitude" (norm of the weights) or "none".
func Order(ctx context.Context, be engine.Backend, n, teach *Network, an *space.Analysis, s *space.Space, how string, view data.View, o Objective, batches int, seed uint64) error {
	switch how {
	case "none":
		return nil
	case "magnitude":
		sc, err := space.Magnitude(an, s)
		if err == nil {
			s.SetOrder(sc)
		}
		return err
	case "taylor":
	default:
		return fmt.Errorf("search: importance %q: want one of %v", how, Importance)
	}
	labelled := view.Part().Labels != nil && n.Classes > 0
	if err := o.Check(n, labelled); err != nil {
		return err
	}
	st, err := n.gradientStep(be, o, labelled)
	if err != nil {
		return err
	}
	f, err := newFeed(be, n, teach, o, view.Set(), labelled)
	if err != nil {
		return err
	}
	env := Env{}
	if err := n.load(be, env); err != nil {
		return err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Shuffle: true, DropLast: view.Len() >= n.Batch, Seed: seed, Name: "importance"})
	if err != nil {
		return err
	}
	defer l.Close()
	var total space.Scores
	for range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := l.Next()
		if err != nil {
			return err
		}
		in, err := f.batch(b)
		if err != nil {
			return err
		}
		out, err := st.run(env, in)
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
		in.free()
		out.free()
		sc, err := space.Taylor(an, s, grads)
		if err != nil {
			return err
		}
		if total == nil {
			total = sc
			continue
		}
		for i := range sc {
			for u, v := range sc[i] {
				total[i][u] += v
			}
		}
	}
	s.SetOrder(total)
	return nil
}
