package entangle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/subnet"
)

// Options are a run's connections to the outside.
type Options struct {
	Host        *Host             // nil: no variables, no log
	Observe     func(train.Event) // hears of steps and evaluations; nil: nobody listens
	Checkpoints string            // folder of checkpoints; "" keeps none
	Begun       func() error      // called when the run folder is ready; nil: nothing to do
	Force       bool              // an existing output is written over
	Runtime     runtimes.Runtime  // that latency is measured on; nil: as the job says
}

// Candidate is one choice with its quality.
type Candidate struct {
	Name   string             `json:"name"` // the method's
	Choice map[string]int     `json:"choice"`
	Cost   map[string]float64 `json:"cost"`
	Val    Quality            `json:"val"`
	Test   Quality            `json:"test"`
	// Evaluated is what the user's command printed, nil without one.
	Evaluated *Evaluated               `json:"evaluated,omitempty"`
	Decided   *Decided                 `json:"decided,omitempty"` // of a search
	Latency   *Timed                   `json:"latency,omitempty"` // nil: no target names it
	Notes     []string                 `json:"notes,omitempty"`
	Fits      []net.Fit                `json:"fitted_layers,omitempty"` // by least squares, where that was kept
	Seconds   float64                  `json:"seconds"`
	Model     *ir.Model                `json:"-"` // its metadata carry the recipe and the costs
	Recipe    *subnet.Recipe           `json:"-"`
	Kept      *subnet.Kept             `json:"-"` // of the original's initialisers
	keep      map[string]ops.Positions // of the normal form's
}

// Scores are the original's; those on samples are nil without labels.
type Scores struct {
	Val  *net.Score `json:"val,omitempty"`
	Test *net.Score `json:"test,omitempty"`
	// Evaluated is what the user's command printed.
	Evaluated *float64 `json:"evaluated,omitempty"`
}

// Outcome is what a run gives; of Plan.Compress, without files and what is measured on them.
type Outcome struct {
	Model      string             `json:"model"`
	Teacher    string             `json:"teacher,omitempty"`
	File       string             `json:"file"`
	Data       string             `json:"data"`
	Seed       uint64             `json:"seed"`
	Budget     decide.Budget      `json:"budget"`
	Cost       map[string]float64 `json:"original_cost"`
	Original   Scores             `json:"original"`
	Outputs    []net.Meaning      `json:"outputs"`
	Profiles   []Profile          `json:"profile"`
	SearchTime float64            `json:"search_seconds"`
	Candidates []Candidate        `json:"candidates"` // the first is the job's method's
	Prediction *Prediction        `json:"latency_prediction,omitempty"`
	Warnings   []string           `json:"warnings,omitempty"` // what of model and data is likely to be wrong
	Evaluate   *Evaluate          `json:"evaluate,omitempty"`
	Figures    []Figure           `json:"figures,omitempty"` // of the original and the first candidate
	Gate       *Gate              `json:"gate,omitempty"`
	Written
}

// Choose lets the job's method choose and cuts what it chose, with the weights that it starts
// from: Search, with what is known of the choice. Quality is not measured.
func (p *Plan) Choose(ctx context.Context, be engine.Backend, o Options) (*Candidate, error) {
	if err := p.single(); err != nil {
		return nil, err
	}
	r, err := p.begin(ctx, be, o)
	if err != nil {
		return nil, err
	}
	if err := r.fits(); err != nil {
		return nil, err
	}
	if err := r.teaches(); err != nil {
		return nil, err
	}
	if err := r.order(); err != nil {
		return nil, err
	}
	start := time.Now()
	c, err := r.candidate(p.Job.Method)
	if err != nil {
		return nil, err
	}
	c.Seconds = time.Since(start).Seconds()
	c.Model = p.Source.written(c.Model)
	return c, nil
}

// Prediction is how well latencies are predicted.
type Prediction struct {
	Runtime  string  `json:"runtime"`
	Threads  int     `json:"threads,omitempty"`
	Batch    int     `json:"batch"`
	Original float64 `json:"original_ms"`
	Subnets  int     `json:"subnets"` // that were predicted, and then measured
	latency.Quality
	Noise float64 `json:"noise"` // of the original beside itself
}

func (p *Plan) prediction() *Prediction {
	if p.Prices == nil {
		return nil
	}
	x := p.Prices
	return &Prediction{x.Runtime, x.Threads, x.Batch, x.Original, len(x.Checks), x.Quality(), x.Noise}
}

// Search lets the job's method choose and returns the recipe and the subnet with the
// weights that it starts from.
func (p *Plan) Search(ctx context.Context, be engine.Backend, o Options) (*subnet.Recipe, *ir.Model, error) {
	c, err := p.Choose(ctx, be, o)
	if err != nil {
		return nil, nil, err
	}
	return c.Recipe, c.Model, nil
}

// Compress searches, cuts, recalibrates and fine-tunes. Choices are made on training samples
// only; test is scored, never read. The user's command measures the original before any work;
// where it fails on a network that is tuned, the outcome stands beside the *EvaluateError.
func (p *Plan) Compress(ctx context.Context, be engine.Backend, o Options) (*Outcome, error) {
	if err := p.single(); err != nil {
		return nil, err
	}
	r, out, err := p.measured(ctx, be, o)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := r.order(); err != nil {
		return nil, err
	}
	c, err := r.candidate(p.Job.Method)
	if err != nil {
		return nil, err
	}
	out.SearchTime = time.Since(start).Seconds()
	failed, err := r.tune(out, c)
	if err != nil {
		return nil, err
	}
	return out, failed
}

// measured begins a run with what is known of the original.
func (p *Plan) measured(ctx context.Context, be engine.Backend, o Options) (*run, *Outcome, error) {
	r, err := p.begin(ctx, be, o)
	if err != nil {
		return nil, nil, err
	}
	if err := r.fits(); err != nil {
		return nil, nil, err
	}
	if err := r.teaches(); err != nil {
		return nil, nil, err
	}
	out := &Outcome{Model: p.Job.Model, Teacher: p.Job.Teacher, Data: p.Job.Data.Source, Seed: p.Job.Seed, Budget: p.Budget, Cost: p.whole(), Profiles: p.Profiles(), Outputs: p.Outputs, Prediction: p.prediction()}
	if r.evaluator != nil {
		v, err := r.evaluator.original(ctx, p.Source)
		if err != nil {
			return nil, nil, err
		}
		out.Original.Evaluated, out.Evaluate = &v, &p.Job.Evaluate
	}
	if out.Original.Val, err = score(ctx, be, r.plain, p.Views.Val); err != nil {
		return nil, nil, err
	}
	if out.Original.Test, err = score(ctx, be, r.plain, p.Views.Test); err != nil {
		return nil, nil, err
	}
	out.Warnings = p.Warnings
	if w := Suspect(cmp.Or(out.Original.Test, out.Original.Val)); w != "" {
		o.Host.warn([]string{w})
		out.Warnings = append(slices.Clip(out.Warnings), w)
	}
	return r, out, nil
}

// tune recovers the first candidate and the baselines that the job wants beside it, and adds
// them to the outcome. Failed are *EvaluateErrors of tuned networks.
func (r *run) tune(out *Outcome, first *Candidate) (failed, err error) {
	add := func(c *Candidate) error {
		err := r.recover(c)
		if err != nil && (c.Evaluated == nil || c.Evaluated.Failed == "") {
			return err
		}
		failed = errors.Join(failed, err)
		out.Candidates = append(out.Candidates, *c)
		return nil
	}
	if err := add(first); err != nil {
		return nil, err
	}
	for _, m := range Methods {
		if !r.Job.Baselines || m == first.Name || !Baseline(m) {
			continue
		}
		c, err := r.candidate(m)
		if err == nil {
			err = add(c)
		}
		if err != nil {
			return nil, err
		}
	}
	out.Figures = out.figures()
	return failed, nil
}

// candidate cuts what a method chooses.
func (r *run) candidate(method string) (*Candidate, error) {
	r.decided = nil
	pick, err := r.picker(method)
	if err != nil {
		return nil, err
	}
	return r.cut(method, pick)
}

// cut cuts what a method picks.
func (r *run) cut(method string, pick picker) (*Candidate, error) {
	choice, weights, timed, err := r.met(r.tuning(method), pick)
	if err != nil {
		return nil, err
	}
	c := &Candidate{Name: method, Latency: timed, Choice: map[string]int{}, Cost: r.price(choice), Decided: r.decided}
	for i, d := range r.Space.Dims {
		c.Choice[d.Name] = d.Choices[choice[i]]
	}
	by := method
	if method == "search" {
		if by = r.Job.Search.Relaxation; r.Job.Search.ByRounds() {
			by = "rounds"
		}
	}
	if c.Recipe, err = subnet.NewRecipe(r.super, choice, r.Job.Seed, by); err != nil {
		return nil, err
	}
	c.Recipe.LearnAt = r.Job.LearnAt
	if c.Model, err = subnet.Cut(r.super, choice, weights); err != nil {
		return nil, err
	}
	if c.keep, _, err = r.super.Cut(choice); err != nil {
		return nil, err
	}
	if c.Kept, err = r.Source.kept(subnet.NewKept(r.super, choice, c.Model)); err != nil {
		return nil, err
	}
	return c, Describe(c.Model, c.Recipe)
}

// recover recalibrates and fine-tunes a candidate.
func (r *run) recover(c *Candidate) error {
	start := time.Now()
	n, err := r.network(c.Model, nil)
	if err != nil {
		return err
	}
	back := &recovery{ctx: r.ctx, be: r.be, views: r.Views, teacher: r.teach, original: r.plain, calibrate: r.Job.Calibrate, fit: r.Job.Reconstruct, keep: c.keep, weights: r.Job.Tune, seed: r.Job.Seed, hooks: r.hooks(r.tuning(c.Name))}
	if r.evaluator != nil {
		c.Evaluated = &Evaluated{}
		back.judge = func(stage int, m *ir.Model) error { return r.evaluate(c, stage, m) }
	}
	m, val, test, err := back.run(n)
	if err != nil && (c.Evaluated == nil || c.Evaluated.Failed == "") {
		return err
	}
	c.Model, c.Val, c.Test, c.Notes, c.Fits = r.Source.written(m), val, test, back.notes, back.fits
	c.Seconds = time.Since(start).Seconds()
	return err
}

// evaluate gives a candidate's model to the user's command. A failure for the one that is
// written is noted in the candidate.
func (r *run) evaluate(c *Candidate, stage int, m *ir.Model) error {
	name, to, last := "cut", &c.Evaluated.Cut, r.Job.Tune.Epochs == 0
	if stage == tuned {
		name, to, last = "fine-tuned", &c.Evaluated.Tuned, true
	}
	v, err := r.evaluator.model(r.ctx, c.Name+", "+name, r.Source.written(m))
	var failed *EvaluateError
	switch {
	case err == nil:
		*to = &v
	case last && errors.As(err, &failed):
		c.Evaluated.Failed = err.Error()
	}
	return err
}
