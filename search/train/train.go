package train

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
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
	"github.com/entangle-nas/entangle/space"
)

// Weights says how weights are trained.
type Weights struct {
	Epochs    float64 `json:"epochs" want:">=0" doc:"passes over the training samples, fractions allowed"`
	Optimiser string  `json:"optimizer" oneof:"optimizer" doc:"optimiser of the weights"`
	optim.Hyper
	Rate     float64 `json:"lr" want:">0" doc:"base learning rate"`
	MinRate  float64 `json:"min_lr" want:">=0" doc:"learning rate at the end of the schedule, at most lr"`
	Warmup   float64 `json:"warmup" want:">=0" doc:"epochs over which the learning rate rises, at most a quarter of the run"`
	Schedule string  `json:"schedule" oneof:"schedule" doc:"learning rate over the run"`
	Gamma    float64 `json:"gamma" want:"(0,1]" doc:"factor of the learning rate at every drop of the schedule step"`
	Drops    int     `json:"drops" want:">=0" doc:"drops of the schedule step, at equal distances"`
	Clip     float64 `json:"clip" want:">=0" doc:"largest norm of the gradient; 0: no limit"`
	// Accumulate: a step equals one on a batch that many times as large, to rounding, but
	// for statistics that a batch has (each micro-batch its own) and for dropout's draws.
	Accumulate int           `json:"accumulate" want:">=1" doc:"micro-batches of data.batch samples per step; their gradients make one step"`
	Augment    string        `json:"augment" doc:"augmentation of images, comma-separated: flip, crop, mixup, cutout, each with :AMOUNT if wished; none"`
	Objective  net.Objective `json:"objective"`
}

// DefaultWeights returns ten epochs of SGD with momentum 0.9, weight decay 1e-4, a quarter of
// an epoch of warm-up and a cosine to zero, on labels alone, flipped and cropped.
func DefaultWeights() Weights {
	return Weights{Epochs: 10, Optimiser: "sgd", Hyper: optim.Hyper{Momentum: 0.9, Nesterov: true, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-4},
		Rate: 0.05, Warmup: 0.25, Schedule: "cosine", Gamma: 0.1, Drops: 2, Clip: 5, Accumulate: 1, Augment: "flip,crop", Objective: net.Objective{Labels: 1, Temperature: 4}}
}

// Check reports what the settings' ranges do not say: words and numbers that do not go
// together. Each error is under the key of a field.
func (w Weights) Check() map[string]error {
	out := map[string]error{}
	if w.MinRate > w.Rate {
		out["min_lr"] = fmt.Errorf("want at most lr %g, got %g", w.Rate, w.MinRate)
	}
	if _, err := data.ParseAugments(w.Augment); err != nil {
		out["augment"] = err
	}
	return out
}

// Parts returns the micro-batches of a step.
func (w Weights) Parts() int { return max(w.Accumulate, 1) }

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
func Train(ctx context.Context, be engine.Backend, n, teach *net.Network, view, val data.View, c Weights, seed uint64, h Hooks) (*Result, error) {
	l, err := NewLoop(be, n, teach, view, c, seed, h, "weights")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Resume(); err != nil {
		return nil, err
	}
	var ev *net.Evaluator
	if val.Len() > 0 && l.Feed.Labels {
		if ev, err = net.NewEvaluator(be, n); err != nil {
			return nil, err
		}
	}
	for l.Pos.Step < l.Total {
		if err := l.Stop(ctx); err != nil {
			return nil, err
		}
		if err := l.weightStep(); err != nil {
			return nil, err
		}
		if ev != nil && (l.Pos.Step%l.PerEpoch == 0 || l.Pos.Step == l.Total) {
			if err := l.Eval(ctx, ev, l.Env, val); err != nil {
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
	w, err := n.Weights(l.Env)
	return &Result{w, l.Pos.Curve}, err
}

// Loop is what training and search share: weight steps, position, events.
type Loop struct {
	Be       engine.Backend
	Net      *net.Network
	cfg      Weights
	Hooks    Hooks
	seed     uint64
	Plan     optim.Plan
	Env      net.Env
	Feed     *net.Feed
	Loader   *data.Loader
	step     *net.Step
	apply    *net.Step // after the micro-batches of an accumulated step; nil: step does it
	Total    int
	PerEpoch int
	Pos      position
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

func NewLoop(be engine.Backend, n, teach *net.Network, view data.View, c Weights, seed uint64, h Hooks, name string) (*Loop, error) {
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
	batch := n.Batch * c.Parts()
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
	l := &Loop{Be: be, Net: n, cfg: c, Hooks: h, seed: seed, Env: net.Env{}, start: time.Now()}
	if l.Feed, err = net.NewFeed(be, n, teach, c.Objective, view.Set(), labelled); err != nil {
		return nil, err
	}
	if err = l.Feed.Hold(view, aug, n.DataLimit); err != nil {
		return nil, err
	}
	if l.Loader, err = view.Loader(data.LoaderOptions{Moves: l.Feed.Holds(view.Part()), Batch: batch, Shuffle: true, Shift: true, DropLast: true, Augment: aug, Seed: seed, Name: h.Stage + "/" + name}); err != nil {
		return nil, err
	}
	l.PerEpoch = l.Loader.Batches()
	l.Total = int(math.Round(c.Epochs * float64(l.PerEpoch)))
	if l.Total < 1 {
		return nil, fmt.Errorf("%s: epochs: want at least one step of %d samples, got %g epochs of %d samples", h.Stage, batch, c.Epochs, view.Len())
	}
	l.Plan = optim.Plan{Schedule: c.Schedule, Base: c.Rate, Min: c.MinRate, Warmup: min(int(c.Warmup*float64(l.PerEpoch)), l.Total/4), Total: l.Total, Gamma: c.Gamma, Drops: c.Drops}
	if err := l.Plan.Check(); err != nil {
		return nil, err
	}
	if c.Parts() == 1 {
		l.step, err = WeightStep(be, n, c.Objective, l.Feed.Labels, m, c.Hyper, c.Clip)
	} else if l.step, err = SumStep(be, n, c.Objective, l.Feed.Labels, c.Parts(), true); err == nil {
		l.apply, err = updateStep(be, n, m, c.Hyper, c.Clip)
	}
	if err != nil {
		return nil, err
	}
	if err := n.Load(be, l.Env); err != nil {
		return nil, err
	}
	if l.apply != nil {
		if err := ZeroSums(be, n, l.Env); err != nil {
			return nil, err
		}
	}
	if err := zeroState(be, n, m, c.Hyper, l.Env); err != nil {
		return nil, err
	}
	l.Pos = position{Run: l.Fingerprint(view), Loaders: map[string]data.State{}, Streams: map[string][]byte{}}
	return l, nil
}

// Fingerprint identifies the run for resuming.
func (l *Loop) Fingerprint(view data.View, more ...any) string {
	text, err := json.Marshal([]any{l.cfg, l.seed, l.Hooks.Stage, l.Net.Batch, view.Index, view.Set().Spec, more})
	if err != nil {
		panic("BUG: search: " + err.Error())
	}
	h := sha256.Sum256(append(text, space.Fingerprint(l.Net.Model)...))
	return hex.EncodeToString(h[:])
}

func (l *Loop) Resume() error {
	if l.Hooks.Checkpoint == "" {
		return nil
	}
	pos, found, err := loadCheckpoint(l.Be, l.Hooks.Checkpoint, l.Pos.Run, l.Env)
	if err != nil || !found {
		return err
	}
	l.Pos = pos
	return l.Loader.Restore(pos.Loaders["weights"])
}

// weightStep takes one batch and moves the weights.
func (l *Loop) weightStep() error {
	x, err := l.Take(l.Loader, l.Feed)
	if err != nil {
		return err
	}
	return l.WeightStepOn(x, nil)
}

// WeightStepOn moves the weights by one batch; coef holds coefficients.
func (l *Loop) WeightStepOn(x *net.Batch, coef net.Env) error {
	rate, err := l.Number(net.RateName, float32(l.Plan.At(l.Pos.Step)))
	if err != nil {
		return err
	}
	for i := range x.Parts {
		in, err := l.MicroBatch(x, i, int64(l.Pos.Step*x.Parts+i))
		if err != nil {
			return err
		}
		more, err := l.More(l.step, i)
		if err != nil {
			return err
		}
		out, err := l.step.Run(l.Env, in, coef, rate, more)
		if err != nil {
			return err
		}
		l.unread = append(l.unread, reading{l.Pos.Step, out[net.LossName], out[net.CorrectName], float64(x.Batch.Valid) / float64(x.Parts), l.Net.Counted(x.Batch) / float64(x.Parts)})
		delete(out, net.LossName)
		delete(out, net.CorrectName)
		out.Free()
		in.Free()
		more.Free()
	}
	if l.apply != nil {
		out, err := l.apply.Run(l.Env, rate)
		if err != nil {
			return err
		}
		out.Free()
	}
	rate.Free()
	l.Pos.Step++
	return nil
}

// Take returns the next batch of a loader.
func (l *Loop) Take(from *data.Loader, f *net.Feed) (*net.Batch, error) {
	defer l.waiting(time.Now())
	b, err := from.Next()
	if err != nil {
		return nil, err
	}
	return f.Prepare(b)
}

func (l *Loop) Upload(x *net.Batch, i int) (net.Env, error) {
	defer l.waiting(time.Now())
	return l.Feed.Upload(x, i)
}

func (l *Loop) waiting(since time.Time) { l.waited += time.Since(since) }

// MicroBatch uploads part i of a batch with what the teacher says of it, and draw as
// the second half of the seed.
func (l *Loop) MicroBatch(x *net.Batch, i int, draw int64) (net.Env, error) {
	in := x.Ready
	if x.Ready = nil; in == nil {
		var err error
		if in, err = l.Upload(x, i); err != nil {
			return nil, err
		}
	}
	if err := l.Feed.Teach(in); err != nil {
		return nil, err
	}
	var err error
	in[net.SeedName], err = l.Be.Upload(prim.I64Tensor([]int64{int64(l.seed), draw}, 2))
	return in, err
}

// More uploads whether part i adds to sums, for programs that have some.
func (l *Loop) More(p *net.Step, i int) (net.Env, error) {
	if p.Program.Input(net.MoreName) < 0 {
		return nil, nil
	}
	return l.Number(net.MoreName, float32(min(i, 1)))
}

// Number uploads a scalar input.
func (l *Loop) Number(name string, v float32) (net.Env, error) {
	b, err := l.Be.Upload(prim.F32Tensor([]float32{v}))
	return net.Env{name: b}, err
}

// read takes the results of the steps since the last call from the device.
func (l *Loop) read() error {
	for _, r := range l.unread {
		loss, err := net.Scalar(r.loss)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("%s: step %d: %w (%g): lower the learning rate or clip gradients", l.Hooks.Stage, r.step, ErrDiverged, loss)
		}
		l.loss += loss * r.samples
		l.seen += r.samples
		r.loss.Free()
		if r.correct == nil {
			continue
		}
		c, err := net.Scalar(r.correct)
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

// Tick logs and checkpoints after a step.
func (l *Loop) Tick(fill func(*Event)) error {
	s := l.Pos.Step
	if s%l.Hooks.LogEvery == 0 && s+l.Hooks.LogEvery <= l.Total || s == l.Total {
		if err := l.read(); err != nil {
			return err
		}
		if l.Hooks.Observe != nil && l.seen > 0 {
			e := l.event("step")
			e.Wait = l.waited.Seconds()
			e.Loss, e.Accuracy, e.Rate = l.loss/l.seen, l.correct/max(l.counted, 1), l.Plan.At(s-1)
			if fill != nil {
				fill(&e)
			}
			l.Hooks.Observe(e)
			l.loss, l.correct, l.seen, l.counted = 0, 0, 0, 0
		}
	}
	every := l.Hooks.Every
	if every == 0 {
		every = l.PerEpoch
	}
	if l.Hooks.Checkpoint != "" && s%every == 0 && s < l.Total {
		return l.save()
	}
	return nil
}

func (l *Loop) event(kind string) Event {
	return Event{Stage: l.Hooks.Stage, Kind: kind, Step: l.Pos.Step, Total: l.Total, Epoch: float64(l.Pos.Step) / float64(l.PerEpoch), Seconds: time.Since(l.start).Seconds()}
}

func (l *Loop) save() error {
	if err := l.read(); err != nil {
		return err
	}
	l.Pos.Loaders["weights"] = l.Loader.State()
	return saveCheckpoint(l.Hooks.Checkpoint, l.Pos, l.Env)
}

// Finish checkpoints the end of a run, so that running it again gives its result.
func (l *Loop) Finish() error {
	if l.Hooks.Checkpoint == "" {
		return nil
	}
	return l.save()
}

// Stop checkpoints and returns *Interrupted when the context is done.
func (l *Loop) Stop(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if l.Hooks.Checkpoint != "" {
		if err := l.save(); err != nil {
			return err
		}
	}
	return &Interrupted{l.Hooks.Stage, l.Pos.Step, l.Hooks.Checkpoint}
}

func (l *Loop) Eval(ctx context.Context, ev *net.Evaluator, env net.Env, val data.View) error {
	if err := l.read(); err != nil {
		return err
	}
	s, err := ev.Score(ctx, env, val)
	if err != nil {
		if ctx.Err() != nil {
			return l.Stop(ctx)
		}
		return err
	}
	e := l.event("eval")
	e.Loss, e.Accuracy = s.Loss, s.Accuracy
	l.Pos.Curve = append(l.Pos.Curve, e)
	if l.Hooks.Observe != nil {
		l.Hooks.Observe(e)
	}
	return nil
}

func (l *Loop) Close() { l.Loader.Close() }
