package entangle

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Plan is a job that has been checked against model and data and costs nothing yet.
type Plan struct {
	Job    Job
	Model  *ir.Model
	Set    *data.Set
	Views  *search.Views
	An     *space.Analysis
	Space  *space.Space
	Cost   map[string]*space.CostModel
	Budget decide.Budget
}

// Profile is the cost of the reference subnets by metric.
type Profile struct {
	Name string             `json:"name"`
	Cost map[string]float64 `json:"cost"`
}

// Prepare analyses the model, builds or checks the space, and refuses a target
// that no choice meets with a *TargetError.
func Prepare(m *ir.Model, set *data.Set, j Job) (*Plan, error) {
	views, err := j.Splits.View(set, j.Seed)
	if err != nil {
		return nil, err
	}
	m = net.OpenBatch(m)
	bind, err := net.BindingOn(m, 2, set)
	if err != nil {
		return nil, err
	}
	facts, err := ops.InferModel(m, bind)
	if err != nil {
		return nil, err
	}
	kinds := j.Space.Kinds
	if j.Given != nil {
		kinds = j.Given.Kinds()
	}
	an, err := space.AnalyseFor(m, facts, kinds)
	if err != nil {
		return nil, err
	}
	p := &Plan{Job: j, Model: m, Set: set, Views: views, An: an, Space: j.Given}
	if p.Space == nil {
		if p.Space, err = space.New(an, j.Space); err != nil {
			return nil, err
		}
	} else if p.Space.Source != "" && p.Space.Source != space.Fingerprint(m) {
		return nil, fmt.Errorf("search: the space is for a model with fingerprint %.16s…, this one has %.16s…", p.Space.Source, space.Fingerprint(m))
	}
	supernet, err := space.Entangle(an, p.Space, j.Super)
	if err != nil {
		return nil, err
	}
	if p.Cost, err = supernet.Costs(); err != nil {
		return nil, err
	}
	if _, err := space.MetricByName(j.Target.Metric); err != nil {
		return nil, fmt.Errorf("search: target: %w", err)
	}
	c := p.Cost[j.Target.Metric]
	limit := j.Target.Limit
	if limit == 0 {
		limit = j.Target.Share * c.At(p.Space.Largest())
	}
	p.Budget = decide.Budget{Metric: j.Target.Metric, Limit: limit}
	return p, decide.CheckBudget(p.Space, c, p.Budget)
}

// Profiles prices the original, the middle and the smallest subnet.
func (p *Plan) Profiles() []Profile {
	middle := p.Space.Largest()
	for i := range middle {
		middle[i] = (middle[i] + 1) / 2
	}
	var out []Profile
	for _, x := range []struct {
		name   string
		choice []int
	}{{"original (largest)", p.Space.Largest()}, {"middle", middle}, {"smallest", p.Space.Smallest()}} {
		out = append(out, Profile{x.name, p.price(x.choice)})
	}
	return out
}

func (p *Plan) price(choice []int) map[string]float64 {
	out := map[string]float64{}
	for m, c := range p.Cost {
		out[m] = c.At(choice)
	}
	return out
}

// Quality is a subnet's score at the three points of its life, on one split.
type Quality struct {
	Inherited    *net.Score `json:"inherited,omitempty"`
	Recalibrated *net.Score `json:"recalibrated,omitempty"`
	Tuned        *net.Score `json:"tuned,omitempty"`
	// Distance stands for the scores of models and data without classes and labels:
	// how far the subnet's outputs are from the original's.
	Distance *Distance `json:"distance,omitempty"`
}

// Distance is a subnet's fidelity at the three points of its life.
type Distance struct {
	Inherited    *net.Fidelity `json:"inherited,omitempty"`
	Recalibrated *net.Fidelity `json:"recalibrated,omitempty"`
	Tuned        *net.Fidelity `json:"tuned,omitempty"`
}

// Candidate is one choice with its quality.
type Candidate struct {
	Name    string             `json:"name"` // "search", "uniform", "random"
	Choice  map[string]int     `json:"choice"`
	Cost    map[string]float64 `json:"cost"`
	Val     Quality            `json:"val"`
	Test    Quality            `json:"test"`
	Seconds float64            `json:"seconds"`
	Model   *ir.Model          `json:"-"`
	Recipe  *subnet.Recipe     `json:"-"`
}

// Outcome is what Compress gives.
type Outcome struct {
	Seed     uint64                   `json:"seed"`
	Budget   decide.Budget            `json:"budget"`
	Cost     map[string]float64 `json:"original_cost"`
	Original struct {
		Val  *net.Score `json:"val,omitempty"`
		Test *net.Score `json:"test,omitempty"`
	} `json:"original"`
	Profiles   []Profile   `json:"profile"`
	SearchTime float64     `json:"search_seconds"`
	Candidates []Candidate `json:"candidates"`
}

// Compress searches, cuts, recalibrates and fine-tunes. The first candidate is
// the job's method's. Choices are made on training samples only; test is scored, never read.
func (p *Plan) Compress(ctx context.Context, be engine.Backend) (*Outcome, error) {
	j := p.Job
	out := &Outcome{Seed: j.Seed, Budget: p.Budget, Cost: p.price(p.Space.Largest()), Profiles: p.Profiles()}
	plain, err := net.NewNetworkOn(p.Model, j.Batch, p.Set, nil)
	if err != nil {
		return nil, err
	}
	labelled := p.Views.Weights.Part().Labelled() && plain.Classes > 0
	if labelled {
		if out.Original.Val, out.Original.Test, err = p.scores(ctx, be, plain); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	if err := p.order(ctx, be, plain); err != nil {
		return nil, err
	}
	super, err := space.Entangle(p.An, p.Space, j.Super)
	if err != nil {
		return nil, err
	}
	methods := []string{j.method()}
	if j.Baselines {
		for _, m := range Methods {
			if m != methods[0] && m != "evolution" {
				methods = append(methods, m)
			}
		}
	}
	for _, m := range methods {
		choice, weights, err := p.choose(ctx, be, plain, super, m)
		if err != nil {
			return nil, err
		}
		if len(out.Candidates) == 0 {
			out.SearchTime = time.Since(start).Seconds()
		}
		c, err := p.candidate(ctx, be, plain, super, m, choice, weights)
		if err != nil {
			return nil, err
		}
		out.Candidates = append(out.Candidates, *c)
	}
	return out, nil
}

// choose picks a choice within the budget, and the weights it starts from (nil: the original's).
func (p *Plan) choose(ctx context.Context, be engine.Backend, plain *net.Network, super *space.Supernet, method string) ([]int, map[string]*ir.Tensor, error) {
	cost := p.Cost[p.Budget.Metric]
	switch method {
	case "search":
		return p.decide(ctx, be, plain, super)
	case "uniform":
		choice, err := decide.Uniform(p.Space, cost, p.Budget)
		return choice, nil, err
	case "random":
		choice, err := decide.RandomChoice(p.Space, cost, p.Budget, 0.97, rng.New(p.Job.Seed, "baseline/random").Rand)
		return choice, nil, err
	case "evolution":
		choice, weights, err := p.evolve(ctx, be, plain, super)
		if err != nil {
			return nil, nil, err
		}
		return p.inherit(choice, weights)
	}
	return nil, nil, fmt.Errorf("search: method: want one of %v, got %q", Methods, method)
}

// Search lets the job's method choose and returns the recipe and the subnet with the
// weights that it starts from.
func (p *Plan) Search(ctx context.Context, be engine.Backend) (*subnet.Recipe, *ir.Model, error) {
	plain, err := net.NewNetworkOn(p.Model, p.Job.Batch, p.Set, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := p.order(ctx, be, plain); err != nil {
		return nil, nil, err
	}
	super, err := space.Entangle(p.An, p.Space, p.Job.Super)
	if err != nil {
		return nil, nil, err
	}
	method, by := p.Job.method(), p.Job.Search.Relaxation
	if method != Methods[0] {
		by = method
	}
	choice, weights, err := p.choose(ctx, be, plain, super, method)
	if err != nil {
		return nil, nil, err
	}
	r, err := subnet.NewRecipe(super, choice, p.Job.Seed, by)
	if err != nil {
		return nil, nil, err
	}
	m, err := subnet.Cut(super, choice, weights)
	return r, m, err
}

// order ranks units unless the given space already does.
func (p *Plan) order(ctx context.Context, be engine.Backend, plain *net.Network) error {
	for _, d := range p.Space.Dims {
		if d.Order != nil {
			return nil
		}
	}
	return net.Order(ctx, be, plain, plain, p.An, p.Space, p.Job.Order, p.Views.Weights, p.Job.Search.Weights.Objective, 16, p.Job.Seed)
}

func (p *Plan) hooks(stage string) train.Hooks {
	h := train.Hooks{Observe: p.Job.Observe, Stage: stage, Every: p.Job.Every}
	if p.Job.Dir != "" {
		h.Checkpoint = filepath.Join(p.Job.Dir, stage+".checkpoint")
	}
	return h
}

// entangled returns the network that a search trains.
func (p *Plan) entangled(super *space.Supernet) (*net.Network, error) {
	n, err := net.NewNetworkOn(p.Model, p.Job.Batch, p.Set, super)
	if err != nil {
		return nil, err
	}
	n.Memory, n.DataLimit = p.Job.Memory, p.Job.DataLimit
	if !p.Job.Separate {
		return n, nil
	}
	if p.Job.Super != space.Every {
		return nil, fmt.Errorf("search: separate weights: want superposition %q, got %q", space.Every, p.Job.Super)
	}
	return n, n.Separate()
}

// decide runs the search and picks a choice within the budget.
func (p *Plan) decide(ctx context.Context, be engine.Backend, plain *net.Network, super *space.Supernet) ([]int, map[string]*ir.Tensor, error) {
	cfg := p.Job.Search
	cfg.Budget = &p.Budget
	mixture, err := p.entangled(super)
	if err != nil {
		return nil, nil, err
	}
	d, err := search.Run(ctx, be, mixture, plain, p.Views.Weights, p.Views.Alpha, data.View{}, cfg, p.Job.Seed, p.hooks("search"))
	if err != nil {
		return nil, nil, err
	}
	score := decide.Ordinal(d.Mean)
	choice, err := decide.Choose(p.Space, p.Cost[p.Budget.Metric], &p.Budget, score)
	if err != nil {
		return nil, nil, err
	}
	choice = decide.Spend(p.Space, p.Cost[p.Budget.Metric], p.Budget, score, choice)
	if p.Job.Refine > 0 {
		if choice, err = p.refine(ctx, be, mixture, plain, d, score, choice); err != nil {
			return nil, nil, err
		}
	}
	return p.inherit(choice, mixture.Chosen(choice, d.Weights))
}

// inherit returns the weights that a subnet starts from: those given, or nil for the original's.
func (p *Plan) inherit(choice []int, weights map[string]*ir.Tensor) ([]int, map[string]*ir.Tensor, error) {
	switch p.Job.Inherit {
	case "", "search":
		return choice, weights, nil
	case "original":
		return choice, nil, nil
	}
	return nil, nil, fmt.Errorf("search: inherit: want one of %v, got %q", Inherit, p.Job.Inherit)
}

// refine measures subnets around a choice with the weights that the search trained.
func (p *Plan) refine(ctx context.Context, be engine.Backend, mixture, plain *net.Network, d *search.Decision, score [][]float64, choice []int) ([]int, error) {
	j := p.Job
	cost := p.Cost[p.Budget.Metric]
	v, err := net.NewVertices(be, mixture, plain, d.Weights, p.Views.Alpha, j.Search.Weights.Objective, j.Seed)
	if err != nil {
		return nil, err
	}
	uniform, err := decide.Uniform(p.Space, cost, p.Budget)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	return decide.Refine(ctx, p.Space, cost, p.Budget, score, [][]int{choice, uniform}, j.Refine, j.Seed, v.Loss, func(trial int, best float64) {
		if j.Observe != nil && (trial%20 == 0 || trial == j.Refine) {
			j.Observe(train.Event{Stage: "refine", Kind: "step", Step: trial, Total: j.Refine, Loss: best, Seconds: time.Since(start).Seconds()})
		}
	})
}

// candidate cuts a choice, recalibrates and fine-tunes it. Weights nil are the original's.
func (p *Plan) candidate(ctx context.Context, be engine.Backend, plain *net.Network, super *space.Supernet, name string, choice []int, weights map[string]*ir.Tensor) (*Candidate, error) {
	j := p.Job
	start := time.Now()
	c := &Candidate{Name: name, Choice: map[string]int{}, Cost: p.price(choice)}
	for i, d := range p.Space.Dims {
		c.Choice[d.Name] = d.Choices[choice[i]]
	}
	var err error
	if c.Recipe, err = subnet.NewRecipe(super, choice, j.Seed, name); err != nil {
		return nil, err
	}
	if c.Model, err = subnet.Cut(super, choice, weights); err != nil {
		return nil, err
	}
	labelled := p.Views.Weights.Part().Labelled() && plain.Classes > 0
	n, err := net.NewNetworkOn(c.Model, j.Batch, p.Set, nil)
	if err != nil {
		return nil, err
	}
	n.Memory, n.DataLimit = j.Memory, j.DataLimit
	type stage struct {
		score    func(q *Quality) **net.Score
		distance func(d *Distance) **net.Fidelity
	}
	measure := func(s stage) error {
		if labelled {
			*s.score(&c.Val), *s.score(&c.Test), err = p.scores(ctx, be, n)
			return err
		}
		for _, x := range []struct {
			view data.View
			to   *Quality
		}{{p.Views.Val, &c.Val}, {p.Views.Test, &c.Test}} {
			if x.view.Len() == 0 {
				continue
			}
			if x.to.Distance == nil {
				x.to.Distance = &Distance{}
			}
			if *s.distance(x.to.Distance), err = net.Compare(ctx, be, n, plain, x.view); err != nil {
				return err
			}
		}
		return nil
	}
	inherited := stage{func(q *Quality) **net.Score { return &q.Inherited }, func(d *Distance) **net.Fidelity { return &d.Inherited }}
	recalibrated := stage{func(q *Quality) **net.Score { return &q.Recalibrated }, func(d *Distance) **net.Fidelity { return &d.Recalibrated }}
	tuned := stage{func(q *Quality) **net.Score { return &q.Tuned }, func(d *Distance) **net.Fidelity { return &d.Tuned }}
	if err := measure(inherited); err != nil {
		return nil, err
	}
	if j.Calibrate > 0 && len(n.Stats) > 0 {
		if c.Model, n, err = n.Calibrated(ctx, be, p.Views.Both, j.Calibrate, j.Seed); err != nil {
			return nil, err
		}
		if err := measure(recalibrated); err != nil {
			return nil, err
		}
	}
	if j.Tune.Epochs > 0 {
		r, err := train.Train(ctx, be, n, plain, p.Views.Both, p.Views.Val, j.Tune, j.Seed, p.hooks("finetune-"+name))
		if err != nil {
			return nil, err
		}
		if c.Model, n, err = n.With(r.Weights); err != nil {
			return nil, err
		}
		if err := measure(tuned); err != nil {
			return nil, err
		}
	}
	c.Seconds = time.Since(start).Seconds()
	return c, nil
}

// scores evaluates on validation and test, each nil when there is none.
func (p *Plan) scores(ctx context.Context, be engine.Backend, n *net.Network) (val, test *net.Score, err error) {
	for _, x := range []struct {
		view data.View
		to   **net.Score
	}{{p.Views.Val, &val}, {p.Views.Test, &test}} {
		if x.view.Len() == 0 || !x.view.Part().Labelled() {
			continue
		}
		if *x.to, err = net.Evaluate(ctx, be, n, x.view); err != nil {
			return nil, nil, err
		}
		if math.IsNaN((*x.to).Loss) {
			return nil, nil, fmt.Errorf("search: evaluate: the model's outputs are not numbers on %q", x.view.Name)
		}
	}
	return val, test, nil
}

// evolve is the second stage after a supernet that was trained on single subnets, each
// choice equally likely (Guo et al., "Single Path One-Shot Neural Architecture Search
// with Uniform Sampling", 2020): Evolve on architecture batches, with as many trials
// as cost what the architecture steps of a search would have, unless the job says how many.
func (p *Plan) evolve(ctx context.Context, be engine.Backend, plain *net.Network, super *space.Supernet) ([]int, map[string]*ir.Tensor, error) {
	j := p.Job
	cfg := j.Search
	cfg.Relaxation, cfg.Hard, cfg.AlphaFrom, cfg.Budget = "spos", 0, cfg.Weights.Epochs+1, nil
	mixture, err := p.entangled(super)
	if err != nil {
		return nil, nil, err
	}
	d, err := search.Run(ctx, be, mixture, plain, p.Views.Weights, p.Views.Alpha, data.View{}, cfg, j.Seed, p.hooks("supernet"))
	if err != nil {
		return nil, nil, err
	}
	v, err := net.NewVertices(be, mixture, plain, d.Weights, p.Views.Alpha, cfg.Weights.Objective, j.Seed)
	if err != nil {
		return nil, nil, err
	}
	e := j.Evolution
	if e.Trials == 0 {
		batches := cfg.Weights.Epochs * float64(p.Views.Weights.Len()/j.Batch)
		e.Trials = max(int(math.Round(stepPasses*batches/net.VertexBatches)), 1)
	}
	start, done := time.Now(), 0
	choice, err := decide.Evolve(ctx, p.Space, p.Cost[p.Budget.Metric], p.Budget, e, j.Seed, v.Loss, func(trial int, best float64) {
		done = trial
		if j.Observe != nil && (trial%20 == 0 || trial == e.Trials) {
			j.Observe(train.Event{Stage: "evolution", Kind: "step", Step: trial, Total: e.Trials, Loss: best, Seconds: time.Since(start).Seconds()})
		}
	})
	if ctx.Err() != nil {
		return nil, nil, &train.Interrupted{Stage: "evolution", Step: done, Checkpoint: p.hooks("supernet").Checkpoint}
	}
	if err != nil {
		return nil, nil, err
	}
	return choice, mixture.Chosen(choice, d.Weights), nil
}

// stepPasses is about how many forward passes a step costs.
const stepPasses = 3
