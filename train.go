package entangle

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// Training is a job's data, engine and tuning for one model, without a search.
type Training struct {
	Job      Job
	Source   *Model
	Set      *data.Set
	Views    *search.Views
	Notes    []string // as Plan.Notes
	Warnings []string // as Plan.Warnings
	Teacher  *Model   // nil: labels alone
	network  *net.Network
	teacher  *net.Network
}

// OpenTraining opens the job's model, data and teacher, if it has one, and prepares them.
func OpenTraining(j Job) (*Training, error) {
	m, set, err := j.open()
	if err != nil {
		return nil, err
	}
	t, err := j.importTeacher()
	if err != nil {
		return nil, err
	}
	return PrepareTraining(m, t, set, j)
}

// PrepareTraining checks a job for training a model on its own. Without a teacher the loss is
// on labels alone.
func PrepareTraining(m, teacher *Model, set *data.Set, j Job) (*Training, error) {
	j.Model, j.Data.Source = cmp.Or(j.Model, m.Path), cmp.Or(j.Data.Source, set.Spec)
	if teacher == nil {
		j.Tune.Objective.Labels, j.Tune.Objective.Distill = 1, 0
	}
	// What is not part of a training is as good as its default.
	d, own := DefaultJob(), j
	own.Target, own.Method, own.Space, own.Search, own.Evolution = d.Target, "uniform", d.Space, d.Search, d.Evolution
	own.Space.Order = "none"
	m, err := m.Split(j.LearnAt...)
	if err != nil {
		return nil, err
	}
	if err := m.CheckTrainable(); err != nil {
		return nil, err
	}
	if teacher != nil {
		teacher = teacher.likewise(m, j.LearnAt)
	}
	j.settle(set, m.fixedBatch(), teacher.fixedBatch())
	notes, _, err := j.samples(m, teacher)
	if err != nil {
		return nil, &JobError{[]error{err}}
	}
	own.Data.Batch, own.Tune = j.Data.Batch, j.Tune
	if err := own.Check(m, set); err != nil {
		return nil, err
	}
	t := &Training{Job: j, Source: m, Set: set, Notes: slices.Concat(m.notes(), notes, set.Notes)}
	if w, err := m.CheckClasses(set, j.Outputs); err != nil {
		return nil, err
	} else if w != "" {
		t.Warnings = append(t.Warnings, w)
	}
	if t.Views, err = j.Data.Split.View(set, j.Seed); err != nil {
		return nil, err
	}
	t.Notes = append(t.Notes, own.short(t.Views)...)
	if t.network, err = net.NewNetworkOn(m.Normal, j.Data.Batch, set, nil); err == nil {
		err = t.network.Means(m.Means(j.Outputs))
	}
	if err != nil {
		return nil, err
	}
	if err := ops.CheckFinite(t.network.Model, t.network.Facts); err != nil {
		return nil, &ModelError{err}
	}
	if teacher == nil {
		return t, nil
	}
	if err := j.checkTeacher(teacher); err != nil {
		return nil, err
	}
	t.Teacher = teacher
	if t.teacher, notes, err = teachingNetwork(teacher, t.network, set); err != nil {
		return nil, err
	}
	if err := t.teacher.Means(m.Means(j.Outputs)); err != nil {
		return nil, &JobError{[]error{teacher.teaches(err)}}
	}
	t.Notes = append(t.Notes, notes...)
	return t, nil
}

// Train recalibrates and trains every weight. Stage names the events and the checkpoint. The
// quality is that on test where there are samples, else on validation.
func (t *Training) Train(ctx context.Context, be engine.Backend, stage string, o Options) (m *ir.Model, part string, q Quality, err error) {
	n := t.network
	if n.Memory, _, err = t.Job.StepMemory.bytes(net.LeastMemory); err != nil {
		return nil, "", q, err
	}
	if n.DataLimit, err = t.Job.deviceData(be); err != nil {
		return nil, "", q, err
	}
	look := &run{Plan: &Plan{Job: t.Job, Set: t.Set, Views: t.Views}, ctx: ctx, be: be, plain: n, teach: n, memory: n.Memory}
	if t.teacher != nil {
		look.teach = t.teacher
	}
	if err := look.fits(); err != nil {
		return nil, "", q, err
	}
	measured := cmp.Or(t.teacher, n)
	if err := measured.Scale(ctx, be, t.Views.Weights, t.Job.Seed); err != nil {
		return nil, "", q, err
	}
	n.Scales = measured.Scales
	r := &recovery{ctx: ctx, be: be, views: t.Views, teacher: t.teacher, original: t.teacher, calibrate: t.Job.Calibrate, weights: t.Job.Tune, seed: t.Job.Seed, hooks: train.Hooks{Observe: o.Observe, Stage: stage, Every: t.Job.Every}}
	if o.Checkpoints != "" {
		r.hooks.Checkpoint = filepath.Join(o.Checkpoints, stage+".checkpoint")
	}
	m, val, test, err := r.run(n)
	if err != nil {
		return nil, "", q, err
	}
	m = t.Source.written(m)
	for _, x := range []struct {
		view data.View
		q    Quality
	}{{t.Views.Test, test}, {t.Views.Val, val}} {
		if x.view.Len() > 0 {
			return m, x.view.Part().Name, x.q, nil
		}
	}
	return m, "", q, nil
}

// Begin is as Plan.Begin.
func (t *Training) Begin(be engine.Backend, host *Host, verb string, force bool) error {
	host.say(t.Notes)
	host.warn(t.Warnings)
	return begin(t.Job, t.Source, t.Teacher, t.Set, be, host, verb, force)
}
