package entangle

import (
	"cmp"
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// run is a plan on an engine.
type run struct {
	*Plan
	ctx       context.Context
	be        engine.Backend
	observe   func(train.Event)
	dir       string // of checkpoints; "" keeps none
	plain     *net.Network
	teach     *net.Network // what is learned from: the teacher, else plain
	super     *space.Supernet
	memory    int
	dataLimit int
	evaluator *evaluator // nil: none
	decided   *Decided   // by the last search
	host      *Host
	member    string           // of a family; "": none
	runtime   runtimes.Runtime // that latency is measured on; nil: as the job says
}

// begin makes the original's network, ready to run and to teach.
func (p *Plan) begin(ctx context.Context, be engine.Backend, o Options) (*run, error) {
	if err := p.Price(ctx, o); err != nil {
		return nil, err
	}
	r := &run{Plan: p, ctx: ctx, be: be, observe: o.Observe, dir: o.Checkpoints, host: o.Host, runtime: o.Runtime}
	var err error
	if r.evaluator, err = p.Job.newEvaluator(o.Host, o.Checkpoints, o.Force); err != nil {
		return nil, err
	}
	if r.memory, _, err = p.Job.StepMemory.bytes(net.LeastMemory); err != nil {
		return nil, err
	}
	if r.dataLimit, err = p.Job.deviceData(be); err != nil {
		return nil, err
	}
	if r.plain, err = r.network(p.Model, nil); err != nil {
		return nil, err
	}
	r.plain.Memory, r.plain.DataLimit = 0, 0
	if r.teach = p.teacher; r.teach == nil {
		r.teach = r.plain
	} else if err := r.teach.Means(p.Source.Means(p.Job.Outputs)); err != nil {
		return nil, &JobError{[]error{p.Teacher.teaches(err)}}
	}
	if err := r.teach.Scale(ctx, be, p.Views.Weights, p.Job.Seed); err != nil {
		return nil, err
	}
	r.plain.Scales = r.teach.Scales
	return r, nil
}

// teaches reports an objective of the job from which no weight learns.
func (r *run) teaches() error {
	for _, s := range r.Job.sections() {
		if !r.Job.trains(s) {
			continue
		}
		if err := r.plain.CheckGradient(r.ctx, r.be, r.teach, s.w.Objective, r.Views.Weights, r.Job.Seed); err != nil {
			return &JobError{[]error{&keyed{s.key + ".objective", err}}}
		}
		return nil
	}
	return nil
}

// network prepares a model to run, learn and be scored as the job says.
func (r *run) network(m *ir.Model, super *space.Supernet) (*net.Network, error) {
	n, err := net.NewNetworkOn(m, r.Job.Data.Batch, r.Set, super)
	if err != nil {
		return nil, err
	}
	n.Memory, n.DataLimit = r.memory, r.dataLimit
	if r.plain != nil {
		n.Scales = r.plain.Scales
	}
	return n, n.Means(r.Source.Means(r.Job.Outputs))
}

// rankingBatches is how many batches rank units.
const rankingBatches = 16

// order ranks the units of the space and entangles it.
func (r *run) order() (err error) {
	if !r.ranked() {
		if err = net.Order(r.ctx, r.be, r.plain, r.teach, r.An, r.Space, r.Job.Space.Order, r.Views.Weights, r.Job.Search.Weights.Objective, rankingBatches*r.parts, r.Job.Seed, r.tell("ranking")); err != nil {
			return err
		}
	}
	r.super, err = r.supernet()
	return err
}

func (r *run) hooks(stage string) train.Hooks {
	h := train.Hooks{Observe: r.observe, Stage: stage, Every: r.Job.Every}
	if r.dir != "" {
		h.Checkpoint = filepath.Join(r.dir, stage+".checkpoint")
	}
	return h
}

// picker picks a choice within a budget, and the weights it starts from (nil: the original's).
// It may be asked again.
type picker func(b decide.Budget) ([]int, map[string]*ir.Tensor, error)

// picker does what a method does once, and returns what chooses from then on.
func (r *run) picker(method string) (picker, error) {
	var pick picker
	var err error
	switch method {
	case "uniform":
		return func(b decide.Budget) ([]int, map[string]*ir.Tensor, error) {
			choice, err := decide.Uniform(r.Space, b)
			return choice, nil, err
		}, nil
	case "random":
		return func(b decide.Budget) ([]int, map[string]*ir.Tensor, error) {
			choice, err := decide.RandomChoice(r.Space, b, 0.97, rng.New(r.Job.Seed, "baseline/random").Rand)
			return choice, nil, err
		}, nil
	case "evolution":
		pick, err = r.evolve()
	default:
		pick, err = r.search()
	}
	return func(b decide.Budget) ([]int, map[string]*ir.Tensor, error) { return r.inherit(pick(b)) }, err
}

// inherit replaces the weights by nil, the original's, where the job wants those.
func (r *run) inherit(choice []int, weights map[string]*ir.Tensor, err error) ([]int, map[string]*ir.Tensor, error) {
	if r.Job.Inherit == "original" {
		weights = nil
	}
	return choice, weights, err
}

// entangled returns the network that a search trains.
func (r *run) entangled() (*net.Network, error) {
	n, err := r.network(r.Model, r.super)
	if err != nil {
		return nil, err
	}
	if r.Job.Space.Separate {
		err = n.Separate()
	}
	return n, err
}

// search trains the supernet and its coefficients; what it returns picks by them, then by
// measuring.
func (r *run) search() (picker, error) {
	mixture, err := r.entangled()
	if err != nil {
		return nil, err
	}
	d, err := search.Run(r.ctx, r.be, mixture, r.teach, r.Views.Weights, r.Views.Alpha, data.View{}, r.Job.Search, r.Budget, r.Job.Seed, r.hooks("search"))
	if err != nil {
		return nil, err
	}
	return r.found(mixture, d), nil
}

// found picks by what a search found.
func (r *run) found(mixture *net.Network, d *search.Decision) picker {
	score := decide.Ordinal(r.Space, d.Mean)
	return func(b decide.Budget) ([]int, map[string]*ir.Tensor, error) {
		if d.Choice != nil && !slices.ContainsFunc(b, func(l decide.Limit) bool { return l.Cost.At(d.Choice) > l.Limit }) {
			return d.Choice, mixture.Chosen(d.Choice, d.Weights), r.decide(mixture, d, d.Choice)
		}
		choice, err := decide.Choose(r.Space, b, score)
		if err != nil {
			return nil, nil, err
		}
		choice = decide.Spend(r.Space, b, score, choice)
		if r.Job.Refine > 0 {
			v, err := r.vertices(mixture, d)
			if err != nil {
				return nil, nil, err
			}
			uniform, err := decide.Uniform(r.Space, b)
			if err != nil {
				return nil, nil, err
			}
			starts := [][]int{choice, uniform}
			if choice, err = decide.Refine(r.ctx, r.Space, b, score, starts, r.Job.Refine, r.Job.Seed, v.Loss, r.trials("refine", r.Job.Refine)); err != nil {
				return nil, nil, err
			}
		}
		return choice, mixture.Chosen(choice, d.Weights), r.decide(mixture, d, choice)
	}
}

// evolve is the second stage after a supernet that was trained on single subnets, each
// choice equally likely (Guo et al., "Single Path One-Shot Neural Architecture Search
// with Uniform Sampling", 2020): evolution on architecture batches, with as many trials
// as cost what the architecture steps of a search would have, unless the job says how many.
func (r *run) evolve() (picker, error) {
	cfg := r.Job.sampled()
	mixture, err := r.entangled()
	if err != nil {
		return nil, err
	}
	d, err := search.Run(r.ctx, r.be, mixture, r.teach, r.Views.Weights, r.Views.Alpha, data.View{}, cfg, nil, r.Job.Seed, r.hooks("supernet"))
	if err != nil {
		return nil, err
	}
	v, err := r.vertices(mixture, d)
	if err != nil {
		return nil, err
	}
	e := r.Job.Evolution
	e.Trials = r.evolutions()
	return func(b decide.Budget) ([]int, map[string]*ir.Tensor, error) {
		done, tell := 0, r.trials("evolution", e.Trials)
		choice, err := decide.Evolve(r.ctx, r.Space, b, e, r.Job.Seed, v.Loss, func(trial int, best float64) {
			done = trial
			tell(trial, best)
		})
		if errors.Is(err, context.Canceled) {
			err = &train.Interrupted{Stage: "evolution", Step: done, Checkpoint: r.hooks("supernet").Checkpoint}
		}
		if err != nil {
			return nil, nil, err
		}
		return choice, mixture.Chosen(choice, d.Weights), nil
	}, nil
}

// sampled is how a supernet is trained on single subnets.
func (j *Job) sampled() search.Config {
	c := j.Search
	c.Relaxation, c.Hard, c.AlphaFrom = "spos", 0, float64(c.Weights.Epochs)+1
	return c
}

// evolutions returns the trials of an evolution.
func (r *run) evolutions() int {
	if r.Job.Evolution.Trials > 0 {
		return r.Job.Evolution.Trials
	}
	batches := float64(r.Job.Search.Weights.Epochs) * float64(r.Views.Weights.Len()/r.Job.Data.Batch)
	return max(int(math.Round(stepPasses*batches/float64(r.judged()))), 1)
}

// stepPasses is about how many forward passes a step costs.
const stepPasses = 3

// vertices measures subnets with the weights that a search trained.
func (r *run) vertices(mixture *net.Network, d *search.Decision) (*net.Vertices, error) {
	return net.NewVertices(r.be, mixture, r.teach, d.Weights, r.Views.Alpha, r.Job.Search.Weights.Objective, r.judged(), r.Job.Seed)
}

// judged returns the batches that judge a subnet.
func (r *run) judged() int { return cmp.Or(r.Job.Judged, net.VertexBatches) * r.parts }

// tell makes progress of a stage that has no loss and leaves no record.
func (r *run) tell(stage string) net.Tell { return telling(r.observe, stage) }

func telling(observe func(train.Event), stage string) net.Tell {
	if observe == nil {
		return nil
	}
	start := time.Now()
	return func(done, total int) {
		observe(train.Event{Stage: stage, Kind: "progress", Step: done, Total: total, Seconds: time.Since(start).Seconds()})
	}
}

// trials tells of every twentieth trial, and of the last.
func (r *run) trials(stage string, total int) func(trial int, best float64) {
	start := time.Now()
	return func(trial int, best float64) {
		if r.observe != nil && (trial%20 == 0 || trial == total) {
			r.observe(train.Event{Stage: stage, Kind: "step", Step: trial, Total: total, Loss: best, Seconds: time.Since(start).Seconds()})
		}
	}
}
