package entangle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// memberShare is the share of a search's steps and, at most, of its rounds that the search of each
// member has: three members take less than one and a half searches, and the last has had all of
// those steps. memberFall is how far a round of a member at least lowers the cost, where its fall
// is not deeper than its rounds allow: what one search falls by in a round on its way to a quarter.
const (
	memberShare = 0.48
	memberFall  = 0.7
)

// Family is what a run with several sizes gives.
type Family struct {
	Model      string             `json:"model"`
	Teacher    string             `json:"teacher,omitempty"`
	Data       string             `json:"data"`
	Seed       uint64             `json:"seed"`
	Folder     string             `json:"folder"`         // of the members' files; the run folder where the smallest within a drop was looked for
	File       string             `json:"file,omitempty"` // of the smallest model within the drop
	Metric     string             `json:"metric"`         // that the members differ in
	Cost       map[string]float64 `json:"original_cost"`
	Original   Scores             `json:"original"`
	SearchTime float64            `json:"search_seconds"`   // of all members
	Members    []*Member          `json:"members"`          // in the order of the target, or the one that the job names
	Front      []Point            `json:"front"`            // the original and the members, the largest first
	Measured   []Measured         `json:"measured"`         // what choosing measured, none of it tuned
	Within     *Within            `json:"within,omitempty"` // where the smallest within a drop was looked for
	Warnings   []string           `json:"warnings,omitempty"`
	Seconds    float64            `json:"seconds"`
	PeakBytes  int64              `json:"peak_memory_bytes,omitempty"`
	DataWait   float64            `json:"data_wait_seconds"` // of all steps
}

// Member is one size of a family with what a run of it alone would give.
type Member struct {
	Name string `json:"name"` // of its file and of its part of the run folder, such as macs-0.5
	Outcome
}

// Point is cost and quality of a member, or of the original.
type Point struct {
	Name    string             `json:"name"`
	Cost    map[string]float64 `json:"cost"`
	Share   float64            `json:"share"` // of the original's cost in the family's metric
	Figure  string             `json:"figure,omitempty"`
	Quality *float64           `json:"quality,omitempty"`
	Unit    string             `json:"unit,omitempty"` // of the quality, %; "" is none
}

// Measured is a subnet that a round measured on the way to a size: untuned, with the weights of that
// moment.
type Measured struct {
	For   string  `json:"for"`   // the size
	Path  int     `json:"path"`  // of the search, from 1 on
	Round int     `json:"round"` // of the path, from 1 on
	Cost  float64 `json:"cost"`  // in the family's metric
	Share float64 `json:"share"` // of the original's
	// Loss is the search's objective on samples of the alpha split, normalised by the batch.
	Loss   float64 `json:"loss"`
	Stands bool    `json:"stands,omitempty"` // the subnet that the round began at
}

// measuredOn prices what rounds measured on the way to a size.
func (p *Plan) measuredOn(metric, name string, rounds []train.Round) (out []Measured) {
	cost := p.Cost[metric]
	whole := cost.Whole
	path, round := -1, 0
	for _, r := range rounds {
		if r.Path != path {
			path, round = r.Path, 0
		}
		round++
		add := func(choice []int, loss float64, stands bool) {
			c := cost.At(choice)
			out = append(out, Measured{For: name, Path: path + 1, Round: round, Cost: c, Share: c / whole, Loss: loss, Stands: stands})
		}
		if r.Loss != nil {
			add(r.Choice, *r.Loss, true)
		}
		for _, t := range r.Trials {
			choice := slices.Clone(r.Choice)
			choice[t.Dim] = t.Choice
			add(choice, t.Loss, false)
		}
	}
	return out
}

// Family reports whether the targets are those of several subnets.
func (j *Job) Family() bool {
	metric, _ := j.Target.Sizes()
	return metric != ""
}

// single refuses a family where one subnet is asked for.
func (p *Plan) single() error {
	switch _, drops := p.Job.Target.Drop(); {
	case drops:
		return &JobError{[]error{&keyed{"target", errors.New("a drop tries several sizes, which compress alone does: want a limit of a metric")}}}
	case p.Job.Family():
		return &JobError{[]error{&keyed{"target", errors.New("several sizes make a family, which compress alone makes: want one value of each metric")}}}
	}
	return nil
}

// checkFamily reports settings that do not go with a family, or with a single subnet.
func (j *Job) checkFamily(f *faults) {
	_, sizes := j.Target.Sizes()
	switch {
	case len(sizes) == 0 && j.Member > 0:
		f.addf("member", "want several sizes in target, such as macs=0.75,0.5, to name one of, got %d", j.Member)
	case len(sizes) == 0:
	case j.Member > len(sizes):
		f.addf("member", "want 1 to %d, the place of a size in target, or 0 for all, got %d", len(sizes), j.Member)
	}
	_, drops := j.Target.Drop()
	if len(sizes) == 0 && !drops {
		return
	}
	if j.Method != "search" {
		f.addf("method", "want search for several sizes, got %q", j.Method)
	} else if !j.Search.ByRounds() {
		f.addf("search.relaxation", "want none for several sizes, got %q: a search by coefficients has one size", j.Search.Relaxation)
	}
	if drops && j.MaxDrop != nil {
		f.addf("max_drop", "want it or drop in target: sizes that lose more are tried, too")
	}
	if drops && j.Baselines {
		f.addf("baselines", "want none beside drop in target")
	}
}

// checkFolder reports a family's folder and files that cannot be written.
func (j *Job) checkFolder(f *faults) {
	if j.Out == "" {
		return
	}
	if filepath.Ext(j.Out) == ".onnx" {
		f.addf("out", "want a folder for the files of a family, got %q", j.Out)
		return
	}
	if info, err := os.Stat(j.Out); err == nil && !info.IsDir() {
		f.addf("out", "want a folder for the files of a family, %s is a file", j.Out)
		return
	}
	for _, name := range j.memberNames() {
		if err := CheckOut(j.memberFile(name), j.Inputs()...); err != nil {
			f.add("out", err)
			return
		}
	}
}

// memberNames are the members' names in the order of the target.
func (j *Job) memberNames() (names []string) {
	_, sizes := j.Target.Sizes()
	for _, t := range sizes {
		names = append(names, t.name())
	}
	return names
}

// Asked returns the names of the members that the job tunes.
func (j *Job) Asked() []string {
	names := j.memberNames()
	if j.Member > 0 && j.Member <= len(names) {
		return names[j.Member-1 : j.Member]
	}
	return names
}

// name is the target as a file's name: macs-0.5, params-20M, bytes-1MiB.
func (t Target) name() string {
	text := t.text()
	units := []struct {
		suffix string
		size   float64
	}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}}
	if t.Unit == "B" {
		units = append(units[:0:0], limitUnits[2], limitUnits[1], limitUnits[0])
		for i := range units {
			units[i].suffix = strings.TrimSuffix(units[i].suffix, "B")
		}
	}
	for _, u := range units {
		if short := strconv.FormatFloat(t.Limit/u.size, 'g', -1, 64); t.Limit > 1 && t.Limit >= u.size && len(short) <= 6 {
			text = short + u.suffix + t.Unit
			break
		}
	}
	return t.Metric + "-" + text
}

// name is that of a size with these limits.
func (t Targets) name() string {
	var parts []string
	for _, x := range t {
		parts = append(parts, x.name())
	}
	return strings.Join(parts, "-")
}

// SizeFolder is where the run folder of a family keeps what is of a size; of no targets, of the
// member that the job names.
func (p *Plan) SizeFolder(t Targets) string {
	name := t.name()
	if len(t) == 0 && p.Job.Member > 0 {
		name = p.Job.Asked()[0]
	}
	return p.Job.memberFolder(name)
}

// memberFile is where a size is written: into the family's folder, or, where the smallest within
// a drop is looked for, into its part of the run folder.
func (j *Job) memberFile(name string) string {
	if _, drops := j.Target.Drop(); drops {
		return filepath.Join(j.memberFolder(name), name+".onnx")
	}
	return filepath.Join(j.Out, name+".onnx")
}

func (j *Job) memberFolder(name string) string { return filepath.Join(j.Folder(), name) }

// Writable is as the function of that name, for what the job writes. A family's file that its
// run folder knows as its own may be written again.
func (j *Job) Writable(force bool) error {
	if !j.Family() {
		return Writable(j.Out, force)
	}
	if err := j.unwritten(force); err != nil {
		return err
	}
	return os.MkdirAll(j.Out, 0o777)
}

func (j *Job) unwritten(force bool) error {
	if !j.Family() {
		return unwritten(j.Out, force)
	}
	for _, name := range j.Asked() {
		file := j.memberFile(name)
		if err := unwritten(file, force); err != nil && !j.own(name, file) {
			return err
		}
	}
	return nil
}

// own reports whether a member's file is what its run wrote.
func (j *Job) own(name, file string) bool {
	text, err := os.ReadFile(filepath.Join(j.memberFolder(name), "report.json"))
	if err != nil {
		return false
	}
	var was struct {
		Files [2]File `json:"files"`
	}
	is, err := Digest(file)
	return json.Unmarshal(text, &was) == nil && err == nil && was.Files[1].SHA256 == is.SHA256
}

// sized is a size of a family as a plan of its own.
type sized struct {
	name string
	plan *Plan
}

// size makes the plan of a size.
func (p *Plan) size(name string, t Targets) (*sized, error) {
	q := *p
	q.Job.Target, q.Job.Member = t, 0
	q.Job.Out, q.Job.Run = p.Job.memberFile(name), p.Job.memberFolder(name)
	return &sized{name, &q}, q.limitMeasured()
}

// sizes are the members' plans, the largest first; where the smallest within a drop is looked
// for, the sizes that the search falls through.
func (p *Plan) sizes() ([]*sized, error) {
	if _, drops := p.Job.Target.Drop(); drops {
		l, err := p.newLadder()
		if err != nil {
			return nil, err
		}
		return l.rungs, nil
	}
	metric, limits := p.Job.Target.Sizes()
	common := slices.DeleteFunc(slices.Clone(p.Job.Target), func(t Target) bool { return t.Metric == metric })
	var out []*sized
	for _, t := range limits {
		s, err := p.size(t.name(), append(Targets{t}, common...))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	limit := func(s *sized) float64 {
		return s.plan.Budget[slices.IndexFunc(s.plan.Budget, func(l decide.Limit) bool { return l.Metric == metric })].Limit
	}
	slices.SortStableFunc(out, func(a, b *sized) int { return cmp.Compare(limit(b), limit(a)) })
	for i := range out[1:] {
		if limit(out[i]) == limit(out[i+1]) {
			return nil, &JobError{[]error{&keyed{"target", fmt.Errorf("want sizes that differ, %s and %s are %g both", out[i].name, out[i+1].name, limit(out[i]))}}}
		}
	}
	return out, nil
}

// as is the run for a size.
func (r *run) as(s *sized) *run {
	q := *r
	q.Plan, q.member = s.plan, s.name
	return &q
}

// tuning names the stage that tunes what a method chose.
func (r *run) tuning(method string) string {
	switch {
	case r.member == "":
		return "finetune-" + method
	case method == r.Job.Method:
		return "finetune-" + r.member
	}
	return "finetune-" + r.member + "-" + method
}

// memberSearch is how the search of a member runs whose rounds begin at a subnet, nil for the
// original.
func (p *Plan) memberSearch(b decide.Budget, first []int) search.Config {
	c := p.Job.Search
	if first == nil {
		first = p.Space.Largest()
	}
	fall := 1.0
	for _, l := range b {
		fall = min(fall, l.Limit/l.Cost.At(first))
	}
	falls := int(math.Ceil(math.Log(fall) / math.Log(memberFall)))
	c.Rounds = max(min(falls+1, int(math.Ceil(memberShare*float64(c.Rounds)))), 2)
	step := float64(p.Job.Data.Batch*c.Weights.Parts()) / float64(max(p.Views.Weights.Len(), 1))
	c.Weights.Epochs = max(memberShare*c.Weights.Epochs, train.Epochs(step))
	return c
}

// descend searches for the sizes, the largest first: each search begins with the weights and at
// the subnet that the one before ended with. Visit sees each, and says whether to go on.
func (r *run) descend(sizes []*sized, visit func(s *sized, n *net.Network, d *search.Decision) (bool, error)) error {
	n, err := r.entangled()
	if err != nil {
		return err
	}
	var first []int
	for _, s := range sizes {
		d, err := search.RunFrom(r.ctx, r.be, n, r.teach, r.Views.Weights, r.Views.Alpha, data.View{}, r.memberSearch(s.plan.Budget, first), s.plan.Budget, first, r.Job.Seed, r.hooks("search-"+s.name))
		if err != nil {
			return err
		}
		if on, err := visit(s, n, d); err != nil || !on {
			return err
		}
		if _, n, err = n.With(d.Weights); err != nil {
			return err
		}
		first = d.Choice
	}
	return nil
}

// chosen cuts what a search for the run's size found.
func (r *run) chosen(n *net.Network, d *search.Decision) (*Candidate, error) {
	r.decided = nil
	pick := r.found(n, d)
	return r.cut("search", func(b decide.Budget) (choice []int, weights map[string]*ir.Tensor, err error) {
		return r.inherit(pick(b))
	})
}

// Family runs a job with several sizes: one search whose budget falls through them, then each
// member (or the one that the job names) recalibrated, tuned, written and verified as Run does.
// The run folder keeps the search, from which AddSize and other members' runs go on. Errors
// beside a family are those of Run.
func (p *Plan) Family(ctx context.Context, o Options) (*Family, error) {
	if !p.Job.Family() {
		return nil, &JobError{[]error{&keyed{"target", errors.New("want several values of one metric for a family, such as macs=0.75,0.5")}}}
	}
	watch := NewStopwatch()
	m, err := p.opened(ctx, &o, func(r *maker) error { return p.Begin(r.be, r.host, "compress", o.Force) }, p.Job.Asked()...)
	if err != nil {
		return nil, err
	}
	o.Checkpoints = p.Job.Folder()
	waits := waiting{}
	o.Observe = waits.hear(o.Observe)
	r, original, err := p.measured(ctx, m.be, o)
	if err != nil {
		return nil, err
	}
	sizes, err := p.sizes()
	if err != nil {
		return nil, err
	}
	if err := p.writePrices(p.Job.Folder()); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := r.order(); err != nil {
		return nil, err
	}
	asked := p.Job.Asked()
	metric, _ := p.Job.Target.Sizes()
	made := map[string]*Candidate{}
	var untuned []Measured
	err = r.descend(sizes, func(s *sized, n *net.Network, d *search.Decision) (bool, error) {
		untuned = append(untuned, p.measuredOn(metric, s.name, d.Rounds)...)
		if !slices.Contains(asked, s.name) {
			return true, nil
		}
		c, err := r.as(s).chosen(n, d)
		made[s.name] = c
		return len(made) < len(asked), err
	})
	if err != nil {
		return nil, err
	}
	original.SearchTime = time.Since(start).Seconds()
	out := &Family{Model: original.Model, Teacher: original.Teacher, Data: original.Data, Seed: original.Seed, Folder: p.Job.Out, Metric: metric, Cost: original.Cost, Original: original.Original, Warnings: original.Warnings,
		SearchTime: original.SearchTime, Measured: untuned}
	var failed []error
	for _, name := range asked {
		s := sizes[slices.IndexFunc(sizes, func(s *sized) bool { return s.name == name })]
		x, err := m.member(r.as(s), *original, made[name])
		if x == nil {
			return nil, err
		}
		failed = append(failed, err)
		out.Members = append(out.Members, x)
	}
	out.Front = p.front(metric, out.Members)
	out.Seconds, out.PeakBytes = watch.Read()
	out.DataWait = waits.total()
	if p.Job.Member == 0 {
		body, err := json.MarshalIndent(out, "", "  ")
		if err := errors.Join(err, atomicfile.WriteBytes(filepath.Join(p.Job.Folder(), "report.json"), append(body, '\n'))); err != nil {
			return nil, err
		}
	}
	return out, errors.Join(failed...)
}

// AddSize makes another size for a family whose search the run folder keeps: from the weights
// and the subnet of the smallest member that costs more, or else from the original and the
// weights of the largest, rounds measure without training what to leave out; then the subnet is
// recalibrated, tuned, written to a file and verified. File may be "": it lies with the others
// then.
func (p *Plan) AddSize(ctx context.Context, t Targets, file string, o Options) (*Member, error) {
	refuse := func(key, format string, a ...any) error {
		return &JobError{[]error{&keyed{key, fmt.Errorf(format, a...)}}}
	}
	if _, drops := p.Job.Target.Drop(); !p.Job.Family() && !drops {
		return nil, refuse("target", "want the job of a family, with several values of a metric, or of a drop")
	}
	if metric, sizes := t.Sizes(); metric != "" {
		return nil, refuse("target", "want one more size, got %d of %s", len(sizes), metric)
	}
	if _, drop := t.Drop(); drop {
		return nil, refuse("target", "want a limit of a metric, got drop: compress looks for the smallest within one")
	}
	name := t.name()
	if slices.Contains(p.Job.memberNames(), name) {
		return nil, refuse("target", "%s is a member already: entangle compress makes it", name)
	}
	if errs := t.check(targetMetrics(p.Metrics)); len(errs) > 0 {
		return nil, &JobError{[]error{&keyed{"target", errors.Join(errs...)}}}
	}
	if t.index(latency.Name) >= 0 && p.Job.Target.index(latency.Name) < 0 {
		return nil, refuse("target", "latency: want another metric: the family has no limit of it, and so no prices")
	}
	if err := p.Price(ctx, o); err != nil {
		return nil, err
	}
	sizes, err := p.sizes()
	if err != nil {
		return nil, err
	}
	s, err := p.size(name, t)
	if err != nil {
		return nil, err
	}
	q := s.plan
	q.Job.Out = cmp.Or(file, q.Job.Out)
	if err := CheckOut(q.Job.Out, q.Job.Inputs()...); err != nil {
		return nil, &JobError{[]error{&keyed{"out", err}}}
	}
	q.Job.Record.Verb = ""
	for _, x := range sizes[:1] {
		kept := filepath.Join(p.Job.Folder(), "search-"+x.name+".checkpoint")
		if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
			return nil, refuse("run", "%s keeps no search of a family: entangle compress makes one", p.Job.Folder())
		} else if err != nil {
			return nil, err
		}
	}
	m, err := q.opened(ctx, &o, func(r *maker) error { return q.Begin(r.be, r.host, "family", o.Force) })
	if err != nil {
		return nil, err
	}
	o.Checkpoints = q.Job.Folder()
	r, original, err := q.measured(ctx, m.be, o)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := r.order(); err != nil {
		return nil, err
	}
	r.member = name
	cut, _, err := r.between(p, sizes)
	if err != nil {
		return nil, err
	}
	original.SearchTime = time.Since(start).Seconds()
	return m.member(r, *original, cut)
}

// between cuts the run's size, which is none of those that the search fell through: rounds go on
// from the nearest of them that the run folder of the plan keeps, and train nothing.
func (r *run) between(p *Plan, sizes []*sized) (*Candidate, []train.Round, error) {
	n, d, first, err := r.parent(p, sizes)
	if err != nil {
		return nil, nil, err
	}
	c := r.memberSearch(r.Budget, first)
	c.FreezeWeights = true
	if _, n, err = n.With(d.Weights); err != nil {
		return nil, nil, err
	}
	if d, err = search.RunFrom(r.ctx, r.be, n, r.teach, r.Views.Weights, r.Views.Alpha, data.View{}, c, r.Budget, first, r.Job.Seed, r.hooks("search-"+r.member)); err != nil {
		return nil, nil, err
	}
	x, err := r.chosen(n, d)
	return x, d.Rounds, err
}

// parent finds where a size of the run's budget begins among the kept searches of a family: the
// weights of the smallest member that costs more, and its choice; of the largest, and the
// original's, where none does.
func (r *run) parent(p *Plan, sizes []*sized) (n *net.Network, d *search.Decision, first []int, err error) {
	base := *r
	base.Plan, base.dir = p, p.Job.Folder()
	kept := func(s *sized) bool {
		_, err := os.Stat(base.hooks("search-" + s.name).Checkpoint)
		return err == nil
	}
	for at, s := range sizes {
		if at > 0 && !kept(s) {
			sizes = sizes[:at]
			break
		}
	}
	err = base.descend(sizes, func(s *sized, net *net.Network, found *search.Decision) (bool, error) {
		more := !slices.ContainsFunc(r.Budget, func(l decide.Limit) bool {
			common := slices.ContainsFunc(s.plan.Budget, func(x decide.Limit) bool { return x.Metric == l.Metric && x.Limit == l.Limit })
			return !common && l.Cost.At(found.Choice) < l.Limit
		})
		if more {
			first = found.Choice
		}
		if more || n == nil {
			n, d = net, found
		}
		return more, nil
	})
	return n, d, first, err
}

// maker is what the members of a family are made with.
type maker struct {
	host     *Host
	be       engine.Backend
	verifier runtimes.Runtime
	found    []error // by verification, for each size that was tried; nil: nothing
}

// opened has the runtime and the engine, begins the run folder, and makes a folder in it for
// each name.
func (p *Plan) opened(ctx context.Context, o *Options, begin func(*maker) error, names ...string) (*maker, error) {
	m := &maker{host: o.Host}
	if m.host == nil {
		m.host = &Host{}
	}
	var err error
	if m.verifier, err = p.Verifier(m.host); err != nil {
		return nil, err
	}
	if m.be, err = m.host.Backend(ctx, p.Job.Engine); err != nil {
		return nil, err
	}
	if err := begin(m); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := os.MkdirAll(p.Job.memberFolder(name), 0o777); err != nil {
			return nil, err
		}
	}
	if o.Begun != nil {
		return m, o.Begun()
	}
	return m, nil
}

// member tunes, writes and verifies a size that was cut. Out is what is known of the original.
func (m *maker) member(r *run, out Outcome, c *Candidate) (*Member, error) {
	watch, waits := NewStopwatch(), waiting{}
	r.observe = waits.hear(r.observe)
	out.Budget, out.Candidates = r.Budget, nil
	failed, err := r.tune(&out, c)
	if err != nil {
		return nil, err
	}
	done, err := r.write(r.ctx, m.verifier, &out, watch, waits)
	if done == nil {
		return nil, err
	}
	if err := errors.Join(failed, err); err != nil {
		return &Member{r.member, *done}, fmt.Errorf("%s: %w", r.member, err)
	}
	return &Member{r.member, *done}, nil
}

// front sets the original beside the members, the largest first.
func (p *Plan) front(metric string, members []*Member) []Point {
	whole := p.whole()
	out := []Point{{Name: "original", Cost: whole, Share: 1}}
	for i, m := range members {
		c := m.Candidates[0]
		x := Point{Name: m.Name, Cost: c.Cost, Share: c.Cost[metric] / whole[metric]}
		if len(m.Figures) > 0 {
			f := m.Figures[0]
			x.Figure, x.Unit, x.Quality = f.Name, f.Unit, &f.After
			if i == 0 {
				out[0].Figure, out[0].Unit, out[0].Quality = f.Name, f.Unit, &f.Before
			}
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Point) int { return cmp.Compare(b.Share, a.Share) })
	return out
}
