package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/optim"
	"github.com/entangle-nas/entangle/space"
)

// Weights says how weights are trained.
type Weights struct {
	Epochs    float64     `json:"epochs" yaml:"epochs"` // passes over the training view; fractions count steps
	Optimiser string      `json:"optimiser" yaml:"optimiser"`
	Hyper     optim.Hyper `json:"hyper" yaml:"hyper"`
	Rate      float64     `json:"lr" yaml:"lr"`
	MinRate   float64     `json:"min_lr" yaml:"min_lr"`
	Warmup    float64     `json:"warmup" yaml:"warmup"` // epochs, at most a quarter of the run
	Schedule  string      `json:"schedule" yaml:"schedule"`
	Clip      float64     `json:"clip" yaml:"clip"` // of the global gradient norm; 0 is none
	// Accumulate is the number of micro-batches of a step, each of the network's batch; 0
	// is 1. A step equals one on a batch that many times as large, to rounding, but for
	// statistics that a batch has (each micro-batch its own) and for dropout's draws.
	Accumulate int       `json:"accumulate,omitempty" yaml:"accumulate"`
	Augment    string    `json:"augment" yaml:"augment"`
	Objective  Objective `json:"objective" yaml:"objective"`
}

// DefaultWeights returns SGD with momentum 0.9, weight decay 5e-4, cosine to zero.
func DefaultWeights() Weights {
	return Weights{Epochs: 10, Optimiser: "sgd", Hyper: optim.Hyper{Momentum: 0.9, Nesterov: true, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 5e-4},
		Rate: 0.05, Schedule: "cosine", Clip: 5, Objective: Objective{Labels: 1, Temperature: 2}}
}

func (w Weights) parts() int { return max(w.Accumulate, 1) }

// Hooks are a run's connections to the outside.
type Hooks struct {
	Observe    func(Event) // nil: none
	Checkpoint string      // file; "" keeps none
	Every      int         // steps between checkpoints; 0: one per epoch
	LogEvery   int         // steps between "step" events, the last of which takes what is left; 0: 20
	Stage      string      // name in events and messages
}

// Result is what training gives.
type Result struct {
	Weights map[string]*ir.Tensor
	Curve   []Event // "eval" events
}

// Train trains every parameter of a plain network on a view. teach may be nil
// unless the objective distils; val, when not empty, is scored after every epoch.
func Train(ctx context.Context, be engine.Backend, n, teach *Network, view, val data.View, c Weights, seed uint64, h Hooks) (*Result, error) {
	l, err := newLoop(be, n, teach, view, c, seed, h, "weights")
	if err != nil {
		return nil, err
	}
	defer l.close()
	if err := l.resume(); err != nil {
		return nil, err
	}
	var ev *evaluator
	if val.Len() > 0 && l.feed.labels {
		if ev, err = newEvaluator(be, n); err != nil {
			return nil, err
		}
	}
	for l.pos.Step < l.total {
		if err := l.stop(ctx); err != nil {
			return nil, err
		}
		if err := l.weightStep(); err != nil {
			return nil, err
		}
		if ev != nil && (l.pos.Step%l.perEpoch == 0 || l.pos.Step == l.total) {
			if err := l.eval(ctx, ev, l.env, val); err != nil {
				return nil, err
			}
		}
		if err := l.tick(nil); err != nil {
			return nil, err
		}
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	w, err := n.weights(l.env)
	return &Result{w, l.pos.Curve}, err
}

// loop is what training and search share: weight steps, position, events.
type loop struct {
	be       engine.Backend
	net      *Network
	cfg      Weights
	hooks    Hooks
	seed     uint64
	plan     optim.Plan
	env      Env
	feed     *feed
	loader   *data.Loader
	step     *step
	apply    *step // after the micro-batches of an accumulated step; nil: step does it
	total    int
	perEpoch int
	pos      position
	start    time.Time
	waited   time.Duration
	unread   []reading // losses that are still on the device
	// since the last event:
	loss, correct, seen, counted float64
}

// reading is the result of one micro-batch.
type reading struct {
	step             int
	loss, correct    engine.Buffer // correct is nil without labels
	samples, counted float64
}

func newLoop(be engine.Backend, n, teach *Network, view data.View, c Weights, seed uint64, h Hooks, name string) (*loop, error) {
	if h.LogEvery == 0 {
		h.LogEvery = 20
	}
	if h.Stage == "" {
		h.Stage = "train"
	}
	labelled := view.Part() != nil && view.Part().Labelled()
	if c.Accumulate < 0 {
		return nil, fmt.Errorf("%s: accumulate: want 1 or more micro-batches, got %d", h.Stage, c.Accumulate)
	}
	batch := n.Batch * c.parts()
	if view.Len() < batch {
		return nil, fmt.Errorf("%s: want at least one batch of %d training samples, got %d", h.Stage, batch, view.Len())
	}
	if err := c.Objective.Check(n, labelled); err != nil {
		return nil, err
	}
	m, err := optim.ByName(c.Optimiser)
	if err != nil {
		return nil, err
	}
	if err := c.Hyper.Check(); err != nil {
		return nil, err
	}
	aug, err := data.ParseAugments(c.Augment)
	if err != nil {
		return nil, err
	}
	l := &loop{be: be, net: n, cfg: c, hooks: h, seed: seed, env: Env{}, start: time.Now()}
	if l.feed, err = newFeed(be, n, teach, c.Objective, view.Set(), labelled); err != nil {
		return nil, err
	}
	if err = l.feed.hold(view, aug, n.DataLimit); err != nil {
		return nil, err
	}
	if l.loader, err = view.Loader(data.LoaderOptions{Moves: l.feed.holds(view.Part()), Batch: batch, Shuffle: true, Shift: true, DropLast: true, Augment: aug, Seed: seed, Name: h.Stage + "/" + name}); err != nil {
		return nil, err
	}
	l.perEpoch = l.loader.Batches()
	l.total = int(math.Round(c.Epochs * float64(l.perEpoch)))
	if l.total < 1 {
		return nil, fmt.Errorf("%s: epochs: want at least one step of %d samples, got %g epochs of %d samples", h.Stage, batch, c.Epochs, view.Len())
	}
	l.plan = optim.Plan{Schedule: c.Schedule, Base: c.Rate, Min: c.MinRate, Warmup: min(int(c.Warmup*float64(l.perEpoch)), l.total/4), Total: l.total}
	if err := l.plan.Check(); err != nil {
		return nil, err
	}
	if c.parts() == 1 {
		l.step, err = weightStep(be, n, c.Objective, l.feed.labels, m, c.Hyper, c.Clip)
	} else if l.step, err = sumStep(be, n, c.Objective, l.feed.labels, c.parts(), true); err == nil {
		l.apply, err = updateStep(be, n, m, c.Hyper, c.Clip)
	}
	if err != nil {
		return nil, err
	}
	if err := n.load(be, l.env); err != nil {
		return nil, err
	}
	if l.apply != nil {
		if err := zeroSums(be, n, l.env); err != nil {
			return nil, err
		}
	}
	if err := zeroState(be, n, m, c.Hyper, l.env); err != nil {
		return nil, err
	}
	l.pos = position{Run: l.fingerprint(view), Loaders: map[string]data.State{}, Streams: map[string][]byte{}}
	return l, nil
}

// fingerprint identifies the run for resuming.
func (l *loop) fingerprint(view data.View, more ...any) string {
	text, err := json.Marshal([]any{l.cfg, l.seed, l.hooks.Stage, l.net.Batch, view.Index, view.Set().Spec, more})
	if err != nil {
		panic("BUG: search: " + err.Error())
	}
	h := sha256.Sum256(append(text, space.Fingerprint(l.net.Model)...))
	return hex.EncodeToString(h[:])
}

func (l *loop) resume() error {
	if l.hooks.Checkpoint == "" {
		return nil
	}
	pos, found, err := loadCheckpoint(l.be, l.hooks.Checkpoint, l.pos.Run, l.env)
	if err != nil || !found {
		return err
	}
	l.pos = pos
	return l.loader.Restore(pos.Loaders["weights"])
}

// weightStep takes one batch and moves the weights.
func (l *loop) weightStep() error {
	x, err := l.take(l.loader, l.feed)
	if err != nil {
		return err
	}
	return l.weightStepOn(x, nil)
}

// weightStepOn moves the weights by one batch; coef holds coefficients.
func (l *loop) weightStepOn(x *fed, coef Env) error {
	rate, err := l.number(rateName, float32(l.plan.At(l.pos.Step)))
	if err != nil {
		return err
	}
	for i := range x.parts {
		in, err := l.microBatch(x, i, int64(l.pos.Step*x.parts+i))
		if err != nil {
			return err
		}
		more, err := l.more(l.step, i)
		if err != nil {
			return err
		}
		out, err := l.step.run(l.env, in, coef, rate, more)
		if err != nil {
			return err
		}
		l.unread = append(l.unread, reading{l.pos.Step, out[lossName], out[correctName], float64(x.batch.Valid) / float64(x.parts), l.net.counted(x.batch) / float64(x.parts)})
		delete(out, lossName)
		delete(out, correctName)
		out.free()
		in.free()
		more.free()
	}
	if l.apply != nil {
		out, err := l.apply.run(l.env, rate)
		if err != nil {
			return err
		}
		out.free()
	}
	rate.free()
	l.pos.Step++
	return nil
}

// take returns the next batch of a loader.
func (l *loop) take(from *data.Loader, f *feed) (*fed, error) {
	defer l.waiting(time.Now())
	b, err := from.Next()
	if err != nil {
		return nil, err
	}
	return f.prepare(b)
}

func (l *loop) upload(x *fed, i int) (Env, error) {
	defer l.waiting(time.Now())
	return l.feed.upload(x, i)
}

func (l *loop) waiting(since time.Time) { l.waited += time.Since(since) }

// microBatch uploads part i of a batch with what the teacher says of it, and draw as
// the second half of the seed.
func (l *loop) microBatch(x *fed, i int, draw int64) (Env, error) {
	in := x.ready
	if x.ready = nil; in == nil {
		var err error
		if in, err = l.upload(x, i); err != nil {
			return nil, err
		}
	}
	if err := l.feed.teach(in); err != nil {
		return nil, err
	}
	var err error
	in[seedName], err = l.be.Upload(prim.I64Tensor([]int64{int64(l.seed), draw}, 2))
	return in, err
}

// more uploads whether part i adds to sums, for programs that have some.
func (l *loop) more(p *step, i int) (Env, error) {
	if p.p.Input(moreName) < 0 {
		return nil, nil
	}
	return l.number(moreName, float32(min(i, 1)))
}

// number uploads a scalar input.
func (l *loop) number(name string, v float32) (Env, error) {
	b, err := l.be.Upload(prim.F32Tensor([]float32{v}))
	return Env{name: b}, err
}

// read takes the results of the steps since the last call from the device.
func (l *loop) read() error {
	for _, r := range l.unread {
		loss, err := scalar(r.loss)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("%s: step %d: %w (%g): lower the learning rate or clip gradients", l.hooks.Stage, r.step, ErrDiverged, loss)
		}
		l.loss += loss * r.samples
		l.seen += r.samples
		r.loss.Free()
		if r.correct == nil {
			continue
		}
		c, err := scalar(r.correct)
		if err != nil {
			return err
		}
		l.correct += c
		l.counted += r.counted
		r.correct.Free()
	}
	l.unread = l.unread[:0]
	return nil
}

// tick logs and checkpoints after a step.
func (l *loop) tick(fill func(*Event)) error {
	s := l.pos.Step
	if s%l.hooks.LogEvery == 0 && s+l.hooks.LogEvery <= l.total || s == l.total {
		if err := l.read(); err != nil {
			return err
		}
		if l.hooks.Observe != nil && l.seen > 0 {
			e := l.event("step")
			e.Wait = l.waited.Seconds()
			e.Loss, e.Accuracy, e.Rate = l.loss/l.seen, l.correct/max(l.counted, 1), l.plan.At(s-1)
			if fill != nil {
				fill(&e)
			}
			l.hooks.Observe(e)
			l.loss, l.correct, l.seen, l.counted = 0, 0, 0, 0
		}
	}
	every := l.hooks.Every
	if every == 0 {
		every = l.perEpoch
	}
	if l.hooks.Checkpoint != "" && s%every == 0 && s < l.total {
		return l.save()
	}
	return nil
}

func (l *loop) event(kind string) Event {
	return Event{Stage: l.hooks.Stage, Kind: kind, Step: l.pos.Step, Total: l.total, Epoch: float64(l.pos.Step) / float64(l.perEpoch), Seconds: time.Since(l.start).Seconds()}
}

func (l *loop) save() error {
	if err := l.read(); err != nil {
		return err
	}
	l.pos.Loaders["weights"] = l.loader.State()
	return saveCheckpoint(l.hooks.Checkpoint, l.pos, l.env)
}

// finish checkpoints the end of a run, so that running it again gives its result.
func (l *loop) finish() error {
	if l.hooks.Checkpoint == "" {
		return nil
	}
	return l.save()
}

// stop checkpoints and returns *Interrupted when the context is done.
func (l *loop) stop(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if l.hooks.Checkpoint != "" {
		if err := l.save(); err != nil {
			return err
		}
	}
	return &Interrupted{l.hooks.Stage, l.pos.Step, l.hooks.Checkpoint}
}

func (l *loop) eval(ctx context.Context, ev *evaluator, env Env, val data.View) error {
	if err := l.read(); err != nil {
		return err
	}
	s, err := ev.score(ctx, env, val)
	if err != nil {
		if ctx.Err() != nil {
			return l.stop(ctx)
		}
		return err
	}
	e := l.event("eval")
	e.Loss, e.Accuracy = s.Loss, s.Accuracy
	l.pos.Curve = append(l.pos.Curve, e)
	if l.hooks.Observe != nil {
		l.hooks.Observe(e)
	}
	return nil
}

func (l *loop) close() { l.loader.Close() }
