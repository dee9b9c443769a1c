package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/keys"
	"github.com/entangle-nas/entangle/internal/rows"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// methods are the columns. "random" is three draws.
var methods = []string{"search", "uniform", "inner", "random-1", "random-2", "random-3", "evolution"}

// peer reports whether a method's subnets were cut by another program.
func peer(method string) bool { return strings.HasPrefix(method, "tp-") }

// bench runs rows.
type bench struct {
	folders folders
	out     store
	cache   string // of the tuned subnets
	threads int
	state   string
}

// open reads a task's model and data.
func (b *bench) open(t task, budget string, seed uint64, settings []string) (entangle.Job, *entangle.Model, *data.Set, error) {
	j := entangle.DefaultJob()
	j.Seed, j.Engine.Threads, j.Engine.Device, j.Verify = seed, b.threads, "cpu", false
	j.Model = b.folders.place(t.model)
	kind, path, _ := strings.Cut(t.data, ":")
	j.Data.Source = kind + ":" + b.folders.place(path)
	for _, s := range slices.Concat(t.settings, []string{"target=macs=" + budget}, settings) {
		key, value, _ := strings.Cut(s, "=")
		if key == "data.tokenizer" {
			value = b.folders.place(value)
		}
		if err := keys.Set(&j, key, value); err != nil {
			return j, nil, nil, fmt.Errorf("%s: %s: %w", t.name, s, err)
		}
	}
	m, err := entangle.Import(j.Model)
	if err != nil {
		return j, nil, nil, err
	}
	set, err := entangle.OpenData(m, j.Data)
	return j, m, set, err
}

// run makes one row. Base is the row of the search at the same task, budget and seed, whose
// passes everyone has in all; nil for that row itself. Settings change the method's job.
func (b *bench) run(ctx context.Context, t task, budget, method string, seed uint64, settings []string, base *row) (row, error) {
	r := row{Task: t.name, Budget: budget, Method: method, Seed: seed, State: b.state, Settings: settings, Nats: t.nats}
	j, m, set, err := b.open(t, budget, seed, settings)
	if err != nil {
		return r, err
	}
	be := &counter{Backend: cpu.New(cpu.Options{Threads: b.threads})}
	start := time.Now()
	cut, err := b.choose(ctx, be, t, j, m, set, method, &r)
	if err != nil {
		return r, err
	}
	r.Seconds.Choose, r.Passes.Choose = time.Since(start).Seconds(), be.passes
	start = time.Now()
	if err := b.tune(ctx, be, j, m, set, cut, base, &r); err != nil {
		return r, err
	}
	r.Seconds.Tune, r.Memory = time.Since(start).Seconds(), rows.PeakMemory()
	return r, nil
}

// choose returns the method's subnet with the weights that it starts from, and fills in what
// is known of it.
func (b *bench) choose(ctx context.Context, be *counter, t task, j entangle.Job, m *entangle.Model, set *data.Set, method string, r *row) (*ir.Model, error) {
	views := uint64(0)
	switch name, _, _ := strings.Cut(method, "/"); {
	case name == "search":
	case name == "uniform" || name == "evolution":
		j.Method = name
	case name == "inner":
		file, err := innerSpace(j, m, set)
		if err != nil {
			return nil, err
		}
		defer os.Remove(file)
		j.Method, j.Space.File, j.Space.Options = "uniform", file, entangle.DefaultJob().Space.Options
	case strings.HasPrefix(name, "random-"):
		// The draw is the job's seed; the samples are those of the row's.
		views = j.Seed
		j.Method, j.Seed = "random", j.Seed*1000+uint64(name[len(name)-1]-'0')
	case peer(name):
		return b.cutElsewhere(t, j, m, set, method, r)
	default:
		return nil, fmt.Errorf("method %q: want one of %v, search/NAME, or a column of %s", method, methods, t.name)
	}
	p, err := entangle.Prepare(m, set, j)
	if err != nil {
		return nil, err
	}
	if views > 0 {
		if p.Views, err = j.Data.Split.View(set, views); err != nil {
			return nil, err
		}
	}
	c, err := p.Choose(ctx, be, entangle.Options{})
	if err != nil {
		return nil, err
	}
	whole := p.Profiles()[0].Cost
	r.MACs, r.Params = c.Cost["macs"]/whole["macs"], c.Cost["params"]/whole["params"]
	r.Decided = c.Decided
	for metric, v := range whole {
		if c.Decided != nil {
			c.Decided.Argmax[metric] /= v
		}
	}
	return c.Model, nil
}

// cutElsewhere reads a subnet that another program cut.
func (b *bench) cutElsewhere(t task, j entangle.Job, m *entangle.Model, set *data.Set, method string, r *row) (*ir.Model, error) {
	file := t.peers[method+"@"+r.Budget]
	if file == "" {
		return nil, fmt.Errorf("%s@%s: no file of %q", t.name, r.Budget, method)
	}
	cut, err := entangle.Import(b.folders.place(file))
	if err != nil {
		return nil, err
	}
	var whole [2]map[string]float64
	for i, x := range []*entangle.Model{m, cut} {
		own := j
		own.Model, own.Method, own.Target = x.Path, "uniform", entangle.Targets{{Metric: space.MACs, Share: 1}}
		p, err := entangle.Prepare(x, set, own)
		if err != nil {
			return nil, err
		}
		whole[i] = p.Profiles()[0].Cost
	}
	r.MACs, r.Params = whole[1]["macs"]/whole[0]["macs"], whole[1]["params"]/whole[0]["params"]
	return cut.Raw, nil
}

// tune recalibrates and tunes a subnet, in as many passes as the base row's search and tuning
// took in all, and measures it on validation. The test part is not looked at.
func (b *bench) tune(ctx context.Context, be *counter, j entangle.Job, m *entangle.Model, set *data.Set, cut *ir.Model, base *row, r *row) error {
	model, err := entangle.Normalise(cut)
	if err != nil {
		return err
	}
	step := 3.0
	var teacher *entangle.Model
	if j.Tune.Objective.Distill > 0 {
		teacher = m
		step++
	}
	t, err := entangle.PrepareTraining(model, teacher, set, j)
	if err != nil {
		return err
	}
	n := float64(t.Views.Both.Len() / t.Job.Data.Batch * t.Job.Data.Batch)
	r.Epochs = float64(t.Job.Tune.Epochs)
	if base != nil {
		r.Epochs = (base.Passes.Choose + base.Passes.Tune - r.Passes.Choose) / (n * step)
	}
	if r.Epochs <= 0 {
		return fmt.Errorf("%s: choosing took %.3g passes, which leaves none of %.3g for tuning", r.id(), r.Passes.Choose, base.Passes.Choose+base.Passes.Tune)
	}
	j.Tune.Epochs = train.Epochs(r.Epochs)
	// Prepared again for the length of the run.
	if t, err = entangle.PrepareTraining(model, teacher, set, j); err != nil {
		return err
	}
	t.Views.Test = data.View{}
	r.Passes.Tune = r.Epochs * n * step
	tuned, _, q, err := t.Train(ctx, be, "finetune", entangle.Options{})
	if err != nil {
		return err
	}
	r.Val, r.Loss = r.figures(q)
	file := b.file(*r)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	if err := entangle.Export(file, tuned); err != nil {
		return err
	}
	r.SHA256, err = sum(file)
	return err
}

// file is where a row's tuned subnet is kept.
func (b *bench) file(r row) string {
	return filepath.Join(b.cache, r.Task+"@"+r.Budget, strings.ReplaceAll(r.Method, "/", "+")+fmt.Sprintf("-%d.onnx", r.Seed))
}

// figures reads a quality: the judged figure and the loss on labels.
func (r row) figures(q entangle.Quality) (judged, loss points) {
	if s := q.Inherited; s != nil {
		judged.Inherited, loss.Inherited = s.Accuracy, s.Loss
		judged.Recalibrated, loss.Recalibrated = s.Accuracy, s.Loss // unless there is better
	}
	if s := q.Recalibrated; s != nil {
		judged.Recalibrated, loss.Recalibrated = s.Accuracy, s.Loss
	}
	if s := q.Tuned; s != nil {
		judged.Tuned, loss.Tuned = s.Accuracy, s.Loss
	}
	if d := q.Distance; d != nil && q.Last() == nil {
		for _, x := range []struct {
			from *net.Fidelity
			to   *float64
		}{{d.Inherited, &judged.Inherited}, {d.Recalibrated, &judged.Recalibrated}, {d.Tuned, &judged.Tuned}} {
			if x.from != nil {
				*x.to = x.from.Outputs[0].Figure().Value
			}
		}
	}
	if r.Nats {
		judged = loss
	}
	return judged, loss
}

// innerSpace writes the job's space without the widths of residual streams.
func innerSpace(j entangle.Job, m *entangle.Model, set *data.Set) (string, error) {
	j.Method = "uniform"
	p, err := entangle.Prepare(m, set, j)
	if p == nil || p.Space == nil {
		return "", err
	}
	streams := streams(p.An)
	s := *p.Space
	s.Dims = slices.DeleteFunc(slices.Clone(s.Dims), func(d space.Dim) bool { return streams[d.Node] })
	text, err := s.Marshal()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "inner-*.yaml")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(text)
	return f.Name(), err
}

// streams lists the groups that are residual streams: one node adds to what another wrote,
// and reads it through units of other groups.
func streams(an *space.Analysis) map[string]bool {
	g := an.Model.Graph
	maker := map[string]*ir.Node{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			maker[o] = n
		}
	}
	above := func(n *ir.Node) map[*ir.Node]bool {
		seen := map[*ir.Node]bool{}
		list := []*ir.Node{n}
		for len(list) > 0 {
			at := list[0]
			list = list[1:]
			for _, in := range at.Inputs {
				if p := maker[in]; p != nil && !seen[p] {
					seen[p] = true
					list = append(list, p)
				}
			}
		}
		return seen
	}
	out := map[string]bool{}
	for _, group := range an.Groups {
		var births []*ir.Node
		for _, n := range g.Nodes {
			if slices.Contains(group.Nodes, n.Label()) {
				births = append(births, n)
			}
		}
		for _, late := range births {
			// A depthwise layer reads the units that it writes.
			if len(late.Inputs) == 0 || slices.ContainsFunc(group.Members, func(m space.Member) bool { return m.Value == late.Inputs[0] }) {
				continue
			}
			up := above(late)
			if slices.ContainsFunc(births, func(early *ir.Node) bool { return early != late && up[early] }) {
				out[group.Name] = true
			}
		}
	}
	return out
}
