package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/space"
)

func (e *env) compressCommand() *cli.Command {
	return &cli.Command{
		Name:      "compress",
		Usage:     "search, cut, fine-tune and verify: a smaller model that meets the target",
		ArgsUsage: "MODEL",
		Description: "Prints what the space can reach and refuses a target that no choice meets before any work. The run folder\n" +
			"keeps checkpoints, log.jsonl, curves.csv, recipe.json, report.json and report.html; run the same command again to resume a stopped run.",
		Flags: concat(dataFlags(), searchFlags(), trainFlags(), []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "model to write", TakesFile: true},
			&cli.StringFlag{Name: "run", Usage: "run folder", DefaultText: "OUT with .run for its extension", TakesFile: true},
			&cli.IntFlag{Name: "every", Usage: "steps between checkpoints; 0: one per epoch"},
			&cli.BoolFlag{Name: "baselines", Usage: "also fine-tune the uniform and a random choice of the same cost"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the space's reach and stop"},
			&cli.BoolFlag{Name: "no-verify", Usage: "do not run the result on ONNX Runtime"},
			seedFlag(), threadsFlag(), ortLibFlag(), jobFlag(), jsonFlag(),
		}),
		Action: e.compress,
	}
}

func concat(lists ...[]cli.Flag) []cli.Flag {
	var out []cli.Flag
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// compression is report.json.
type compression struct {
	Model  string `json:"model"`
	File   string `json:"file"`
	Data   string `json:"data"`
	Metric string `json:"target_metric"`
	*search.Outcome
	Files        [2]fileSize             `json:"files"` // original, result
	Verification *exporter.Verification  `json:"verification,omitempty"`
	Latency      *exporter.LatencyReport `json:"latency,omitempty"`
	LatencyOn    string                  `json:"latency_on,omitempty"`
	Unverified   string                  `json:"unverified,omitempty"` // why no runtime checked the result
	Seconds      float64                 `json:"seconds"`
	PeakBytes    int64                   `json:"peak_memory_bytes,omitempty"`
}

type fileSize struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// planned opens model, data and space and checks the target.
func (e *env) planned(c *cli.Context, tune bool) (*model, *search.Plan, error) {
	j, err := applyJob(c)
	if err != nil {
		return nil, nil, err
	}
	path, err := oneModel(c, j)
	if err != nil {
		return nil, nil, err
	}
	if c.String("out") == "" && j.out != "" {
		if err := c.Set("out", j.out); err != nil {
			return nil, nil, err
		}
	}
	settings, err := jobSettings(c, tune)
	if err != nil {
		return nil, nil, err
	}
	set, err := openSet(c)
	if err != nil {
		return nil, nil, err
	}
	m, err := loadModel(path)
	if err != nil {
		return nil, nil, err
	}
	p, err := search.Prepare(m.normal, set, settings)
	var unmet *search.TargetError
	if err != nil && (p == nil || !errors.As(err, &unmet)) {
		return nil, nil, err
	}
	if e.verbosity >= 0 {
		e.printProfile(p)
	}
	return m, p, err
}

func (e *env) printProfile(p *search.Plan) {
	fmt.Fprintf(e.stderr, "%d dimensions, %.3g subnets; target %s ≤ %s\n", len(p.Space.Dims), p.Space.Size(), p.Budget.Metric, count(p.Budget.Limit))
	t := &table{}
	t.add("subnet", ">MACs", ">parameters", ">bytes")
	for _, x := range p.Profiles() {
		t.add(x.Name, count(x.Cost[space.MACs]), count(x.Cost[space.Params]), count(x.Cost[space.Bytes]))
	}
	t.print(e.stderr)
}

func (e *env) compress(c *cli.Context) error {
	m, p, err := e.planned(c, true)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		if c.Bool("json") {
			return e.printJSON(p.Profiles())
		}
		return nil
	}
	out := c.String("out")
	if err := checkOut(out); err != nil {
		return err
	}
	be, err := openBackend(c)
	if err != nil {
		return err
	}
	dir, err := runFolder(c, out)
	if err != nil {
		return err
	}
	log, err := e.openRunLog(dir)
	if err != nil {
		return err
	}
	log.name(p.Space)
	p.Job.Dir, p.Job.Every, p.Job.Baselines, p.Job.Observe = dir, c.Int("every"), c.Bool("baselines"), log.observe
	watch := newStopwatch()
	o, err := p.Compress(c.Context, be)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	best := o.Candidates[0]
	text, err := best.Recipe.Marshal()
	if err != nil {
		return err
	}
	if err := describe(best.Model, best.Recipe); err != nil {
		return err
	}
	r := compression{Model: m.path, File: out, Data: c.String("data"), Metric: string(p.Budget.Metric), Outcome: o}
	err = errors.Join(
		exporter.Write(out, best.Model, exporter.Options{}),
		atomicfile.WriteBytes(filepath.Join(dir, "recipe.json"), text))
	if err != nil {
		return err
	}
	for _, b := range o.Candidates[1:] {
		if err := exporter.Write(filepath.Join(dir, b.Name+".onnx"), b.Model, exporter.Options{}); err != nil {
			return err
		}
	}
	for i, path := range []string{m.path, out} {
		r.Files[i].Path = path
		if r.Files[i].Bytes, r.Files[i].SHA256, err = fileDigest(path); err != nil {
			return err
		}
	}
	r.Seconds, r.PeakBytes = watch.read()
	mismatch := e.verifyResult(c, m, &r, p.Set)
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, "report.json"), append(body, '\n')); err != nil {
		return err
	}
	if err := writePage(dir, r.summary()); err != nil {
		return err
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		err = e.printCompression(&r)
	}
	return errors.Join(err, mismatch)
}

// verifyResult compares the written file on ONNX Runtime with the engine, and
// times both models there. Where the runtime is missing it records why.
func (e *env) verifyResult(c *cli.Context, m *model, r *compression, set *data.Set) error {
	if c.Bool("no-verify") {
		r.Unverified = "--no-verify was given"
		return nil
	}
	ort, err := e.openRuntime(c, "runtime", "ort")
	if err != nil {
		return err
	}
	info, err := ort.Describe()
	if err != nil {
		r.Unverified = err.Error()
		fmt.Fprintf(e.stderr, "not verified on ONNX Runtime: %v\n", err)
		return nil
	}
	small, err := loadModel(r.File)
	if err != nil {
		return err
	}
	own, err := e.openRuntime(c, "runtime", "cpu")
	if err != nil {
		return err
	}
	dims := sampleDims(small.normal.Graph, set)
	on := func(m *model, name string) exporter.Subject {
		if name == "cpu" {
			return exporter.Subject{Source: m.source(name), Runtime: own}
		}
		return exporter.Subject{Source: m.source(name), Runtime: ort}
	}
	v, err := exporter.Verify(c.Context, on(small, "cpu"), on(small, "ort"), exporter.VerifyOptions{Cases: 8, Batch: 4, Dims: dims, Seed: c.Uint64("seed")})
	r.Verification = v
	var mismatch *exporter.MismatchError
	if err != nil && !errors.As(err, &mismatch) {
		return err
	}
	both, lerr := exporter.Verify(c.Context, on(m, "ort"), on(small, "ort"), exporter.VerifyOptions{Cases: 1, Dims: dims, Informative: true, Latency: exporter.LatencyOptions{Batch: 1, Warmup: 20, Runs: 200}})
	if lerr == nil {
		r.Latency, r.LatencyOn = both.Latency, info.Version+threadsOf(info)
	}
	return err
}

func (e *env) printCompression(r *compression) error {
	t := &report.Table{Columns: []report.Column{{Name: ""}, {Name: "before", Right: true}, {Name: "after", Right: true}, {Name: "ratio", Right: true}}}
	for _, x := range r.comparison() {
		t.Add(x.Name, x.Before, x.After, x.Change)
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	for _, n := range r.notes() {
		fmt.Fprintln(e.stdout, n)
	}
	if len(r.Candidates) > 1 {
		fmt.Fprintln(e.stdout)
		b := r.baselines()
		b.Title = ""
		if err := b.Text(e.stdout); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.stdout, "\n%s  (search %.0f s, whole run %.0f s, peak memory %.0f MiB)\n", r.File, r.SearchTime, r.Seconds, float64(r.PeakBytes)/(1<<20))
	return err
}

// part returns the split that quality is told on, with the original's score there.
func (r *compression) part() (name string, original *search.Score, of func(search.Candidate) search.Quality) {
	if q := r.Candidates[0].Test; r.Original.Test != nil || q.Distance != nil {
		return "test", r.Original.Test, func(c search.Candidate) search.Quality { return c.Test }
	}
	return "validation", r.Original.Val, func(c search.Candidate) search.Quality { return c.Val }
}

func (r *compression) comparison() []report.Comparison {
	var out []report.Comparison
	add := func(name, before, after, change string) {
		out = append(out, report.Comparison{Name: name, Before: before, After: after, Change: change})
	}
	best := r.Candidates[0]
	on, orig, of := r.part()
	q := of(best)
	if orig != nil {
		add("accuracy, "+on, percent(orig), percent(last(q)), diff(orig, last(q)))
		add("  inherited", "", percent(q.Inherited), diff(orig, q.Inherited))
		add("  recalibrated", "", percent(q.Recalibrated), diff(orig, q.Recalibrated))
		add("  fine-tuned", "", percent(q.Tuned), diff(orig, q.Tuned))
		if after := last(q); orig.Positions > 0 && after != nil {
			add("nats per token", fmt.Sprintf("%.4f", orig.Loss), fmt.Sprintf("%.4f", after.Loss), fmt.Sprintf("%+.4f", after.Loss-orig.Loss))
			add("perplexity", fmt.Sprintf("%.3f", orig.Perplexity()), fmt.Sprintf("%.3f", after.Perplexity()), fmt.Sprintf("%+.3f", after.Perplexity()-orig.Perplexity()))
		}
	}
	if d := q.Distance; d != nil {
		add("distance of outputs, "+on, "", apart(nearest(d)), "")
		add("  inherited", "", apart(d.Inherited), "")
		add("  recalibrated", "", apart(d.Recalibrated), "")
		add("  fine-tuned", "", apart(d.Tuned), "")
	}
	for _, x := range []struct {
		name   string
		metric space.Metric
	}{{"MACs", space.MACs}, {"parameters", space.Params}} {
		add(x.name, count(r.Cost[x.metric]), count(best.Cost[x.metric]), fmt.Sprintf("%.3f", best.Cost[x.metric]/r.Cost[x.metric]))
	}
	add("file bytes", fmt.Sprint(r.Files[0].Bytes), fmt.Sprint(r.Files[1].Bytes), fmt.Sprintf("%.3f", float64(r.Files[1].Bytes)/float64(r.Files[0].Bytes)))
	if l := r.Latency; l != nil {
		add("latency, batch 1", fmt.Sprintf("%.3f ms", l.Reference.Median), fmt.Sprintf("%.3f ms", l.Candidate.Median), fmt.Sprintf("%.3f", l.Candidate.Median/l.Reference.Median))
	}
	return out
}

// notes says where latency was measured and what verified the result.
func (r *compression) notes() []string {
	var out []string
	if r.LatencyOn != "" {
		out = append(out, fmt.Sprintf("latency on %s, median of %d runs", r.LatencyOn, r.Latency.Runs))
	}
	switch v := r.Verification; {
	case v != nil && v.Pass:
		out = append(out, fmt.Sprintf("verified on %s: largest difference %.2g (tolerance %g + %g·|a|)", v.Candidate.Runtime.Version, worst(v), v.Tolerance.Abs, v.Tolerance.Rel))
	case v != nil:
		out = append(out, fmt.Sprintf("DIFFERENT on %s: largest difference %.2g", v.Candidate.Runtime.Version, worst(v)))
	default:
		out = append(out, "not verified on a runtime: "+r.Unverified)
	}
	return out
}

func (r *compression) baselines() report.Table {
	_, _, of := r.part()
	b := report.Table{Title: "Choices of equal cost", Columns: []report.Column{{Name: "choice"}, {Name: "MACs", Right: true}, {Name: "parameters", Right: true}, {Name: "inherited", Right: true}, {Name: "recalibrated", Right: true}, {Name: "fine-tuned", Right: true}}}
	for _, x := range r.Candidates {
		q := of(x)
		cells := []string{percent(q.Inherited), percent(q.Recalibrated), percent(q.Tuned)}
		if d := q.Distance; d != nil {
			cells = []string{apart(d.Inherited), apart(d.Recalibrated), apart(d.Tuned)}
		}
		b.Add(x.Name, count(x.Cost[space.MACs]), count(x.Cost[space.Params]), cells[0], cells[1], cells[2])
	}
	return b
}

// summary is what report.html says beside the curves.
func (r *compression) summary() report.Summary {
	s := report.Summary{Title: filepath.Base(r.File), Compare: r.comparison(), Notes: r.notes(), Widths: sizes(r.Candidates[0].Recipe)}
	s.Facts = []report.Fact{{Name: "model", Value: r.Model}, {Name: "data", Value: r.Data},
		{Name: "target", Value: fmt.Sprintf("%s ≤ %s", r.Metric, count(r.Budget.Limit))}, {Name: "seed", Value: fmt.Sprint(r.Seed)},
		{Name: "time", Value: fmt.Sprintf("search %.0f s, whole run %.0f s, peak memory %.0f MiB", r.SearchTime, r.Seconds, float64(r.PeakBytes)/(1<<20))}}
	if len(r.Candidates) > 1 {
		s.Tables = append(s.Tables, r.baselines())
	}
	return s
}

func percent(s *search.Score) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*s.Accuracy)
}

// apart prints the largest relative error of the outputs.
func apart(f *search.Fidelity) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", f.Error)
}

// nearest returns the latest distance of a subnet's life.
func nearest(d *search.Distance) *search.Fidelity {
	switch {
	case d.Tuned != nil:
		return d.Tuned
	case d.Recalibrated != nil:
		return d.Recalibrated
	}
	return d.Inherited
}

func worst(v *exporter.Verification) float64 {
	d := 0.0
	for _, o := range v.Outputs {
		d = max(d, o.MaxAbs)
	}
	return d
}

// last returns the latest score of a subnet's life.
func last(q search.Quality) *search.Score {
	switch {
	case q.Tuned != nil:
		return q.Tuned
	case q.Recalibrated != nil:
		return q.Recalibrated
	}
	return q.Inherited
}

func diff(before, after *search.Score) string {
	if before == nil || after == nil {
		return ""
	}
	return fmt.Sprintf("%+.2f", 100*(after.Accuracy-before.Accuracy))
}
