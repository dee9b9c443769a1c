package train

import (
	"context"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
)

// Hooks are a run's connections to the outside.
type Hooks struct {
	Observe    func(Event) // called between steps, from the caller's goroutine; nil: none
	Checkpoint string      // file; "" keeps none
	Every      int         // steps between checkpoints; 0: one per epoch
	LogEvery   int         // steps between "step" events, the last of which takes what is left; 0: a twentieth of the run, at most 20
	Stage      string      // name in events and messages; "": "train"
}

// Result is what training gives.
type Result struct {
	Weights map[string]*ir.Tensor // parameters and statistics by name, in the model's own dtypes
	Curve   []Event               // "eval" events
	Best    *Best                 // state that Weights are of; nil: the last
}

// Train trains every parameter of a plain network on a view. teach may be nil
// unless the objective distils; val, when not empty, is looked at before the first step and after
// every epoch, and the state that is best there counts, the network's own among them.
// With a checkpoint in h it goes on where a run of the same settings stopped.
//
// When ctx ends it returns an *Interrupted, when the loss does an error that wraps
// ErrDiverged.
func Train(ctx context.Context, be engine.Backend, n, teach *net.Network, view, val data.View, c Weights, seed uint64, h Hooks) (*Result, error) {
	l, err := NewLoop(be, n, teach, view, c, seed, h, "weights")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Resume(); err != nil {
		return nil, err
	}
	if val.Len() > 0 {
		if err := l.keeps(ctx, teach, val); err != nil {
			return nil, err
		}
	}
	for l.Pos.Step < l.Total {
		if err := l.Stop(ctx); err != nil {
			return nil, err
		}
		x, err := l.Take(l.Loader, l.Feed)
		if err != nil {
			return nil, err
		}
		if err := l.WeightStepOn(x, nil); err != nil {
			return nil, err
		}
		if l.best != nil && (l.Pos.Step%l.PerEpoch == 0 || l.Pos.Step == l.Total) {
			if err := l.best.look(ctx); err != nil {
				return nil, err
			}
		}
		if err := l.Tick(nil); err != nil {
			return nil, err
		}
	}
	if err := l.Finish(); err != nil {
		return nil, err
	}
	if l.best != nil && l.Pos.Best.Step < l.Total {
		w, err := l.best.weights()
		return &Result{w, l.Pos.Curve, l.Pos.Best}, err
	}
	w, err := n.Weights(l.Env)
	return &Result{w, l.Pos.Curve, l.Pos.Best}, err
}
