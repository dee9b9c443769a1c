package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
)

func (e *env) compressCommand() *cli.Command {
	return &cli.Command{
		Name:      "compress",
		Usage:     "search, cut, fine-tune and verify: a smaller model that meets the target",
		ArgsUsage: "MODEL",
		Description: "Prints what the space can reach and refuses a target that no choice meets before any work. The run folder\n" +
			"keeps checkpoints, log.jsonl, curves.csv, recipe.json, report.json and report.html; run the same command again to resume a stopped run.",
		Flags: concat(dataFlags(), searchFlags(), trainFlags(), deviceFlags(), []cli.Flag{
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

// planned opens model, data and space and checks the target.
func (e *env) planned(c *cli.Context, tune bool) (*model, *entangle.Plan, error) {
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
	p, err := entangle.Prepare(m.normal, set, settings)
	var unmet *decide.TargetError
	if err != nil && (p == nil || !errors.As(err, &unmet)) {
		return nil, nil, err
	}
	if e.verbosity >= 0 {
		e.printProfile(p)
	}
	return m, p, err
}

// begin opens what a planned run needs: the backend, the run folder and its log.
func (e *env) begin(c *cli.Context, p *entangle.Plan, out string) (engine.Backend, *runLog, error) {
	be, err := e.openBackend(c)
	if err != nil {
		return nil, nil, err
	}
	if p.Job.DataLimit, err = deviceData(c, be); err != nil {
		return nil, nil, err
	}
	if p.Job.Search.Overlap = be.Name() != "cpu"; c.IsSet("overlap") {
		p.Job.Search.Overlap = c.Bool("overlap")
	}
	dir, err := runFolder(c, out)
	if err != nil {
		return nil, nil, err
	}
	log, err := e.openRunLog(dir)
	if err != nil {
		return nil, nil, err
	}
	log.name(p.Space)
	p.Job.Dir, p.Job.Every, p.Job.Observe = dir, c.Int("every"), log.observe
	return be, log, nil
}

func (e *env) printProfile(p *entangle.Plan) {
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
	be, log, err := e.begin(c, p, out)
	if err != nil {
		return err
	}
	dir := p.Job.Dir
	p.Job.Baselines = c.Bool("baselines")
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
	r.DataWait = log.waited()
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
	bound, err := set.Bind(net.Inputs(small.normal))
	if err != nil {
		return err
	}
	dims := bound.Dims
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
