package search

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/search/optim"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/space"
)

// Config says how a search runs.
type Config struct {
	Weights    Weights     `json:"weights" yaml:"weights"`
	Relaxation string      `json:"relaxation" yaml:"relaxation"`
	AlphaRate  float64     `json:"alpha_lr" yaml:"alpha_lr"`
	AlphaHyper optim.Hyper `json:"alpha_hyper" yaml:"alpha_hyper"` // of Adam, L2 inside the moments
	AlphaClip  float64     `json:"alpha_clip" yaml:"alpha_clip"`   // of the global norm; 0 is none
	AlphaFrom  float64     `json:"alpha_from" yaml:"alpha_from"`   // epochs of weight steps before the first architecture step
	// AlphaStart is the share of probability that every dim's original begins with; 0
	// begins uniform, as the paper does from random weights.
	AlphaStart float64 `json:"alpha_start" yaml:"alpha_start"`
	// Sandwich makes every fourth weight step train the largest subnet and every
	// fourth the smallest.
	Sandwich bool `json:"sandwich" yaml:"sandwich"`
	// Hard is the share of weight steps, rising from 0 at the start to Hard at the
	// end, that train one subnet drawn from the mean coefficients instead of the
	// mixture: weights that only ever met mixtures do not stand the cut.
	Hard float64 `json:"hard,omitempty" yaml:"hard"`
	// Unrolled takes α's gradient through one weight step (DARTS, second order): Liu et
	// al., "DARTS: Differentiable Architecture Search", 2019, equations 7 and 8.
	Unrolled bool `json:"unrolled,omitempty" yaml:"unrolled"`
	// Overlap takes the weight step with the coefficients from before the architecture step
	// that goes with it, so that a device is given both at once and need not wait for the
	// host in between. The paper's order is without. Unrolled steps never overlap.
	Overlap bool `json:"overlap,omitempty" yaml:"overlap"`
	// FreezeWeights takes architecture steps only.
	FreezeWeights bool    `json:"freeze_weights" yaml:"freeze_weights"`
	Budget        *Budget `json:"budget" yaml:"budget"`
}

// Budget is the most a subnet may cost.
type Budget struct {
	Metric space.Metric `json:"metric" yaml:"metric"`
	// Limit is the largest cost in the metric's unit.
	Limit float64 `json:"limit" yaml:"limit"`
}

// DefaultConfig returns DrNAS with the paper's constants for α beside two that are
// for short searches from pretrained weights: a learning rate above the paper's
// 3e-4, which needs its 100 epochs, and a start that leans to the original.
func DefaultConfig() Config {
	w := DefaultWeights()
	w.Epochs = 4
	w.Rate = 0.02
	return Config{Weights: w, Relaxation: relax.Default, AlphaStart: 0.8, AlphaRate: 0.02, AlphaHyper: optim.Hyper{Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 1e-3}}
}

// Decision is what a search found.
type Decision struct {
	Result
	Alpha [][]float64 // per dim
	Mean  [][]float64 // mean coefficients per dim
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
	*loop
	cfg    Config
	rx     relax.Relaxation
	alphas *step
	// unrolled takes the gradient through a weight step; nil: alphas alone.
	unrolled *unrolled
	host     *optim.Host
	aload    *data.Loader
	afeed    *feed
	draw     *rng.Stream
	cost     *space.CostModel
	full     float64
	aloss    float64
	asteps   float64
	ratio    float64
}

// Run searches the supernet net.Super: architecture steps on alpha, weight steps
// on weights, which must be disjoint views of one part. Val, when not empty, is
// scored every epoch at the mean coefficients.
func Run(ctx context.Context, be engine.Backend, n, teach *Network, weights, alpha, val data.View, c Config, seed uint64, h Hooks) (*Decision, error) {
	if h.Stage == "" {
		h.Stage = "search"
	}
	s, err := newSearcher(be, n, teach, weights, alpha, c, seed, h)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var ev *evaluator
	if val.Len() > 0 && s.feed.labels {
		if ev, err = newEvaluator(be, n); err != nil {
			return nil, err
		}
	}
	for s.pos.Step < s.total {
		if err := s.stop(ctx); err != nil {
			return nil, err
		}
		if err := s.advance(); err != nil {
			return nil, err
		}
		if ev != nil && (s.pos.Step%s.perEpoch == 0 || s.pos.Step == s.total) {
			if err := s.evalMean(ctx, ev, val); err != nil {
				return nil, err
			}
		}
		s.keepStreams()
		if err := s.tick(s.describe); err != nil {
			return nil, err
		}
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	w, err := n.weights(s.env)
	if err != nil {
		return nil, err
	}
	return &Decision{Result{w, s.pos.Curve}, s.pos.Alpha, s.means()}, nil
}

func newSearcher(be engine.Backend, n, teach *Network, weights, alpha data.View, c Config, seed uint64, h Hooks) (*searcher, error) {
	if n.Super == nil {
		return nil, fmt.Errorf("search: want a supernet, got a plain network")
	}
	rx, err := relax.ByName(c.Relaxation)
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
	l, err := newLoop(be, n, teach, weights, c.Weights, seed, h, "weights")
	if err != nil {
		return nil, err
	}
	s := &searcher{loop: l, cfg: c, rx: rx, draw: rng.New(seed, "search/relax"), afeed: l.feed}
	batch := n.Batch * c.Weights.parts()
	if alpha.Len() < batch {
		return nil, fmt.Errorf("search: want at least one batch of %d architecture samples, got %d", batch, alpha.Len())
	}
	aug, err := data.ParseAugments(c.Weights.Augment)
	if err != nil {
		return nil, err
	}
	if s.aload, err = alpha.Loader(data.LoaderOptions{Moves: l.feed.holds(alpha.Part()), Batch: batch, Shuffle: true, Shift: true, DropLast: true, Augment: aug, Seed: seed, Name: h.Stage + "/alpha"}); err != nil {
		return nil, err
	}
	if s.alphas, err = n.alphaStep(be, c.Weights.Objective, l.feed.labels, 0); err != nil {
		return nil, err
	}
	if c.Unrolled {
		if s.unrolled, err = newUnrolled(be, n, c, l.feed.labels); err != nil {
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
		s.pos.Alpha = append(s.pos.Alpha, a)
	}
	if s.host, err = optim.NewHost(adam, c.AlphaHyper, sizes...); err != nil {
		return nil, err
	}
	s.pos.Lambda = multiplierStart
	if c.Budget != nil {
		if s.cost, err = n.Super.Cost(c.Budget.Metric); err != nil {
			return nil, err
		}
		if err := CheckBudget(n.Super.Space, s.cost, *c.Budget); err != nil {
			return nil, err
		}
		s.full = s.cost.At(n.Super.Space.Largest())
	}
	space, err := json.Marshal(n.Super.Space)
	if err != nil {
		return nil, err
	}
	s.pos.Run = l.fingerprint(weights, c, alpha.Index, string(space))
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
	if s.hooks.Checkpoint == "" {
		return nil
	}
	if err := s.resume(); err != nil || s.pos.Step == 0 {
		return err
	}
	if err := s.host.Restore(s.pos.Slots); err != nil {
		return err
	}
	if err := s.draw.Restore(s.pos.Streams["relax"]); err != nil {
		return fmt.Errorf("search: checkpoint: stream: %w", err)
	}
	return s.aload.Restore(s.pos.Loaders["alpha"])
}

// keepStreams records what a checkpoint needs beside the loop's own state.
func (s *searcher) keepStreams() {
	s.pos.Slots = s.host.Slots
	s.pos.Streams["relax"] = s.draw.State()
	s.pos.Loaders["alpha"] = s.aload.State()
}

func (s *searcher) progress() float64 { return float64(s.pos.Step) / float64(max(s.total-1, 1)) }

// sample draws coefficients for every dim.
func (s *searcher) sample() (coef [][]float64, back []relax.Backward) {
	for _, a := range s.pos.Alpha {
		c, b := s.rx.Sample(a, s.draw, s.progress())
		coef, back = append(coef, c), append(back, b)
	}
	return coef, back
}

func (s *searcher) means() [][]float64 {
	out := make([][]float64, len(s.pos.Alpha))
	for i, a := range s.pos.Alpha {
		out[i] = s.rx.Mean(a)
	}
	return out
}

// uploadCoef uploads coefficients as coefName takes them.
func uploadCoef(be engine.Backend, coef [][]float64) (Env, error) {
	var v []float32
	for _, row := range coef {
		for _, x := range row {
			v = append(v, float32(x))
		}
	}
	b, err := be.Upload(prim.F32Tensor(v, len(v)))
	return Env{coefName: b}, err
}

// advance takes one architecture step (when its time has come) and one weight step.
func (s *searcher) advance() error {
	var train *fed
	if !s.cfg.FreezeWeights {
		var err error
		if train, err = s.take(s.loader, s.feed); err != nil {
			return err
		}
		// Before the architecture step: its result is waited for.
		if train.ready, err = s.upload(train, 0); err != nil {
			return err
		}
	}
	move := func() error { return nil }
	if float64(s.pos.Step) >= s.cfg.AlphaFrom*float64(s.perEpoch) {
		var err error
		if move, err = s.alphaStep(train); err != nil {
			return err
		}
	}
	if train == nil {
		s.pos.Step++
		return move()
	}
	if !s.cfg.Overlap {
		if err := move(); err != nil {
			return err
		}
	}
	env, err := uploadCoef(s.be, s.weightCoef())
	if err != nil {
		return err
	}
	defer env.free()
	if err := s.weightStepOn(train, env); err != nil || !s.cfg.Overlap {
		return err
	}
	return move()
}

// weightCoef returns the coefficients of the next weight step.
func (s *searcher) weightCoef() [][]float64 {
	coef, _ := s.sample()
	hard := s.cfg.Hard > 0 && s.draw.Float64() < s.cfg.Hard*s.progress()
	if hard {
		coef = s.vertex()
	}
	if s.cfg.Sandwich {
		switch sp := s.net.Super.Space; s.pos.Step % 4 {
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
func (s *searcher) alphaStep(train *fed) (move func() error, err error) {
	x, err := s.take(s.aload, s.afeed)
	if err != nil {
		return nil, err
	}
	coef, back := s.sample()
	env, err := uploadCoef(s.be, coef)
	if err != nil {
		return nil, err
	}
	defer env.free()
	step := s.pos.Step
	if s.unrolled != nil {
		dcoef, loss, err := s.unrolled.slope(s, x, train, env)
		return func() error { return s.move(step, back, coef, dcoef, loss) }, err
	}
	run, err := s.launch(s.alphas, Env{}, x, s.alphaDraw, env)
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
		return fmt.Errorf("%s: architecture step %d: %w (%g)", s.hooks.Stage, step, ErrDiverged, loss)
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
	s.host.Update(s.cfg.AlphaRate, s.pos.Alpha, grads)
	return nil
}

// alphaDraw is the second half of the seed of an architecture step's micro-batch.
func (s *searcher) alphaDraw(parts, i int) int64 { return -1 - int64(s.pos.Step*parts+i) }

// slope runs an architecture step's program over a batch and returns the gradient of
// the loss with respect to all coefficients, and the loss: means over the
// micro-batches. Buffers of extra stand before those of the run; what the program
// sums up is left in sums.
func (s *searcher) slope(p *step, sums Env, x *fed, draw func(parts, i int) int64, extra ...Env) (grad []float64, loss float64, err error) {
	run, err := s.launch(p, sums, x, draw, extra...)
	if err != nil {
		return nil, 0, err
	}
	return run.read()
}

// slopes are results of an architecture step's program, one of each micro-batch.
type slopes []engine.Buffer

// launch is slope without waiting for the results.
func (s *searcher) launch(p *step, sums Env, x *fed, draw func(parts, i int) int64, extra ...Env) (run slopes, err error) {
	for part := range x.parts {
		in, err := s.microBatch(x, part, draw(x.parts, part))
		if err != nil {
			return nil, err
		}
		more, err := s.more(p, part)
		if err != nil {
			return nil, err
		}
		out, err := p.run(sums, slices.Concat([]Env{in, more}, extra, []Env{sums, s.env})...)
		if err != nil {
			return nil, err
		}
		run = append(run, out[alphaName])
		delete(out, alphaName)
		in.free()
		more.free()
		out.free()
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

// addCost replaces the architecture gradients g by (g + μ·∂E[cost]/limit) / (1 + μ).
// E is the exact expectation at the mean coefficients and μ the cost term's weight;
// the division keeps the scale that Adam sees while μ moves over magnitudes.
func (s *searcher) addCost(grads [][]float64) {
	if s.cost == nil {
		return
	}
	value, dcoef := s.cost.Expect(s.means())
	s.ratio = value / s.full
	excess := max(min(value/s.cfg.Budget.Limit-1, 1), -1)
	s.pos.Lambda = min(s.pos.Lambda*math.Exp(multiplierDrift*excess), multiplierMax)
	mu := s.pos.Lambda * math.Exp(multiplierReact*excess)
	for i := range grads {
		for k := range dcoef[i] {
			dcoef[i][k] *= mu / s.cfg.Budget.Limit
		}
		for k, g := range s.rx.MeanBackward(s.pos.Alpha[i], dcoef[i]) {
			grads[i][k] = (grads[i][k] + g) / (1 + mu)
		}
	}
}

func (s *searcher) describe(e *Event) {
	if s.asteps > 0 {
		e.AlphaLoss = s.aloss / s.asteps
	}
	s.aloss, s.asteps = 0, 0
	e.Cost, e.Multiplier = s.ratio, s.pos.Lambda
	e.Coef = map[string][]float64{}
	for i, m := range s.means() {
		e.Coef[s.net.Super.Space.Dims[i].Name] = m
		h := 0.0
		for _, p := range m {
			if p > 0 {
				h -= p * math.Log(p)
			}
		}
		if len(m) > 1 {
			e.Entropy += h / math.Log(float64(len(m))) / float64(len(s.pos.Alpha))
		}
	}
}

func (s *searcher) evalMean(ctx context.Context, ev *evaluator, val data.View) error {
	env, err := uploadCoef(s.be, s.means())
	if err != nil {
		return err
	}
	defer env.free()
	all := maps.Clone(s.env)
	maps.Copy(all, env)
	return s.eval(ctx, ev, all, val)
}

func (s *searcher) close() {
	s.loop.close()
	s.aload.Close()
}
