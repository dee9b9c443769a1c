package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/rows"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// method is one way to an architecture.
type method struct {
	name, title string
	relaxation  string
	shared      bool   // weights of their own for every choice
	unrolled    bool   // the architecture's gradient through a weight step
	second      string // second stage, behind training on single paths: "random" or "evolution"
}

// methods lists them in the order of the page. Methods of one trained name have one supernet
// for each seed.
var methods = []method{
	{name: "drnas", title: "DrNAS, entangled (TangleNAS)", relaxation: "drnas"},
	{name: "darts", title: "DARTS, first order, entangled", relaxation: "darts"},
	{name: "darts-v2", title: "DARTS, second order, entangled", relaxation: "darts", unrolled: true},
	{name: "darts-sparsemax", title: "the same with sparsemax, as the paper's code", relaxation: "sparsemax"},
	{name: "gdas", title: "GDAS, entangled", relaxation: "gdas"},
	{name: "rounds", title: "this program's search in rounds", relaxation: search.InRounds},
	{name: "drnas-ws", title: "DrNAS, weight sharing", relaxation: "drnas", shared: true},
	{name: "spos-rs", title: "SPOS and random search", relaxation: "spos", second: "random"},
	{name: "spos-es", title: "SPOS and evolution", relaxation: "spos", second: "evolution"},
}

func methodByName(name string) (method, error) {
	var names []string
	for _, m := range methods {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return method{}, fmt.Errorf("method: want one of %s, got %q", strings.Join(names, ", "), name)
}

// trained names the training that a method needs.
func (m method) trained() string {
	if m.second != "" {
		return m.relaxation
	}
	return m.name
}

// What flags say by themselves: samples that a second stage measures on, batches that recalibrate.
const (
	usualSamples     = 5000
	usualCalibration = 100
)

// judged is how many test samples judge a supernet, at most.
const judged = 10000

// bench runs rows.
type bench struct {
	folders map[string]string
	tables  string // folder
	cache   string // of checkpoints
	out     store
	state   string
	engine  entangle.Engine
	// set by flags; 0 is the arena's
	epochs, rate, alphaRate float64
	again                   float64 // epochs of training anew what is found; 0: none
	trials, samples, limit  int
	calibrate               int // batches that recalibrate running statistics
	full                    bool
}

// settings lists what flags changed beside epochs.
func (b *bench) settings() (out []string) {
	for _, x := range []struct {
		name         string
		value, usual float64
	}{{"lr", b.rate, 0}, {"alpha-lr", b.alphaRate, 0}, {"limit", float64(b.limit), 0}, {"trials", float64(b.trials), 0}, {"samples", float64(b.samples), usualSamples}, {"calibrate", float64(b.calibrate), usualCalibration}, {"retrain", b.again, 0}} {
		if x.value != x.usual {
			out = append(out, fmt.Sprintf("%s=%g", x.name, x.value))
		}
	}
	return out
}

// epochsOf is how long a method trains in an arena.
func (b *bench) epochsOf(a arena, m method) float64 {
	switch n, own := a.full[m.name]; {
	case b.epochs > 0:
		return b.epochs
	case !b.full:
		return a.epochs
	case own:
		return n
	}
	return a.full[""]
}

// config is a method's search in an arena.
func (b *bench) config(a arena, m method) search.Config {
	c := search.DefaultConfig()
	c.Relaxation, c.Unrolled, c.AlphaStart, c.AlphaRate = m.relaxation, m.unrolled, 0, 3e-4
	c.Even = []float64{0} // a second path would begin at random weights again
	c.Weights = a.weights
	c.Weights.Epochs = train.Epochs(b.epochsOf(a, m))
	if b.rate > 0 {
		c.Weights.Rate, c.Weights.MinRate = b.rate, min(c.Weights.MinRate, b.rate)
	}
	if b.alphaRate > 0 {
		c.AlphaRate = b.alphaRate
	}
	if m.second != "" {
		c.AlphaFrom = float64(c.Weights.Epochs) + 1 // there are no architecture steps
	}
	return c
}

// epoch is what the cache keeps of an epoch of training.
type epoch struct {
	Epoch   int       `json:"epoch"`
	Step    int       `json:"step"`
	Seconds float64   `json:"seconds"` // of this epoch
	Choice  []int     `json:"choice"`
	Mean    []float64 `json:"mean"` // coefficients, dim after dim
	Loss    float64   `json:"loss"`
	Right   float64   `json:"right"` // share of weight samples
}

// history keeps an epoch a line; of lines of one epoch the last counts.
func history(file string) ([]epoch, error) {
	if _, err := os.Stat(file); os.IsNotExist(err) {
		return nil, nil
	}
	lines, err := rows.Read[epoch](file)
	var out []epoch
	for _, e := range lines {
		out = append(slices.DeleteFunc(out, func(o epoch) bool { return o.Epoch >= e.Epoch }), e)
	}
	return out, err
}

// run makes one row.
func (b *bench) run(ctx context.Context, a arena, m method, seed uint64) (row, error) {
	r := row{Space: a.name, Method: m.name, Seed: seed, Epochs: b.epochsOf(a, m), State: b.state, Settings: b.settings()}
	table, err := a.table.read(b.tables)
	if err != nil {
		return r, err
	}
	set, err := a.set(b.folders, b.limit)
	if err != nil {
		return r, err
	}
	be, err := (&entangle.Host{Getenv: os.Getenv}).Backend(ctx, b.engine)
	if err != nil {
		return r, err
	}
	return r, b.fill(ctx, be, a, m, set, table, &r)
}

// fill trains, chooses and looks up.
func (b *bench) fill(ctx context.Context, be engine.Backend, a arena, m method, set *data.Set, table *lookup, r *row) error {
	n, err := a.network(r.Seed, m)
	if err != nil {
		return err
	}
	views, err := search.Splits{Weights: 0.5, Alpha: 0.5}.View(set, r.Seed)
	if err != nil {
		return err
	}
	c := b.config(a, m)
	bytes, err := search.Memory(be, n, c, views.Weights)
	if err != nil {
		return err
	}
	r.StepMiB, r.Params = float64(bytes)/(1<<20), params(n)
	d, past, err := b.train(ctx, be, a, m, n, views, c, r.Seed)
	if err != nil {
		return err
	}
	for _, e := range past {
		r.Seconds.Train += e.Seconds
		r.Steps = e.Step
	}
	_, trained, err := n.With(d.Weights)
	if err != nil {
		return err
	}
	j, err := newJudge(be, trained)
	if err != nil {
		return err
	}
	s := n.Super.Space
	var choice []int
	switch {
	case m.second != "":
		start := time.Now()
		if choice, r.Trials, err = b.second(ctx, a, m, s, j, views.Alpha, r.Seed); err != nil {
			return err
		}
		r.Seconds.Choose = time.Since(start).Seconds()
	case d.Choice != nil:
		choice = d.Choice
	default:
		choice = argmax(s, d.Mean)
		r.Entropy = search.Entropy(d.Mean)
	}
	if m.second == "" && d.Choice == nil {
		for _, e := range past {
			if err := r.look(table, a, s, e.Choice); err != nil {
				return err
			}
		}
		for k := len(past) - 1; k >= 0 && slices.Equal(past[k].Choice, choice); k-- {
			r.Held++
		}
		if n := len(past); n == 0 || !slices.Equal(past[n-1].Choice, choice) {
			return fmt.Errorf("%s: the record of epochs does not end with the search's own choice: remove it with its checkpoint from %s", r.id(), b.cache)
		}
		if r.Gap.Mixture, err = j.percent(ctx, d.Mean, views.Test.Head(judged)); err != nil {
			return err
		}
	} else if err := r.look(table, a, s, choice); err != nil {
		return err
	}
	if a.optimum != "" {
		name, err := a.spell(s, choice)
		if err != nil {
			return err
		}
		r.Optimum = name == a.optimum
	}
	r.Rank, r.Regret = table.rank(r.last()), table.best()-r.last()
	if r.Gap.Inherited, err = j.percent(ctx, s.OneHot(choice), views.Test.Head(judged)); err != nil {
		return err
	}
	if r.Gap.Recalibrated, err = recalibrated(ctx, be, n, choice, d, views, r.Seed, b.calibrate, c.Weights.Augment); err != nil {
		return err
	}
	if b.again > 0 {
		if err := b.retrain(ctx, be, a, m, n, choice, d, views, r.Seed, r); err != nil {
			return err
		}
	}
	r.Memory = rows.PeakMemory()
	return nil
}

// look adds what the table says of an architecture to the curve.
func (r *row) look(table *lookup, a arena, s *space.Space, choice []int) error {
	name, err := a.spell(s, choice)
	if err != nil {
		return err
	}
	v, err := table.accuracy(name)
	r.Curve = append(r.Curve, v)
	return err
}

// argmax takes the most probable choice of every dim, of those that a subnet may end with.
func argmax(s *space.Space, mean [][]float64) []int {
	out := make([]int, len(mean))
	for d, p := range mean {
		out[d] = relax.Argmax(p[:s.Dims[d].Final()])
	}
	return out
}

// train runs a search, or goes on with one: the cache keeps its checkpoint and what every epoch
// ended with.
func (b *bench) train(ctx context.Context, be engine.Backend, a arena, m method, n *net.Network, views *search.Views, c search.Config, seed uint64) (*search.Decision, []epoch, error) {
	of := fmt.Sprintf("%s@%g-%s-%d", a.name, float64(c.Weights.Epochs), m.trained(), seed)
	for _, s := range b.settings() {
		if name, _, _ := strings.Cut(s, "="); slices.Contains([]string{"lr", "alpha-lr", "limit"}, name) {
			of += "+" + s
		}
	}
	base := filepath.Join(b.cache, of)
	if err := os.MkdirAll(b.cache, 0o777); err != nil {
		return nil, nil, err
	}
	past := base + ".epochs.jsonl"
	s := n.Super.Space
	perEpoch := views.Weights.Len() / n.Batch
	last := time.Now()
	var failed error
	observe := func(e train.Event) {
		if e.Kind != "step" || failed != nil {
			return
		}
		x := epoch{Epoch: (e.Step + perEpoch - 1) / perEpoch, Step: e.Step, Seconds: time.Since(last).Seconds(), Loss: e.Loss, Right: e.Accuracy}
		last = time.Now()
		mean := make([][]float64, len(s.Dims))
		for d, dim := range s.Dims {
			mean[d] = e.Coef[dim.Name]
			x.Mean = append(x.Mean, mean[d]...)
		}
		x.Choice = argmax(s, mean)
		failed = rows.Append(past, x)
		fmt.Fprintf(os.Stderr, "%s: epoch %d: loss %.3f, right %.3f, entropy %.3f, %.1f s\n", of, x.Epoch, e.Loss, e.Accuracy, e.Entropy, x.Seconds)
	}
	var budget decide.Budget
	if c.ByRounds() {
		l, err := roundsLimit(n.Super, a.limit)
		if err != nil {
			return nil, nil, err
		}
		budget = decide.Budget{l}
	}
	d, err := search.Run(ctx, be, n, nil, views.Weights, views.Alpha, data.View{}, c, budget, seed, train.Hooks{Observe: observe, Checkpoint: base + ".ckpt", LogEvery: perEpoch})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, nil, err
	}
	list, err := history(past)
	return d, list, err
}

// roundsLimit bounds the multiply-accumulates of the end of a search in rounds.
func roundsLimit(super *space.Supernet, share float64) (decide.Limit, error) {
	c, err := super.Cost(space.MACs)
	if err != nil {
		return decide.Limit{}, err
	}
	return decide.Limit{Metric: space.MACs, Cost: c, Limit: share * c.At(super.Space.Largest())}, nil
}

// judge scores a trained supernet at coefficients, in inference: running statistics, no dropout.
type judge struct {
	be  engine.Backend
	ev  *net.Evaluator
	env net.Env
}

func newJudge(be engine.Backend, n *net.Network) (*judge, error) {
	j := &judge{be: be, env: net.Env{}}
	var err error
	if j.ev, err = net.NewEvaluator(be, n); err != nil {
		return nil, err
	}
	return j, n.Load(be, j.env)
}

func (j *judge) score(ctx context.Context, coef [][]float64, view data.View) (*net.Score, error) {
	up, err := net.UploadCoef(j.be, coef)
	if err != nil {
		return nil, err
	}
	defer up.Free()
	j.env[net.CoefName] = up[net.CoefName]
	return j.ev.Score(ctx, j.env, view)
}

// percent is the accuracy; 0 where there are no samples.
func (j *judge) percent(ctx context.Context, coef [][]float64, view data.View) (float64, error) {
	if view.Len() == 0 {
		return 0, nil
	}
	s, err := j.score(ctx, coef, view)
	if err != nil {
		return 0, err
	}
	return 100 * s.Figure().Value, nil
}

// second picks the architecture of highest accuracy on samples of the validation half, among
// random ones or by evolution.
func (b *bench) second(ctx context.Context, a arena, m method, s *space.Space, j *judge, val data.View, seed uint64) (best []int, trials int, err error) {
	val = val.Head(b.samples)
	n := a.trials
	if b.trials > 0 {
		n = b.trials
	}
	loss := func(choice []int) (float64, error) {
		trials++
		x, err := j.score(ctx, s.OneHot(choice), val)
		if err != nil {
			return 0, err
		}
		return 1 - x.Figure().Value, nil
	}
	if m.second == "evolution" {
		best, err = decide.Evolve(ctx, s, nil, decide.Evolution{Population: a.population, Trials: n}, seed, loss, nil)
		return best, trials, err
	}
	draw := rng.New(seed, "paper/random")
	seen := map[string]bool{}
	least := 0.0
	for tries := 0; len(seen) < n && tries < 20*n; tries++ {
		choice := make([]int, len(s.Dims))
		for d, dim := range s.Dims {
			choice[d] = draw.IntN(dim.Final())
		}
		key, err := json.Marshal(choice)
		if err != nil {
			return nil, trials, err
		}
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		v, err := loss(choice)
		if err != nil {
			return nil, trials, err
		}
		if best == nil || v < least {
			best, least = choice, v
		}
	}
	return best, trials, nil
}

// recalibrated cuts the subnet of a choice with the supernet's weights, moves its running
// statistics over so many batches and scores it on the test part, in percent.
func recalibrated(ctx context.Context, be engine.Backend, n *net.Network, choice []int, d *search.Decision, views *search.Views, seed uint64, batches int, augment string) (float64, error) {
	if views.Test.Len() == 0 {
		return 0, nil
	}
	small, err := cut(n, choice, d)
	if err != nil {
		return 0, err
	}
	steps, err := data.ParseAugments(augment)
	if err != nil {
		return 0, err
	}
	_, after, err := small.Calibrated(ctx, be, views.Weights, batches, seed, steps...)
	if err != nil {
		return 0, err
	}
	s, err := net.Evaluate(ctx, be, after, views.Test.Head(judged))
	if err != nil {
		return 0, err
	}
	return 100 * s.Figure().Value, nil
}

// cut is the subnet of a choice with the supernet's weights.
func cut(n *net.Network, choice []int, d *search.Decision) (*net.Network, error) {
	m, err := subnet.Cut(n.Super, choice, n.Chosen(choice, d.Weights))
	if err != nil {
		return nil, err
	}
	return net.NewNetwork(m, n.Batch, nil)
}
