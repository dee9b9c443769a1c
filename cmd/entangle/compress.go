package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

func (e *env) compressCommand() *cli.Command {
	return &cli.Command{
		Name:      "compress",
		Usage:     "search, cut, fine-tune and verify: a smaller model that meets the target",
		UsageText: "entangle compress model.onnx --data folder:images --target macs=0.5 -o small.onnx",
		ArgsUsage: "MODEL",
		Description: "Refuses a target that no choice meets before any work. The run folder keeps job.yaml, checkpoints, log, recipe and\n" +
			"reports; the same command again resumes a stopped run. --target macs=0.75,0.5,0.25 --out DIR makes a family of sizes\n" +
			"from one search, --target drop=1.0 looks for the smallest model that loses no more points: docs/family.md.",
		Flags: concat(optionFlags(groupData, groupTarget, groupSearch, groupTrain, "teacher", groupRun, "member"), []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "check everything, take one step of each kind, print the space's reach and the time and memory to expect", Category: groupRun},
			forceFlag(),
		}, jobFlags()),
		Action: e.compress,
	}
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "write over an existing output", Category: groupRun}
}

// planned opens model, data and space, checks the target and prints what can be reached.
func (e *env) planned(c *cli.Context) (*entangle.Plan, error) {
	j, err := readJob(c)
	if err != nil {
		return nil, err
	}
	if err := oneModel(c, j); err != nil {
		return nil, err
	}
	j.Data.Host = e.dataHost(c)
	p, err := entangle.Open(j)
	if err == nil {
		err = p.Price(c.Context, entangle.Options{Host: e.host()})
	}
	var unmet *decide.TargetError
	if err != nil && (p == nil || !errors.As(err, &unmet)) {
		return nil, err
	}
	if e.verbosity >= 0 {
		e.printProfile(p)
	}
	return p, err
}

func (e *env) printProfile(p *entangle.Plan) {
	fmt.Fprintf(e.stderr, "%d dimensions, %.3g subnets; target %s\n", len(p.Space.Dims), p.Space.Size(), target(p))
	rows := p.Profiles()
	t := costTable("subnet", rows[0].Cost)
	for _, x := range rows {
		addCost(t, x.Name, x.Cost)
	}
	t.Text(e.stderr)
}

// target prints what a subnet is to meet.
func target(p *entangle.Plan) string {
	points, drops := p.Job.Target.Drop()
	if !drops {
		return limits(p.Budget)
	}
	text := fmt.Sprintf("least %s that loses at most %g points", p.Job.Target.Shrinks(), points)
	if len(p.Budget) > 0 {
		text += ", " + limits(p.Budget)
	}
	return text
}

// follow returns the options of a run that is shown, and logged once its folder is there. Plan
// may be nil.
func (e *env) follow(c *cli.Context, dir string, p *entangle.Plan) (entangle.Options, *runLog) {
	log := e.newRunLog()
	if p != nil {
		log.name(p.Space)
	}
	return entangle.Options{Host: e.host(), Observe: log.observe, Checkpoints: dir, Force: c.Bool("force"), Begun: func() error { return log.open(dir) }}, log
}

func (e *env) compress(c *cli.Context) error {
	p, err := e.planned(c)
	if err != nil {
		return err
	}
	if _, err := p.Verifier(e.host()); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		for _, n := range p.Says() {
			e.logf("note: %s", n)
		}
		for _, w := range p.Warnings {
			e.logf("WARNING: %s", w)
		}
		return e.dryRun(c, p)
	}
	if p.Job.Out == "" {
		return usagef("compress: want --out FILE, got none")
	}
	if err := p.Job.Writable(c.Bool("force")); err != nil {
		return err
	}
	if _, drops := p.Job.Target.Drop(); drops {
		return e.compressWithin(c, p)
	}
	if p.Job.Family() {
		return e.compressFamily(c, p)
	}
	o, log := e.follow(c, p.Job.Folder(), p)
	r, err := p.Run(c.Context, o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if r == nil {
		return err
	}
	return e.tell(c, p.Job.Folder(), r, err)
}

// dryRun prints what a run would take.
func (e *env) dryRun(c *cli.Context, p *entangle.Plan) error {
	x, err := p.Estimate(c.Context, entangle.Options{Host: e.host(), Force: c.Bool("force")})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.printJSON(entangle.DryRun{Profiles: p.Profiles(), Estimate: *x})
	}
	t := columns("step", ">steps", ">seconds each", ">seconds", ">MiB of a step")
	for _, part := range x.Parts {
		t.Add(part.Name, part.Steps, fmt.Sprintf("%.3g", part.Each), fmt.Sprintf("%.3g", part.Seconds), mebibytes(int64(part.Bytes)))
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	of := ""
	if x.Available > 0 {
		of = fmt.Sprintf(" (%s MiB were available)", mebibytes(x.Available))
	}
	_, err = fmt.Fprintf(e.stdout, "\nto expect: about %.3g s without verification, peak memory %s MiB%s\n", x.Seconds, mebibytes(x.PeakBytes), of)
	return err
}

func mebibytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(n)/(1<<20))
}

// priced lists the metrics that costs are told in: those of every supernet, and the latency
// where the costs have it.
func priced(cost map[string]float64) []space.Metric {
	out := slices.Clone(space.Metrics)
	if _, ok := cost[latency.Name]; ok {
		out = append(out, space.Metric{Name: latency.Name, Title: "predicted ms"})
	}
	return out
}

// costTable is a table with a column per metric that the costs have.
func costTable(first string, cost map[string]float64) *report.Table {
	t := &report.Table{Columns: []report.Column{{Name: first}}}
	for _, m := range priced(cost) {
		t.Columns = append(t.Columns, report.Column{Name: m.Title, Right: true})
	}
	return t
}

func addCost(t *report.Table, name string, cost map[string]float64, more ...string) {
	cells := []any{name}
	for _, m := range priced(cost) {
		cells = append(cells, count(cost[m.Name]))
	}
	for _, x := range more {
		cells = append(cells, x)
	}
	t.Add(cells...)
}
