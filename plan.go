package entangle

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

// Plan is a job that has been checked against model and data and costs nothing yet.
type Plan struct {
	Job     Job
	Source  *Model    // split where learning ends
	Model   *ir.Model // its normal graph, the batch open unless a note says otherwise
	Set     *data.Set
	Outputs []net.Meaning // what the float outputs are taken for
	Views   *search.Views
	An      *space.Analysis
	Space   *space.Space
	Metrics []space.Metric              // that subnets are priced in
	Cost    map[string]*space.CostModel // by metric
	Budget  decide.Budget
	// Prices are the metric latency's; nil: no target names it, or Price is still to come.
	Prices *latency.Prices
	// Notes say what of the model was not taken as it is written, a line each.
	Notes []string
	// Warnings say what of model and data is likely to be wrong, a line each.
	Warnings []string
	// Teacher is what search and tuning learn from; nil: the model itself.
	Teacher *Model
	teacher *net.Network
	parts   int // batches that stand for one of the job as it was given
}

// Says is what is known before a run, a line each: what was not taken as it is written, where
// steps are few, and what outputs are taken for.
func (p *Plan) Says() []string {
	out := slices.Concat(p.Notes, p.Job.short(p.Views))
	for _, x := range p.Outputs {
		line := fmt.Sprintf("output %q is taken for %s: %s", x.Output, x.Kind, x.Reason)
		if x.Labels {
			line += "; the data's labels are for it"
		}
		if x.Weight != 1 {
			line += fmt.Sprintf("; weight %g", x.Weight)
		}
		out = append(out, line)
	}
	return out
}

// Profile is the cost of a reference subnet by metric.
type Profile struct {
	Name string             `json:"name"`
	Cost map[string]float64 `json:"cost"`
}

// Open opens the job's model and data and prepares it. Like Prepare it returns the plan
// beside a *decide.TargetError.
func Open(j Job) (*Plan, error) {
	m, set, err := j.open()
	if err != nil {
		return nil, err
	}
	return Prepare(m, set, j)
}

// open checks what needs neither model nor data, and reads both.
func (j *Job) open() (*Model, *data.Set, error) {
	if err := j.Check(nil, nil); err != nil {
		return nil, nil, err
	}
	m, err := Import(j.Model)
	if err != nil {
		return nil, nil, err
	}
	set, err := OpenData(m, j.Data)
	return m, set, err
}

// Prepare checks a job, analyses the model, and builds or checks the space. A target that no
// choice meets is a *decide.TargetError; the plan then says what the space can reach. Extra are
// metrics beside space.Metrics, such as a space.Table of prices measured elsewhere. What is
// wrong with the job is a *JobError, with the model a *ModelError. The job's teacher is read
// from its file.
func Prepare(m *Model, set *data.Set, j Job, extra ...space.Metric) (*Plan, error) {
	j.Model, j.Data.Source = cmp.Or(j.Model, m.Path), cmp.Or(j.Data.Source, set.Spec)
	m, err := m.Split(j.LearnAt...)
	if err != nil {
		return nil, err
	}
	if err := m.CheckTrainable(); err != nil {
		return nil, err
	}
	teacher, err := j.importTeacher()
	if err != nil {
		return nil, err
	}
	j.settle(set, m.fixedBatch(), teacher.fixedBatch())
	notes, parts, err := j.samples(m, teacher)
	if err != nil {
		return nil, &JobError{[]error{err}}
	}
	if err := j.Check(m, set, extra...); err != nil {
		return nil, err
	}
	if err := j.checkTeacher(teacher); err != nil {
		return nil, err
	}
	if teacher != nil && j.Search.Weights.Objective.Distill == 0 && j.Tune.Objective.Distill == 0 {
		return nil, &JobError{[]error{&keyed{"teacher", errors.New("want search.weights.objective.distill or tune.objective.distill above 0 to learn from it, got 0 and 0")}}}
	}
	views, err := j.Data.Split.View(set, j.Seed)
	if err != nil {
		return nil, err
	}
	if n := views.Weights.Len(); !j.searches() && j.Tune.Epochs == 0 && n > 0 {
		j.Data.Batch = min(j.Data.Batch, n) // steps refuse a batch beyond the samples; what only evaluates would pad it
	}
	notes = append(m.notes(), notes...)
	o := net.Open(m.Normal)
	p := &Plan{Job: j, Source: m, Model: o.Model, Set: set, Views: views, Metrics: slices.Concat(space.Metrics, extra), Notes: notes, parts: parts}
	if err := p.meet(); err != nil {
		return nil, err
	}
	if teacher != nil {
		n, err := net.NewNetworkOn(p.Model, j.Data.Batch, set, nil)
		if err != nil {
			return nil, err
		}
		var notes []string
		if p.teacher, notes, err = teachingNetwork(teacher, n, set); err != nil {
			return nil, err
		}
		p.Teacher, p.Notes = teacher, append(p.Notes, notes...)
	}
	bind, err := net.BindingOn(p.Model, cmp.Or(o.Fixed, 2), set)
	if err != nil {
		return nil, err
	}
	facts, err := ops.InferModel(p.Model, bind)
	if err != nil {
		return nil, &ModelError{err}
	}
	if p.Outputs, err = net.Meanings(p.Model, facts, cmp.Or(o.Fixed, 2), net.LabelsOf(set), m.Means(j.Outputs)); err != nil {
		return nil, &JobError{[]error{&keyed{"outputs", err}}}
	}
	if err := p.judgeable(); err != nil {
		return nil, err
	}
	for _, n := range facts.Notes {
		p.Notes = append(p.Notes, n+": a hint that is left out")
	}
	given, err := j.Space.given()
	if err != nil {
		return nil, err
	}
	kinds := j.Space.Kinds
	if given != nil {
		kinds = given.Kinds()
	}
	if p.An, err = space.Analyse(p.Model, facts, kinds...); err != nil {
		return nil, &ModelError{err}
	}
	m.mark(p.An)
	if err := CheckFinite(p.An); err != nil {
		return nil, err
	}
	switch {
	case given == nil:
		if p.Space, err = space.New(p.An, j.Space.Options); err != nil {
			return nil, &ModelError{err}
		}
	case given.Source != "" && given.Source != p.An.Fingerprint():
		return nil, &JobError{[]error{&keyed{"space.file", fmt.Errorf("the space is for a model with fingerprint %.16s…, this one has %.16s…", given.Source, p.An.Fingerprint())}}}
	default:
		given.Source = p.An.Fingerprint()
		p.Space = given
	}
	super, err := p.supernet()
	if err != nil {
		return nil, err
	}
	if p.Cost, err = super.Costs(); err != nil {
		return nil, err
	}
	return p, p.limit()
}

// limit makes the budget of the targets. A limit in a metric that has no prices yet is left
// out until it has, and a drop is none.
func (p *Plan) limit() error {
	p.Budget = nil
	for _, t := range p.Job.Target {
		l := decide.Limit{Metric: t.Metric, Limit: t.Limit, Cost: p.Cost[t.Metric]}
		if l.Cost == nil || t.free() {
			continue
		}
		if l.Limit == 0 {
			l.Limit = t.Share * l.Cost.Whole
		}
		p.Budget = append(p.Budget, l)
	}
	if _, drops := p.Job.Target.Drop(); len(p.Budget) == 0 && (drops || p.Unpriced()) {
		return nil
	}
	return p.Budget.Check(p.Space)
}

// meet notes how the data was understood, and warns of classes that are not the model's.
func (p *Plan) meet() error {
	p.Notes = append(p.Notes, p.Set.Notes...)
	w, err := p.Source.CheckClasses(p.Set, p.Job.Outputs)
	if w != "" {
		p.Warnings = append(p.Warnings, w)
	}
	return err
}

// given reads the space file; nil when there is none.
func (s Space) given() (*space.Space, error) {
	if s.File == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	return space.Unmarshal(text)
}

// Profiles prices the original, the middle and the smallest subnet.
func (p *Plan) Profiles() []Profile {
	middle := p.Space.Largest()
	for i := range middle {
		middle[i] = (middle[i] + 1) / 2
	}
	out := []Profile{{"original (largest)", p.whole()}}
	for _, x := range []struct {
		name   string
		choice []int
	}{{"middle", middle}, {"smallest", p.Space.Smallest()}} {
		out = append(out, Profile{x.name, p.price(x.choice)})
	}
	return out
}

// whole prices the model as it is written.
func (p *Plan) whole() map[string]float64 {
	out := map[string]float64{}
	for m, c := range p.Cost {
		out[m] = c.Whole
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

// supernet entangles the space as the job says, with its units ranked.
func (p *Plan) supernet() (*space.Supernet, error) {
	s, err := space.Entangle(p.An, p.Space, p.Job.Space.Superposition)
	if err == nil {
		s.Metrics = p.Metrics
	}
	return s, err
}

// ranked reports whether the space came with an order of its units.
func (p *Plan) ranked() bool {
	return slices.ContainsFunc(p.Space.Dims, func(d space.Dim) bool { return d.Order != nil })
}
