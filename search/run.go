package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// Config says how a search runs.
type Config struct {
	Weights    train.Weights `json:"weights"`
	Relaxation string        `json:"relaxation" oneof:"relaxation" doc:"relaxation of the choices into mixtures, whose coefficients move by gradients; none: along subnets, in rounds"`
	AlphaRate  float64       `json:"alpha_lr" want:">=0" doc:"learning rate of the architecture parameters"`
	AlphaHyper AlphaHyper    `json:"alpha"` // L2 inside the moments
	AlphaClip  float64       `json:"alpha_clip" want:">=0" doc:"largest norm of the architecture gradient; 0: no limit"`
	AlphaFrom  float64       `json:"alpha_from" want:">=0" doc:"epochs of weight steps before the first architecture step"`
	AlphaStart float64       `json:"alpha_start" want:"[0,1)" doc:"share of probability that the original begins with; 0 begins uniform, as the paper does"`
	Sandwich   bool          `json:"sandwich" doc:"of four weight steps, one on the largest and one on the smallest subnet"`
	// Hard: weights that only ever met mixtures do not stand the cut.
	Hard float64 `json:"hard" want:"[0,1]" doc:"share of weight steps on one drawn subnet, rising from 0 to it over the search"`
	// Unrolled: Liu et al., "DARTS: Differentiable Architecture Search", 2019, equations 7 and 8.
	Unrolled bool `json:"unrolled" doc:"take the gradient of the architecture through one weight step (DARTS, second order): five passes per step instead of two"`
	// Overlap gives a device both steps at once, so that it need not wait for the host in
	// between. The paper's order is without. Unrolled steps never overlap.
	Overlap      *bool `json:"overlap" doc:"take the weight step with the coefficients from before the architecture step beside it; null: on a GPU"`
	Rounds       int   `json:"rounds" want:"[0,1000]" doc:"rounds of a search without a relaxation, 0: 6, of the method reconstruct 4; in each the budget falls, choices are measured one by one at the subnet that stands, and it moves; weight steps train that one in between"`
	RoundBatches int   `json:"round_batches" want:">=0" doc:"batches of the alpha split on which a round measures; 0: 2, of the method reconstruct 128 samples"`
	// Even: what rounds measure is taken before any training at the new size, which favours
	// widths that give up the most there.
	Even          []float64 `json:"even" want:"[0,1]" doc:"paths that a search in rounds tries on equal shares of its steps: of each, the weight of equal widths beside what its rounds measure; the subnet that loses least at the end is taken; none: 0,1, of the method reconstruct 0"`
	Refit         bool      `json:"refit" doc:"fit, by least squares, what layers read of the units that stay to what a smaller choice leaves out, before rounds measure it and where they move to it"`
	Shuffle       bool      `json:"shuffle" doc:"deal what rounds measured to other choices at random: a control, which searches blindly at the same cost"`
	FreezeWeights bool      `json:"freeze_weights" doc:"move only the architecture parameters; the method reconstruct always does"`
}

// AlphaHyper holds the constants of the architecture parameters' Adam.
type AlphaHyper struct {
	Beta1       float64 `json:"beta1" want:"[0,1)" doc:"decay of the first moment"`
	Beta2       float64 `json:"beta2" want:"[0,1)" doc:"decay of the second moment"`
	Epsilon     float64 `json:"epsilon" want:">0" doc:"what is added to the root of the second moment"`
	WeightDecay float64 `json:"weight_decay" want:">=0" doc:"weight decay of the architecture parameters; draws the choices of a dimension together"`
}

func (h AlphaHyper) hyper() optim.Hyper {
	return optim.Hyper{Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, WeightDecay: h.WeightDecay}
}

// InRounds is the Relaxation of a search that has none: gates of mixtures cost a network
// nothing, so mixtures do not tell what a subnet loses.
const InRounds = "none"

// ByRounds reports whether a search goes along subnets.
func (c Config) ByRounds() bool { return c.Relaxation == InRounds }

// overlaps reports whether steps overlap; unset, they do on every backend but the processor's.
func (c Config) overlaps(be engine.Backend) bool {
	if c.Overlap == nil {
		return be.Name() != "cpu"
	}
	return *c.Overlap
}

// DefaultConfig returns DrNAS with the paper's constants for α beside two that are
// for short searches from pretrained weights: a learning rate above the paper's
// 3e-4, which needs its 100 epochs, and a start that leans to the original.
func DefaultConfig() Config {
	w := train.DefaultWeights()
	w.Epochs = 4
	w.Rate = 0.02
	return Config{Weights: w, Relaxation: relax.Default, Rounds: 6, RoundBatches: 2, Even: []float64{0, 1}, Refit: true, AlphaStart: 0.8, AlphaRate: 0.02, AlphaHyper: AlphaHyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}}
}

// Decision is what a search found.
type Decision struct {
	train.Result
	Alpha [][]float64 // per dim
	Mean  [][]float64 // mean coefficients per dim
	// Early holds the mean coefficients once EarlyShare of the steps were taken.
	Early [][]float64
	// Choice is the subnet that a search in rounds ended at, within the budget; nil for
	// others.
	Choice []int
	Paths  []Path // of a search in rounds that tried several
	// Rounds is what the rounds of all paths measured.
	Rounds []train.Round
}

// EarlyShare is the share of a search's steps after which Decision.Early is taken: what is
// chosen there and at the end is the same where a search has decided.
const EarlyShare = 0.7

// Entropy is the mean over dims of the entropy of coefficients, as a share of the largest.
func Entropy(mean [][]float64) float64 {
	sum := 0.0
	for _, m := range mean {
		h := 0.0
		for _, p := range m {
			if p > 0 {
				h -= p * math.Log(p)
			}
		}
		if len(m) > 1 {
			sum += h / math.Log(float64(len(m))) / float64(len(mean))
		}
	}
	return sum
}

// The cost term's weight is λ·exp(multiplierReact·excess), excess being the
// relative distance of the expected cost from the limit: it answers at once, and
// λ itself drifts by multiplierDrift·excess per step until the two balance.
const (
	multiplierStart = 0.3
	multiplierReact = 8
	multiplierDrift = 0.03
	multiplierMax   = 1e6
)

type searcher struct {
	*train.Loop
	cfg    Config
	rx     relax.Relaxation
	alphas *net.Step
	// unrolled takes the gradient through a weight step; nil: alphas alone.
	unrolled *unrolled
	host     *optim.Host
	aload    *data.Loader
	afeed    *net.Feed
	draw     *rng.Stream
	budget   decide.Budget
	full     []float64 // the original's cost per limit
	first    []float64 // that of the subnet that rounds begin at
	overlap  bool
	rounds   *rounds   // nil: by coefficients
	began    time.Time // the round that stands
	aloss    float64
	asteps   float64
	ratio    map[string]float64 // expected cost as a share of the original's, by metric
}

// Run searches the supernet net.Super: architecture steps on alpha, weight steps
// on weights, which must be disjoint views of one part. Val, when not empty, is
// scored every epoch at the mean coefficients.
func Run(ctx context.Context, be engine.Backend, n, teach *net.Network, weights, alpha, val data.View, c Config, b decide.Budget, seed uint64, h train.Hooks) (*Decision, error) {
	return RunFrom(ctx, be, n, teach, weights, alpha, val, c, b, nil, seed, h)
}

// RunFrom is Run for rounds that begin at a subnet, by index per dim, in place of the
// original; nil is the original.
func RunFrom(ctx context.Context, be engine.Backend, n, teach *net.Network, weights, alpha, val data.View, c Config, b decide.Budget, first []int, seed uint64, h train.Hooks) (*Decision, error) {
	if h.Stage == "" {
		h.Stage = "search"
	}
	if c.ByRounds() && len(c.Even) > 1 {
		return runPaths(ctx, be, n, teach, weights, alpha, val, c, b, first, seed, h)
	}
	s, err := newSearcher(be, n, teach, weights, alpha, c, b, first, seed, h)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var ev *net.Evaluator
	if val.Len() > 0 && s.Feed.Labels {
		if ev, err = net.NewEvaluator(be, n); err != nil {
			return nil, err
		}
	}
	for s.Pos.Step < s.Total {
		if err := s.Stop(ctx); err != nil {
			return nil, err
		}
		switch err := s.advance(ctx); {
		case err != nil && errors.Is(err, ctx.Err()): // in the midst of a round, which begins anew
			return nil, &train.Interrupted{Stage: s.Hooks.Stage, Step: s.Pos.Step, Checkpoint: s.Hooks.Checkpoint}
		case err != nil:
			return nil, err
		}
		if s.Pos.Early == nil && float64(s.Pos.Step) >= EarlyShare*float64(s.Total) {
			s.Pos.Early = s.means()
		}
		if ev != nil && (s.Pos.Step%s.PerEpoch == 0 || s.Pos.Step == s.Total) {
			if err := s.evalMean(ctx, ev, val); err != nil {
				return nil, err
			}
		}
		s.keepStreams()
		if err := s.Tick(s.describe); err != nil {
			return nil, err
		}
	}
	if err := s.Finish(); err != nil {
		return nil, err
	}
	w, err := n.Weights(s.Env)
	if err != nil {
		return nil, err
	}
	return &Decision{Result: train.Result{Weights: w, Curve: s.Pos.Curve}, Alpha: s.Pos.Alpha, Mean: s.means(), Early: s.Pos.Early, Choice: s.Pos.Choice, Rounds: s.Pos.Rounds}, nil
}

func newSearcher(be engine.Backend, n, teach *net.Network, weights, alpha data.View, c Config, b decide.Budget, first []int, seed uint64, h train.Hooks) (*searcher, error) {
	if n.Super == nil {
		return nil, fmt.Errorf("search: want a supernet, got a plain network")
	}
	name := c.Relaxation
	if c.ByRounds() {
		name = relax.Default // of coefficients that stand still
	}
	rx, err := relax.ByName(name)
	if err != nil {
		return nil, err
	}
	if !(c.AlphaStart >= 0 && c.AlphaStart < 1) {
		return nil, fmt.Errorf("search: start of α: want a share in [0, 1), got %g", c.AlphaStart)
	}
	if !(c.Hard >= 0 && c.Hard <= 1) {
		return nil, fmt.Errorf("search: hard: want a share in [0, 1], got %g", c.Hard)
	}
	if err := disjoint(weights, alpha); err != nil {
		return nil, err
	}
	l, err := train.NewLoop(be, n, teach, weights, c.Weights, seed, h, "weights")
	if err != nil {
		return nil, err
	}
	c.RoundBatches = min(c.RoundBatches, max(alpha.Len()/max(n.Batch*c.Weights.Parts(), 1), 1))
	s := &searcher{Loop: l, cfg: c, budget: b, overlap: c.overlaps(be), ratio: map[string]float64{}, rx: rx, draw: rng.New(seed, "search/relax"), afeed: l.Feed}
	batch := n.Batch * c.Weights.Parts()
	if alpha.Len() < batch {
		return nil, fmt.Errorf("search: want at least one batch of %d architecture samples, got %d", batch, alpha.Len())
	}
	aug, err := data.ParseAugments(c.Weights.Augment)
	if err != nil {
		return nil, err
	}
	if s.aload, err = alpha.Loader(data.LoaderOptions{Moves: l.Feed.Holds(alpha.Part()), Batch: batch, Shuffle: true, Shift: true, DropLast: true, Augment: aug, Seed: seed, Name: h.Stage + "/alpha"}); err != nil {
		return nil, err
	}
	switch {
	case c.ByRounds() && len(b) == 0:
		return nil, fmt.Errorf("search: rounds: want a budget that falls, got none")
	case c.ByRounds() && (c.Rounds < 2 || c.RoundBatches < 1):
		return nil, fmt.Errorf("search: rounds: want at least 2 with at least 1 batch, got %d with %d", c.Rounds, c.RoundBatches)
	case !c.ByRounds() && first != nil:
		return nil, fmt.Errorf("search: want rounds to begin at a subnet, got none")
	case c.ByRounds():
		if c.FreezeWeights {
			s.Total = c.Rounds
		}
		s.rounds, err = newRounds(be, n, c, l.Feed.Labels)
		if s.Pos.Choice = slices.Clone(first); first == nil {
			s.Pos.Choice = n.Super.Space.Largest()
		} else if err := n.Super.Space.CheckChoice(first); err != nil {
			return nil, err
		}
	default:
		s.alphas, err = alphaStep(be, n, c.Weights.Objective, l.Feed.Labels, 0)
	}
	if err != nil {
		return nil, err
	}
	if c.Unrolled && s.rounds == nil {
		if s.unrolled, err = newUnrolled(be, n, c, l.Feed.Labels); err != nil {
			return nil, err
		}
	}
	adam, err := optim.ByName("adam")
	if err != nil {
		return nil, err
	}
	init := rng.New(seed, "search/alpha")
	var sizes []int
	for _, d := range n.Super.Space.Dims {
		sizes = append(sizes, len(d.Choices))
		a := relax.Init(len(d.Choices), init)
		lean(rx, a, c.AlphaStart)
		s.Pos.Alpha = append(s.Pos.Alpha, a)
	}
	if s.host, err = optim.NewHost(adam, c.AlphaHyper.hyper(), sizes...); err != nil {
		return nil, err
	}
	for _, l := range b {
		s.Pos.Lambda = append(s.Pos.Lambda, multiplierStart)
		s.full = append(s.full, l.Cost.Whole)
		if s.rounds != nil {
			s.first = append(s.first, l.Cost.At(s.Pos.Choice))
		}
	}
	if b != nil {
		if err := b.Check(n.Super.Space); err != nil {
			return nil, err
		}
	}
	space, err := json.Marshal(n.Super.Space)
	if err != nil {
		return nil, err
	}
	of := []any{c, b, alpha.Index, string(space)}
	if first != nil {
		of = append(of, first)
	}
	s.Pos.Run = l.Fingerprint(weights, of...)
	return s, s.restore()
}

// lean raises the last entry of α and lowers the others by the same amount, such
// that the mean coefficient of the last is share.
func lean(rx relax.Relaxation, a []float64, share float64) {
	last := len(a) - 1
	if last == 0 || share <= rx.Mean(a)[last] {
		return
	}
	at := func(t float64) []float64 {
		out := make([]float64, len(a))
		for i, v := range a {
			out[i] = v - t
		}
		out[last] = a[last] + t
		return out
	}
	low, high := 0.0, 20.0
	for range 60 {
		mid := (low + high) / 2
		if rx.Mean(at(mid))[last] < share {
			low = mid
		} else {
			high = mid
		}
	}
	copy(a, at(high))
}

func disjoint(a, b data.View) error {
	if a.Part() != b.Part() {
		return nil
	}
	in := make(map[int]bool, len(a.Index))
	for _, i := range a.Index {
		in[i] = true
	}
	for _, i := range b.Index {
		if in[i] {
			return fmt.Errorf("search: weight and architecture splits share sample %d: want disjoint splits", i)
		}
	}
	return nil
}

func (s *searcher) restore() error {
	if s.Hooks.Checkpoint == "" {
		return nil
	}
	if err := s.Resume(); err != nil || s.Pos.Step == 0 {
		return err
	}
	if err := s.host.Restore(s.Pos.Slots); err != nil {
		return err
	}
	if err := s.draw.Restore(s.Pos.Streams["relax"]); err != nil {
		return fmt.Errorf("search: checkpoint: stream: %w", err)
	}
	return s.aload.Restore(s.Pos.Loaders["alpha"])
}

// keepStreams records what a checkpoint needs beside the loop's own state.
func (s *searcher) keepStreams() {
	s.Pos.Slots = s.host.Slots
	s.Pos.Streams["relax"] = s.draw.State()
	s.Pos.Loaders["alpha"] = s.aload.State()
}

func (s *searcher) progress() float64 { return float64(s.Pos.Step) / float64(max(s.Total-1, 1)) }

// sample draws coefficients for every dim.
func (s *searcher) sample() (coef [][]float64, back []relax.Backward) {
	for _, a := range s.Pos.Alpha {
		c, b := s.rx.Sample(a, s.draw, s.progress())
		coef, back = append(coef, c), append(back, b)
	}
	return coef, back
}

func (s *searcher) means() [][]float64 {
	if s.rounds != nil {
		return s.Net.Super.Space.OneHot(s.Pos.Choice)
	}
	out := make([][]float64, len(s.Pos.Alpha))
	for i, a := range s.Pos.Alpha {
		out[i] = s.rx.Mean(a)
	}
	return out
}

// advance takes one architecture step (when its time has come) and one weight step.
func (s *searcher) advance(ctx context.Context) error {
	var train *net.Batch
	if !s.cfg.FreezeWeights {
		var err error
		if train, err = s.Take(s.Loader, s.Feed); err != nil {
			return err
		}
		// Before the architecture step: its result is waited for.
		if train.Ready, err = s.Upload(train, 0); err != nil {
			return err
		}
	}
	move := func() error { return nil }
	switch {
	case s.rounds != nil:
		if s.roundDue() {
			if err := s.takeRound(ctx); err != nil {
				return err
			}
		}
	case float64(s.Pos.Step) >= s.cfg.AlphaFrom*float64(s.PerEpoch):
		var err error
		if move, err = s.alphaStep(train); err != nil {
			return err
		}
	}
	if train == nil {
		s.Pos.Step++
		return move()
	}
	if !s.overlap {
		if err := move(); err != nil {
			return err
		}
	}
	env, err := net.UploadCoef(s.Be, s.weightCoef())
	if err != nil {
		return err
	}
	defer env.Free()
	if err := s.WeightStepOn(train, env); err != nil || !s.overlap {
		return err
	}
	return move()
}

// weightCoef returns the coefficients of the next weight step.
func (s *searcher) weightCoef() [][]float64 {
	if s.rounds != nil {
		return s.means()
	}
	coef, _ := s.sample()
	hard := s.cfg.Hard > 0 && s.draw.Float64() < s.cfg.Hard*s.progress()
	if hard {
		coef = s.vertex()
	}
	if s.cfg.Sandwich {
		switch sp := s.Net.Super.Space; s.Pos.Step % 4 {
		case 1:
			coef = sp.OneHot(sp.Largest())
		case 3:
			coef = sp.OneHot(sp.Smallest())
		}
	}
	return coef
}

// vertex draws one choice per dim from the mean coefficients.
func (s *searcher) vertex() [][]float64 {
	out := s.means()
	for d, p := range out {
		u, pick := s.draw.Float64(), len(p)-1
		for k, v := range p {
			if u -= v; u < 0 {
				pick = k
				break
			}
		}
		out[d] = relax.OneHot(len(p), pick)
	}
	return out
}

// alphaStep starts an architecture step: the loss on an architecture batch and its
// gradient. move waits for them and moves α, by them and the cost term. Train is the
// batch of the weight step that follows, nil when there is none.
func (s *searcher) alphaStep(train *net.Batch) (move func() error, err error) {
	x, err := s.Take(s.aload, s.afeed)
	if err != nil {
		return nil, err
	}
	coef, back := s.sample()
	env, err := net.UploadCoef(s.Be, coef)
	if err != nil {
		return nil, err
	}
	defer env.Free()
	step := s.Pos.Step
	if s.unrolled != nil {
		dcoef, loss, err := s.unrolled.slope(s, x, train, env)
		return func() error { return s.move(step, back, coef, dcoef, loss) }, err
	}
	run, err := s.launch(s.alphas, net.Env{}, x, s.alphaDraw, env)
	return func() error {
		dcoef, loss, err := run.read()
		if err != nil {
			return err
		}
		return s.move(step, back, coef, dcoef, loss)
	}, err
}

// move moves α by the gradient of the loss with respect to coefficients, and the cost.
func (s *searcher) move(step int, back []relax.Backward, coef [][]float64, dcoef []float64, loss float64) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%s: architecture step %d: %w (%g)", s.Hooks.Stage, step, train.ErrDiverged, loss)
	}
	s.aloss += loss
	s.asteps++
	grads := make([][]float64, len(coef))
	for i, c := range coef {
		grads[i] = back[i](dcoef[:len(c)])
		dcoef = dcoef[len(c):]
	}
	s.addCost(grads)
	optim.ClipHost(grads, s.cfg.AlphaClip)
	s.host.Update(s.cfg.AlphaRate, s.Pos.Alpha, grads)
	return nil
}

// alphaDraw is the second half of the seed of an architecture step's micro-batch.
func (s *searcher) alphaDraw(parts, i int) int64 { return -1 - int64(s.Pos.Step*parts+i) }

// slope runs an architecture step's program over a batch and returns the gradient of
// the loss with respect to all coefficients, and the loss: means over the
// micro-batches. Buffers of extra stand before those of the run; what the program
// sums up is left in sums.
func (s *searcher) slope(p *net.Step, sums net.Env, x *net.Batch, draw func(parts, i int) int64, extra ...net.Env) (grad []float64, loss float64, err error) {
	run, err := s.launch(p, sums, x, draw, extra...)
	if err != nil {
		return nil, 0, err
	}
	return run.read()
}

// slopes are results of an architecture step's program, one of each micro-batch.
type slopes []engine.Buffer

// launch is slope without waiting for the results.
func (s *searcher) launch(p *net.Step, sums net.Env, x *net.Batch, draw func(parts, i int) int64, extra ...net.Env) (run slopes, err error) {
	for part := range x.Parts {
		in, err := s.MicroBatch(x, part, draw(x.Parts, part))
		if err != nil {
			return nil, err
		}
		more, err := s.More(p, part)
		if err != nil {
			return nil, err
		}
		out, err := p.Run(sums, slices.Concat([]net.Env{in, more}, extra, []net.Env{sums, s.Env})...)
		if err != nil {
			return nil, err
		}
		run = append(run, out[net.AlphaName])
		delete(out, net.AlphaName)
		in.Free()
		more.Free()
		out.Free()
	}
	return run, nil
}

// read waits for the results.
func (r slopes) read() (grad []float64, loss float64, err error) {
	for _, b := range r {
		t, err := b.Read()
		if err != nil {
			return nil, 0, err
		}
		b.Free()
		last := len(t.F32) - 1
		if grad == nil {
			grad = make([]float64, last)
		}
		for i := range grad {
			grad[i] += float64(t.F32[i]) / float64(len(r))
		}
		loss += float64(t.F32[last]) / float64(len(r))
	}
	return grad, loss, nil
}

// addCost replaces the architecture gradients g by (g + Σ μ·∂E[cost]/limit) / (1 + Σ μ), the
// sum being over the budget's limits. E is the expectation at the mean coefficients and μ the
// weight of a limit's cost term; the division keeps the scale that Adam sees while μ moves
// over magnitudes.
func (s *searcher) addCost(grads [][]float64) {
	if len(s.budget) == 0 {
		return
	}
	means := s.means()
	slope := make([][]float64, len(grads))
	for i := range slope {
		slope[i] = make([]float64, len(means[i]))
	}
	total := 0.0
	for n, l := range s.budget {
		value, dcoef := l.Cost.Expect(means)
		s.ratio[l.Metric] = value / s.full[n]
		excess := max(min(value/l.Limit-1, 1), -1)
		s.Pos.Lambda[n] = min(s.Pos.Lambda[n]*math.Exp(multiplierDrift*excess), multiplierMax)
		mu := s.Pos.Lambda[n] * math.Exp(multiplierReact*excess)
		total += mu
		for i := range slope {
			for k, v := range dcoef[i] {
				slope[i][k] += v * (mu / l.Limit)
			}
		}
	}
	for i := range grads {
		for k, g := range s.rx.MeanBackward(s.Pos.Alpha[i], slope[i]) {
			grads[i][k] = (grads[i][k] + g) / (1 + total)
		}
	}
}

func (s *searcher) describe(e *train.Event) {
	if s.asteps > 0 {
		e.AlphaLoss = s.aloss / s.asteps
	}
	s.aloss, s.asteps = 0, 0
	e.Cost, e.Multiplier = maps.Clone(s.ratio), map[string]float64{}
	for i, l := range s.budget {
		if s.rounds != nil {
			e.Cost[l.Metric] = l.Cost.At(s.Pos.Choice) / s.full[i]
		} else {
			e.Multiplier[l.Metric] = s.Pos.Lambda[i]
		}
	}
	e.Coef = map[string][]float64{}
	means := s.means()
	for i, m := range means {
		e.Coef[s.Net.Super.Space.Dims[i].Name] = m
	}
	e.Entropy = Entropy(means)
}

func (s *searcher) evalMean(ctx context.Context, ev *net.Evaluator, val data.View) error {
	env, err := net.UploadCoef(s.Be, s.means())
	if err != nil {
		return err
	}
	defer env.Free()
	all := maps.Clone(s.Env)
	maps.Copy(all, env)
	return s.Eval(ctx, ev, all, val)
}

func (s *searcher) close() {
	s.Loop.Close()
	s.aload.Close()
}
