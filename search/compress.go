package search

import (
	"cmp"
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
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// Job is everything that compressing one model needs, beside model and data.
type Job struct {
	Space     space.Options
	Given     *space.Space // edited space.yaml; nil: New with Space
	Batch     int
	Seed      uint64
	Splits    Splits
	Order     string // of Importance
	Super     space.Superposition
	Separate  bool // every choice has weights of its own, see Network.Separate
	Search    Config
	Target    Target
	Evolution Evolution
	Refine    int    // subnets whose loss decides after the search; 0: the coefficients alone decide
	Inherit   string // of Inherit; "" is the first
	Calibrate int    // batches of recalibration after the cut
	Tune      Weights
	Method    string // of Methods; "" is the first
	Baselines bool   // also tune what the other methods choose
	Memory    int    // of Network, for the search and for tuning
	DataLimit int    // likewise
	Dir       string // checkpoints; "" keeps none
	Every     int    // steps between checkpoints; 0: one per epoch
	Observe   func(Event)
}

func (j *Job) method() string { return cmp.Or(j.Method, Methods[0]) }

// Inherit lists the weights that a subnet can start from: those that the search
// trained, or the original's.
var Inherit = []string{"search", "original"}

// Methods lists what can choose: the search, one width ratio everywhere, a random
// choice of at least 97 % of the budget, or evolution over a supernet trained on
// single subnets. Uniform and random start from the original's weights.
var Methods = []string{"search", "uniform", "random", "evolution"}

// DefaultJob returns the settings of a short search from pretrained weights to half
// of the MACs.
func DefaultJob() Job {
	j := Job{Batch: 128, Splits: Splits{Weights: 0.45, Alpha: 0.45, Val: 0.1}, Order: "taylor", Super: space.Reader, Search: DefaultConfig(), Refine: 64,
		Target: Target{Metric: space.MACs, Share: 0.5}, Calibrate: 100, Tune: DefaultWeights()}
	for _, w := range []*Weights{&j.Search.Weights, &j.Tune} {
		w.Objective = Objective{Labels: 0.5, Distill: 0.5, Temperature: 4}
	}
	return j
}

// Target is a budget as a share of the original's cost (Share) or absolute (Limit).
type Target struct {
	Metric string
	Share  float64
	Limit  float64
}

// Splits are the shares of the training samples for weight steps, architecture
// steps and validation. Fine-tuning uses the first two together.
type Splits struct {
	Weights, Alpha, Val float64
}

// Check reports shares that are not a division of the samples.
func (s Splits) Check() error {
	if s.Weights <= 0 || s.Alpha <= 0 || s.Val < 0 || s.Weights+s.Alpha+s.Val > 1+1e-9 {
		return fmt.Errorf("search: splits: want weights and alpha above 0, val ≥ 0, in all at most 1, got %g, %g, %g", s.Weights, s.Alpha, s.Val)
	}
	return nil
}

// Views are the splits of a data set's training part, and its test part when it has one.
type Views struct {
	Weights, Alpha, Both, Val, Test data.View
}

// View deals the training part.
func (s Splits) View(set *data.Set, seed uint64) (*Views, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	train := set.Part("train")
	if train == nil {
		return nil, fmt.Errorf("search: data %q: want a part named \"train\"", set.Spec)
	}
	shares := []data.Share{{Name: "weights", Fraction: s.Weights}, {Name: "alpha", Fraction: s.Alpha}}
	if s.Val > 0 {
		shares = append(shares, data.Share{Name: "val", Fraction: s.Val})
	}
	parts, err := train.All().Split(seed, shares...)
	if err != nil {
		return nil, err
	}
	v := &Views{Weights: parts[0], Alpha: parts[1], Both: parts[0].Join("train", parts[1])}
	if s.Val > 0 {
		v.Val = parts[2].Apart()
	}
	if t := set.Part("test"); t != nil {
		v.Test = t.All().Apart()
	}
	return v, nil
}

// Plan is a job that has been checked against model and data and costs nothing yet.
type Plan struct {
	Job    Job
	Model  *ir.Model
	Set    *data.Set
	Views  *Views
	An     *space.Analysis
	Space  *space.Space
	Cost   map[string]*space.CostModel
	Budget Budget
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
	m = OpenBatch(m)
	bind, err := BindingOn(m, 2, set)
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
	an, err := space.Analyse(m, facts, kinds...)
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
	net, err := space.Entangle(an, p.Space, j.Super)
	if err != nil {
		return nil, err
	}
	if p.Cost, err = net.Costs(); err != nil {
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
	p.Budget = Budget{Metric: j.Target.Metric, Limit: limit}
	return p, CheckBudget(p.Space, c, p.Budget)
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
	Inherited    *Score `json:"inherited,omitempty"`
	Recalibrated *Score `json:"recalibrated,omitempty"`
	Tuned        *Score `json:"tuned,omitempty"`
	// Distance stands for the scores of models and data without classes and labels:
	// how far the subnet's outputs are from the original's.
	Distance *Distance `json:"distance,omitempty"`
}

// Distance is a subnet's fidelity at the three points of its life.
type Distance struct {
	Inherited    *Fidelity `json:"inherited,omitempty"`
	Recalibrated *Fidelity `json:"recalibrated,omitempty"`
	Tuned        *Fidelity `json:"tuned,omitempty"`
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
	Seed     uint64             `json:"seed"`
	Budget   Budget             `json:"budget"`
	Cost     map[string]float64 `json:"original_cost"`
	Original struct {
		Val  *Score `json:"val,omitempty"`
		Test *Score `json:"test,omitempty"`
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
	plain, err := NewNetworkOn(p.Model, j.Batch, p.Set, nil)
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
func (p *Plan) choose(ctx context.Context, be engine.Backend, plain *Network, super *space.Supernet, method string) ([]int, map[string]*ir.Tensor, error) {
	cost := p.Cost[p.Budget.Metric]
	switch method {
	case "search":
		return p.decide(ctx, be, plain, super)
	case "uniform":
		choice, err := Uniform(p.Space, cost, p.Budget)
		return choice, nil, err
	case "random":
		choice, err := RandomChoice(p.Space, cost, p.Budget, 0.97, rng.New(p.Job.Seed, "baseline/random").Rand)
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
	plain, err := NewNetworkOn(p.Model, p.Job.Batch, p.Set, nil)
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
func (p *Plan) order(ctx context.Context, be engine.Backend, plain *Network) error {
	for _, d := range p.Space.Dims {
		if d.Order != nil {
			return nil
		}
	}
	return Order(ctx, be, plain, plain, p.An, p.Space, p.Job.Order, p.Views.Weights, p.Job.Search.Weights.Objective, 16, p.Job.Seed)
}

func (p *Plan) hooks(stage string) Hooks {
	h := Hooks{Observe: p.Job.Observe, Stage: stage, Every: p.Job.Every}
	if p.Job.Dir != "" {
		h.Checkpoint = filepath.Join(p.Job.Dir, stage+".checkpoint")
	}
	return h
}

// entangled returns the network that a search trains.
func (p *Plan) entangled(super *space.Supernet) (*Network, error) {
	n, err := NewNetworkOn(p.Model, p.Job.Batch, p.Set, super)
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
func (p *Plan) decide(ctx context.Context, be engine.Backend, plain *Network, super *space.Supernet) ([]int, map[string]*ir.Tensor, error) {
	cfg := p.Job.Search
	cfg.Budget = &p.Budget
	net, err := p.entangled(super)
	if err != nil {
		return nil, nil, err
	}
	d, err := Run(ctx, be, net, plain, p.Views.Weights, p.Views.Alpha, data.View{}, cfg, p.Job.Seed, p.hooks("search"))
	if err != nil {
		return nil, nil, err
	}
	score := Ordinal(d.Mean)
	choice, err := Choose(p.Space, p.Cost[p.Budget.Metric], &p.Budget, score)
	if err != nil {
		return nil, nil, err
	}
	choice = Spend(p.Space, p.Cost[p.Budget.Metric], p.Budget, score, choice)
	if p.Job.Refine > 0 {
		if choice, err = p.refine(ctx, be, net, plain, d, score, choice); err != nil {
			return nil, nil, err
		}
	}
	return p.inherit(choice, net.chosen(choice, d.Weights))
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
func (p *Plan) refine(ctx context.Context, be engine.Backend, net, plain *Network, d *Decision, score [][]float64, choice []int) ([]int, error) {
	j := p.Job
	cost := p.Cost[p.Budget.Metric]
	r, err := NewRefiner(be, net, plain, d.Weights, p.Views.Alpha, j.Search.Weights.Objective, j.Seed)
	if err != nil {
		return nil, err
	}
	uniform, err := Uniform(p.Space, cost, p.Budget)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	return r.Refine(ctx, cost, p.Budget, score, [][]int{choice, uniform}, j.Refine, j.Seed, func(trial int, best float64) {
		if j.Observe != nil && (trial%20 == 0 || trial == j.Refine) {
			j.Observe(Event{Stage: "refine", Kind: "step", Step: trial, Total: j.Refine, Loss: best, Seconds: time.Since(start).Seconds()})
		}
	})
}

// candidate cuts a choice, recalibrates and fine-tunes it. Weights nil are the original's.
func (p *Plan) candidate(ctx context.Context, be engine.Backend, plain *Network, super *space.Supernet, name string, choice []int, weights map[string]*ir.Tensor) (*Candidate, error) {
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
	n, err := NewNetworkOn(c.Model, j.Batch, p.Set, nil)
	if err != nil {
		return nil, err
	}
	n.Memory, n.DataLimit = j.Memory, j.DataLimit
	type stage struct {
		score    func(q *Quality) **Score
		distance func(d *Distance) **Fidelity
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
			if *s.distance(x.to.Distance), err = Compare(ctx, be, n, plain, x.view); err != nil {
				return err
			}
		}
		return nil
	}
	inherited := stage{func(q *Quality) **Score { return &q.Inherited }, func(d *Distance) **Fidelity { return &d.Inherited }}
	recalibrated := stage{func(q *Quality) **Score { return &q.Recalibrated }, func(d *Distance) **Fidelity { return &d.Recalibrated }}
	tuned := stage{func(q *Quality) **Score { return &q.Tuned }, func(d *Distance) **Fidelity { return &d.Tuned }}
	if err := measure(inherited); err != nil {
		return nil, err
	}
	if j.Calibrate > 0 && len(n.Stats) > 0 {
		if c.Model, n, err = n.calibrated(ctx, be, p.Views.Both, j.Calibrate, j.Seed); err != nil {
			return nil, err
		}
		if err := measure(recalibrated); err != nil {
			return nil, err
		}
	}
	if j.Tune.Epochs > 0 {
		r, err := Train(ctx, be, n, plain, p.Views.Both, p.Views.Val, j.Tune, j.Seed, p.hooks("finetune-"+name))
		if err != nil {
			return nil, err
		}
		if c.Model, n, err = n.with(r.Weights); err != nil {
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
func (p *Plan) scores(ctx context.Context, be engine.Backend, n *Network) (val, test *Score, err error) {
	for _, x := range []struct {
		view data.View
		to   **Score
	}{{p.Views.Val, &val}, {p.Views.Test, &test}} {
		if x.view.Len() == 0 || !x.view.Part().Labelled() {
			continue
		}
		if *x.to, err = Evaluate(ctx, be, n, x.view); err != nil {
			return nil, nil, err
		}
		if math.IsNaN((*x.to).Loss) {
			return nil, nil, fmt.Errorf("search: evaluate: the model's outputs are not numbers on %q", x.view.Name)
		}
	}
	return val, test, nil
}
