package entangle

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/subnet"
)

// Estimate is what a run is expected to take, from one step of each kind at the job's batch.
// Verification on ONNX Runtime and the writing of checkpoints are not in it.
type Estimate struct {
	Parts     []EstimatedPart `json:"parts"`
	Seconds   float64         `json:"seconds"`
	PeakBytes int64           `json:"peak_memory_bytes"`         // of the whole process
	Available int64           `json:"available_bytes,omitempty"` // at the start; 0 where the system does not tell
}

// EstimatedPart is one kind of step.
type EstimatedPart struct {
	Name    string  `json:"name"`
	Steps   int     `json:"steps"`
	Each    float64 `json:"step_seconds"`
	Seconds float64 `json:"seconds"` // of all
	Bytes   int     `json:"step_memory_bytes,omitempty"`
}

// DryRun is what a dry run tells.
type DryRun struct {
	Profiles []Profile `json:"profile"`
	Estimate Estimate  `json:"estimate"`
}

// Estimate goes through every check of Run and takes one step of each kind. The subnet is
// that of one ratio everywhere, cut and encoded, since which one a run will choose is not
// known. Nothing is written.
func (p *Plan) Estimate(ctx context.Context, o Options) (*Estimate, error) {
	host := o.Host
	if host == nil {
		host = &Host{}
	}
	if p.Job.Out != "" {
		if err := p.Job.unwritten(o.Force); err != nil {
			return nil, err
		}
	}
	be, err := host.Backend(ctx, p.Job.Engine)
	if err != nil {
		return nil, err
	}
	watch := NewStopwatch()
	r, err := p.begin(ctx, be, Options{Host: host})
	if err != nil {
		return nil, err
	}
	e := &estimator{run: r, out: &Estimate{}}
	if _, drops := p.Job.Target.Drop(); drops {
		if e.ladder, err = p.newLadder(); err != nil {
			return nil, err
		}
	}
	if err := e.evaluation(); err != nil {
		return nil, err
	}
	if free, ok := spare("/"); ok {
		e.out.Available = free
	}
	need, err := r.needs()
	if err != nil {
		return nil, memoryFault(err)
	}
	if e.out.Available > 0 && be.Name() == "cpu" {
		if err := r.within(need, e.out.Available); err != nil {
			return nil, err
		}
	}
	if err := e.teaches(); err != nil {
		return nil, err
	}
	if err := e.all(); err != nil {
		return nil, memoryFault(err)
	}
	for _, x := range e.out.Parts {
		e.out.Seconds += x.Seconds
	}
	_, e.out.PeakBytes = watch.Read()
	return e.out, nil
}

type estimator struct {
	*run
	out    *Estimate
	ladder *ladder // where the smallest within a drop is looked for
}

func (e *estimator) add(name string, steps int, each float64, bytes int) {
	if steps > 0 {
		e.out.Parts = append(e.out.Parts, EstimatedPart{name, steps, each, float64(steps) * each, bytes})
	}
}

// evaluation times the user's command on the original.
func (e *estimator) evaluation() error {
	if e.evaluator == nil {
		return nil
	}
	start := time.Now()
	if _, err := e.evaluator.original(e.ctx, e.Source); err != nil {
		return err
	}
	each := 1
	if e.Job.Tune.Epochs > 0 {
		each = 2
	}
	e.add(e.evaluator.Name, 1+each*e.networks(), time.Since(start).Seconds(), 0)
	return nil
}

// networks counts the job's choices and their baselines.
func (e *estimator) networks() int {
	n := 1
	if e.Job.Family() {
		n = len(e.Job.Asked())
	}
	if e.ladder != nil {
		n = e.ladder.tries()
	}
	each := n
	for _, m := range Methods {
		if e.Job.Baselines && m != e.Job.Method && Baseline(m) {
			n += each
		}
	}
	return n
}

// all times the parts of Compress in their order.
func (e *estimator) all() error {
	job := e.Job
	forward, bytes, err := e.forward(e.plain)
	if err != nil {
		return err
	}
	scored := e.batches(e.Views.Val) + e.batches(e.Views.Test)
	if e.plain.Learns(e.Views.Val.Part()) {
		e.add("original, evaluation", scored, forward, bytes)
	}
	if e.super, err = e.supernet(); err != nil {
		return err
	}
	budget := e.Budget
	if e.ladder != nil {
		s, err := e.ladderSize(e.ladder, e.ladder.halves[0])
		if err != nil {
			return err
		}
		budget = s.plan.Budget
	}
	choice, err := decide.Uniform(e.Space, budget)
	if err != nil {
		return err
	}
	recipe, err := subnet.NewRecipe(e.super, choice, job.Seed, "uniform")
	if err != nil {
		return err
	}
	model, err := subnet.Cut(e.super, choice, nil)
	if err != nil {
		return err
	}
	if err := Describe(model, recipe); err != nil {
		return err
	}
	if _, err := exporter.Encode(model); err != nil {
		return err
	}
	small, err := e.network(model, nil)
	if err != nil {
		return err
	}
	var tune train.Cost
	if job.Tune.Epochs > 0 {
		if tune, err = train.Measure(e.be, small, e.teach, e.Views.Both, job.Tune, job.Seed, "estimate"); err != nil {
			return err
		}
	}
	if err := e.choosing(forward, bytes); err != nil {
		return err
	}
	smallForward, smallBytes, err := e.forward(small)
	if err != nil {
		return err
	}
	networks := e.networks()
	stages, times := 1, 2 // as samples are, and augmented
	if tune.Steps > 0 {
		times = 4 // once more behind it
	}
	if job.Calibrate > 0 && len(small.Stats) > 0 {
		e.add("recalibration", networks*times*min(job.Calibrate, e.batches(e.Views.Both)), smallForward, smallBytes)
		stages++
	}
	if job.Reconstruct > 0 {
		// A layer takes half of both networks, and products of all that it reads.
		e.add("reconstruction", networks*job.Reconstruct*small.Depth(), 2*(forward+smallForward), bytes+smallBytes)
		stages++
	}
	e.add("fine-tuning", networks*tune.Steps, tune.Seconds, tune.Bytes)
	passes := stages * scored
	if tune.Steps > 0 {
		passes += scored + (1+int(math.Ceil(float64(job.Tune.Epochs))))*e.batches(e.Views.Val)
	}
	if !e.plain.Learns(e.Views.Val.Part()) || len(e.plain.Outputs) > 1 {
		smallForward += forward // its outputs are compared with the original's
	}
	e.add("subnet, evaluation", networks*passes, smallForward, smallBytes)
	return nil
}

// choosing times the ranking of units and the search.
func (e *estimator) choosing(forward float64, bytes int) error {
	job := e.Job
	if !e.ranked() && job.gradients() {
		c, err := train.Measure(e.be, e.plain, e.teach, e.Views.Weights, job.Search.Weights, job.Seed, "estimate")
		if err != nil {
			return err
		}
		e.add("ranking of units", min(rankingBatches, e.batches(e.Views.Weights)), c.Seconds, c.Bytes)
	}
	if !job.searches() {
		return nil
	}
	mixture, err := e.entangled()
	if err != nil {
		return err
	}
	cfg, budget, searches := job.Search, e.Budget, 1
	several := job.Family() || e.ladder != nil
	if several {
		sizes, err := e.sizes()
		if err != nil {
			return err
		}
		for i, s := range sizes {
			if e.ladder != nil && i < 3 || slices.Contains(job.Asked(), s.name) {
				budget, searches = s.plan.Budget, i+1
			}
		}
		cfg = e.memberSearch(budget, nil)
	}
	if job.Method == "evolution" {
		cfg, budget = job.sampled(), nil
	}
	// Equal widths measure next to nothing.
	paths := max(len(slices.DeleteFunc(slices.Clone(cfg.Even), func(even float64) bool { return even == 1 })), 1)
	rounds := searches * cfg.Rounds * paths
	if e.ladder != nil {
		rounds += (e.ladder.tries() - 1) * cfg.Rounds * paths // from there to the other sizes
	}
	if several {
		cfg.Rounds = searches*(cfg.Rounds-1) + 1 // so that a round's fall is what the searches' are on average
	}
	weight, arch, err := search.Measure(e.be, mixture, e.teach, e.Views.Weights, e.Views.Alpha, cfg, budget, job.Seed, "estimate")
	if err != nil {
		return err
	}
	e.add("search, weight steps", searches*weight.Steps, weight.Seconds, weight.Bytes)
	steps, trials := "search, architecture steps", job.Refine
	switch {
	case job.Method == "evolution":
		trials = e.evolutions()
	case cfg.ByRounds():
		steps, trials, arch.Steps = "search, rounds", 0, rounds
	}
	e.add(steps, arch.Steps, arch.Seconds, arch.Bytes)
	if trials == 0 {
		return nil
	}
	v, err := net.NewVertices(e.be, mixture, e.teach, nil, e.Views.Alpha, job.Search.Weights.Objective, e.judged(), job.Seed)
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := v.Loss(e.Space.Largest()); err != nil {
		return err
	}
	e.add("trials of subnets", trials, time.Since(start).Seconds(), 0)
	return nil
}

// forward times an evaluation of one batch.
func (e *estimator) forward(n *net.Network) (seconds float64, bytes int, err error) {
	view := e.Views.Both
	f, err := net.NewFeed(e.be, n, nil, net.Objective{}, e.Set, false)
	if err != nil {
		return 0, 0, err
	}
	step, err := n.Forward(e.be)
	if err != nil {
		return 0, 0, err
	}
	env := net.Env{}
	if err := n.Load(e.be, env); err != nil {
		return 0, 0, err
	}
	l, err := view.Loader(data.LoaderOptions{Batch: n.Batch, Name: "estimate"})
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	b, err := l.Next()
	if err != nil {
		return 0, 0, err
	}
	x, err := f.Prepare(b)
	if err != nil {
		return 0, 0, err
	}
	in, err := f.Upload(x, 0)
	if err != nil {
		return 0, 0, err
	}
	defer in.Free()
	for range 2 {
		start := time.Now()
		out, err := step.Run(env, in)
		if err != nil {
			return 0, 0, err
		}
		for _, v := range out { // a device's result is waited for
			if _, err := v.Read(); err != nil {
				return 0, 0, err
			}
			break
		}
		out.Free()
		seconds = time.Since(start).Seconds()
	}
	return seconds, step.Footprint(), nil
}

func (e *estimator) batches(v data.View) int {
	return (v.Len() + e.Job.Data.Batch - 1) / max(e.Job.Data.Batch, 1)
}
