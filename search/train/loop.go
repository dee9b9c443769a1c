package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// Loop is what training and search share: weight steps on batches, the position between
// them, events and checkpoints. The caller takes the steps:
//
//	Resume, then until Pos.Step is Total: Stop, Take, WeightStepOn, Eval, Tick; then Finish.
type Loop struct {
	Batches
	Net      *net.Network
	Hooks    Hooks
	Plan     optim.Plan
	Env      net.Env // parameters, statistics and the optimiser's state
	Total    int     // steps of the run
	PerEpoch int     // steps of an epoch
	Pos      Position
	settings Weights
	mover    mover
	best     *keeper // nil: the last state counts
	losses   losses
	start    time.Time
}

// NewLoop prepares weight steps of a network on a view, which must have labels where the
// objective asks for them and samples for a step; it loads the network's weights. teach may
// be nil unless the objective distils. Name tells apart the draws of loops of one stage.
func NewLoop(be engine.Backend, n, teach *net.Network, view data.View, c Weights, seed uint64, h Hooks, name string) (*Loop, error) {
	if h.Stage == "" {
		h.Stage = "train"
	}
	l := &Loop{Net: n, Hooks: h, Env: net.Env{}, settings: c, start: time.Now()}
	method, err := l.check(view)
	if err != nil {
		return nil, err
	}
	if l.Batches, err = openBatches(be, n, teach, view, c, seed, h.Stage+"/"+name); err != nil {
		return nil, err
	}
	if err := l.schedule(view.Len()); err != nil {
		return nil, err
	}
	if l.mover, err = newMover(be, n, c, l.Feed.Labels, method); err != nil {
		return nil, err
	}
	if err := n.Load(be, l.Env); err != nil {
		return nil, err
	}
	if err := l.mover.load(be, n, c.Hyper, l.Env); err != nil {
		return nil, err
	}
	l.Pos = Position{Run: l.Fingerprint(view), Loaders: map[string]data.State{}, Streams: map[string][]byte{}}
	return l, nil
}

// check reports settings that do not go with the network or the view, and returns the
// optimiser that they name.
func (l *Loop) check(view data.View) (m optim.Method, err error) {
	c := l.settings
	if c.Epochs == Auto {
		return m, fmt.Errorf("%s: epochs: want a number, got auto", l.Hooks.Stage)
	}
	if !(c.Rate > 0) {
		return m, fmt.Errorf("%s: lr: want a number > 0, got %g", l.Hooks.Stage, c.Rate)
	}
	if c.Accumulate < 0 {
		return m, fmt.Errorf("%s: accumulate: want 1 or more micro-batches, got %d", l.Hooks.Stage, c.Accumulate)
	}
	if batch := l.Net.Batch * c.Parts(); view.Len() < batch {
		return m, fmt.Errorf("%s: want at least one batch of %d training samples, got %d", l.Hooks.Stage, batch, view.Len())
	}
	if err := c.Objective.Check(l.Net, labelled(view)); err != nil {
		return m, err
	}
	if m, err = optim.ByName(c.Optimiser); err != nil {
		return m, err
	}
	return m, c.Hyper.Check()
}

// schedule sets the steps of the run over so many samples, their learning rates, and where
// it keeps checkpoints.
func (l *Loop) schedule(samples int) error {
	l.PerEpoch = l.Loader.Batches()
	l.Plan = l.settings.plan(l.PerEpoch)
	if l.Total = l.Plan.Total; l.Total < 1 {
		return fmt.Errorf("%s: epochs: want at least one step of %d samples, got %g epochs of %d samples", l.Hooks.Stage, l.Net.Batch*l.settings.Parts(), float64(l.settings.Epochs), samples)
	}
	if l.Hooks.LogEvery == 0 {
		l.Hooks.LogEvery = min(max(l.Total/20, 1), 20)
	}
	if l.Hooks.Every == 0 {
		l.Hooks.Every = l.PerEpoch
	}
	return l.Plan.Check()
}

// WeightStepOn moves the weights by one batch and the position by one step; coef holds the
// coefficients of an entangled network, nil for a plain one. The batch is used up, coef
// stays the caller's.
func (l *Loop) WeightStepOn(x *net.Batch, coef net.Env) error {
	rate, err := l.Number(net.RateName, float32(l.Plan.At(l.Pos.Step)))
	if err != nil {
		return err
	}
	share := reading{step: l.Pos.Step, samples: float64(x.Batch.Valid) / float64(x.Parts), counted: l.Net.Counted(x.Batch) / float64(x.Parts)}
	for i := range x.Parts {
		out, err := l.RunPart(l.mover.batch, l.Env, x, i, int64(l.Pos.Step*x.Parts+i), coef, rate)
		if err != nil {
			return err
		}
		l.losses.add(share, out)
		out.Free()
	}
	if l.mover.update != nil {
		out, err := l.mover.update.Run(l.Env, rate)
		if err != nil {
			return err
		}
		out.Free()
	}
	rate.Free()
	l.Pos.Step++
	return nil
}

// Tick observes and checkpoints after a step, when their time has come; fill, when not
// nil, completes the event.
func (l *Loop) Tick(fill func(*Event)) error {
	s := l.Pos.Step
	if s%l.Hooks.LogEvery == 0 && s+l.Hooks.LogEvery <= l.Total || s == l.Total {
		if err := l.report(fill); err != nil {
			return err
		}
	}
	if l.Hooks.Checkpoint != "" && s%l.Hooks.Every == 0 && s < l.Total {
		return l.save()
	}
	return nil
}

// report sends a "step" event with what steps said since the last, if they said anything.
func (l *Loop) report(fill func(*Event)) error {
	if err := l.losses.read(l.Hooks.Stage); err != nil || l.Hooks.Observe == nil || l.losses.seen == 0 {
		return err
	}
	e := l.event("step")
	e.Wait = l.waited.Seconds()
	e.Loss, e.Accuracy = l.losses.take()
	e.Rate = l.Plan.At(l.Pos.Step - 1)
	if fill != nil {
		fill(&e)
	}
	l.Hooks.Observe(e)
	return nil
}

func (l *Loop) event(kind string) Event {
	return Event{Stage: l.Hooks.Stage, Kind: kind, Step: l.Pos.Step, Total: l.Total, Epoch: float64(l.Pos.Step) / float64(l.PerEpoch), Seconds: time.Since(l.start).Seconds()}
}

// Eval scores the network on val, with the buffers of env, and adds an "eval" event to the
// curve. When ctx ends meanwhile it does as Stop. A score that is not finite is an error that
// wraps ErrDiverged.
func (l *Loop) Eval(ctx context.Context, ev *net.Evaluator, env net.Env, val data.View) error {
	if err := l.losses.read(l.Hooks.Stage); err != nil {
		return err
	}
	s, err := ev.Score(ctx, env, val)
	if err != nil {
		if ctx.Err() != nil {
			return l.Stop(ctx)
		}
		return err
	}
	return l.tell(s.Loss, s)
}

// tell adds an "eval" event to the curve; the score may be nil. A loss that is not finite is an
// error that wraps ErrDiverged.
func (l *Loop) tell(loss float64, s *net.Score) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%s: validation after step %d: %w (%g): lower the learning rate or clip gradients", l.Hooks.Stage, l.Pos.Step, ErrDiverged, loss)
	}
	e := l.event("eval")
	e.Loss = loss
	e.scored(s)
	l.Pos.Curve = append(l.Pos.Curve, e)
	if l.Hooks.Observe != nil {
		l.Hooks.Observe(e)
	}
	return nil
}

// Stop checkpoints and returns an *Interrupted when the context is done, nil while it is not.
func (l *Loop) Stop(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if err := l.Finish(); err != nil {
		return err
	}
	return &Interrupted{l.Hooks.Stage, l.Pos.Step, l.Hooks.Checkpoint}
}

// Finish checkpoints where the run stands, when it keeps any. At the end of a run it lets
// running it again give its result.
func (l *Loop) Finish() error {
	if l.Hooks.Checkpoint == "" {
		return nil
	}
	return l.save()
}

// Close ends the reading of batches. The buffers of Env stay.
func (l *Loop) Close() { l.Loader.Close() }
