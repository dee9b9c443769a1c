package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/ops"
)

func (e *env) verifyCommand() *cli.Command {
	flags := concat(optionFlags(groupData, "seed", "threads", "device", "precision", "pjrt-plugin", "ort-lib"), []cli.Flag{
		partFlag(),
		&cli.StringFlag{Name: "runtime", Usage: "runtime under test: " + runtimeNames() + "; xla where --device asks for a GPU", Value: runtimeKinds()[0].name},
		&cli.StringFlag{Name: "against", Usage: "runtime that A runs on; with two models the one of --runtime", DefaultText: "cpu with one model"},
		&cli.Float64Flag{Name: "abs", Usage: "absolute tolerance", DefaultText: "1e-06, 0.001 of float16, 0.01 of bfloat16"},
		&cli.Float64Flag{Name: "rel", Usage: "tolerance relative to A's element, or to the median of its output where that is larger", DefaultText: "0.001, 0.02 of float16, 0.1 of bfloat16"},
		&cli.BoolFlag{Name: "compare", Usage: "A and B are meant to differ: report differences, demand nothing of them"},
		&cli.Float64Flag{Name: "min-agreement", Usage: "smallest top-1 agreement, 0…1, that passes"},
		&cli.IntFlag{Name: "cases", Usage: "random batches when there is no --data", Value: 4},
		&cli.DurationFlag{Name: "run-limit", Usage: "time that a run on a foreign runtime may take", Value: exporter.DefaultLimit},
		&cli.IntFlag{Name: "latency", Usage: "timed runs of each side, taken turn by turn; 0: none", Value: 50},
		&cli.IntFlag{Name: "latency-batch", Usage: "samples per timed run", Value: 1},
		dimFlag(),
	}, jobFlags())
	return &cli.Command{
		Name:      "verify",
		Usage:     "run a model on a real runtime and compare: with an engine of this program, or with another model",
		ArgsUsage: "A [B]",
		Description: "With one model, A on --against is the reference for A on --runtime. With two, A is the reference for B.\n" +
			"Inputs are --data, or random; the first batch is run again at another number of samples and at other lengths,\n" +
			"where the models leave them open. A difference beyond the tolerance ends with exit code 5; the result is printed all the same.",
		Flags:  flags,
		Action: e.verify,
	}
}

// verifyGC is the share, in percent, that the heap may grow by between collections.
const verifyGC = 10

func (e *env) verify(c *cli.Context) error {
	j, err := checkedJob(c, "model", "data", engineKeys)
	if err != nil {
		return err
	}
	paths := c.Args().Slice()
	if len(paths) == 0 && j.Model != "" {
		paths = []string{j.Model}
	}
	if len(paths) < 1 || len(paths) > 2 {
		return usagef("verify: want one or two models, got %d", len(paths))
	}
	// Weights are most of the memory, of both sides at once, and cost the collector little to pass.
	defer debug.SetGCPercent(debug.SetGCPercent(verifyGC))
	o, err := verifyOptions(c, j)
	if err != nil {
		return err
	}
	against := c.String("against")
	tested, err := runtimeUnderTest(c, j, against)
	if err != nil {
		return err
	}
	switch {
	case against != "":
	case len(paths) == 2:
		against = tested
	default:
		against = "cpu"
	}
	var sides [2]exporter.Subject
	var models [2]*entangle.Model
	for i, name := range []string{against, tested} {
		flag := []string{"against", "runtime"}[i]
		if sides[i].Runtime, err = e.openRuntime(c, j, flag, name); err != nil {
			return err
		}
		if i >= len(paths) {
			models[i] = models[0]
		} else if models[i], err = entangle.Import(paths[i]); err != nil {
			return err
		}
	}
	if err := e.checkDims(o.Dims, models[0], models[1]); err != nil {
		return err
	}
	for i, name := range []string{against, tested} {
		if isNative(against) || isNative(tested) {
			if models[i] = models[i].Runnable(); models[i].Tail != nil && i >= 2-len(paths) {
				e.logf("note: %s is compared where its tail begins: %s", models[i].Path, strings.Join(models[i].Tail.At, ", "))
			}
		}
		if sides[i].Source, err = source(models[i], name); err != nil {
			return err
		}
	}
	o.Part = ops.PartOf(sides[0].Source.Model, sides[1].Source.Model)
	if j.Data.Source != "" {
		part, err := e.openPart(c, models[0], j)
		if err != nil {
			return err
		}
		f, err := entangle.NewFeeder(part.All(), cmp.Or(j.Data.Batch, entangle.Batch), sides[0].Source, sides[1].Source)
		if err != nil {
			return err
		}
		o.Inputs = f.Pairs()
	}
	standard := exporter.ToleranceOf(models[0].Raw.Graph, models[1].Raw.Graph)
	if !c.IsSet("abs") {
		o.Tolerance.Abs = standard.Abs
	}
	if !c.IsSet("rel") {
		o.Tolerance.Rel = standard.Rel
	}
	if len(paths) == 1 {
		o.Original = &sides[1]
	}
	v, err := exporter.Verify(c.Context, sides[0], sides[1], o)
	var mismatch *exporter.MismatchError
	if err != nil && !errors.As(err, &mismatch) {
		return err
	}
	var perr error
	if c.Bool("json") {
		perr = e.printJSON(v)
	} else {
		perr = e.printVerification(v)
	}
	return errors.Join(err, perr)
}

func verifyOptions(c *cli.Context, j entangle.Job) (exporter.VerifyOptions, error) {
	o := exporter.VerifyOptions{
		Cases:        c.Int("cases"),
		Batch:        1,
		Seed:         j.Seed,
		Sizes:        true,
		Limit:        c.Duration("run-limit"),
		Tolerance:    exporter.Tolerance{Abs: c.Float64("abs"), Rel: c.Float64("rel")},
		Informative:  c.Bool("compare"),
		MinAgreement: c.Float64("min-agreement"),
		Latency:      exporter.LatencyOptions{Batch: c.Int("latency-batch"), Warmup: min(c.Int("latency"), 5), Runs: c.Int("latency")},
	}
	var err error
	if o.Dims, err = bindings(c, "dim"); err != nil {
		return o, err
	}
	switch {
	case !(o.Tolerance.Abs >= 0) || !(o.Tolerance.Rel >= 0) || c.IsSet("abs") && c.IsSet("rel") && o.Tolerance == (exporter.Tolerance{}):
		err = usagef("--abs, --rel: want numbers of 0 or more, one of them above 0, got %v and %v", o.Tolerance.Abs, o.Tolerance.Rel)
	case o.Limit <= 0:
		err = usagef("--run-limit: want a time above 0, got %s", o.Limit)
	case !(o.MinAgreement >= 0 && o.MinAgreement <= 1):
		err = usagef("--min-agreement: want a number from 0 to 1, got %v", o.MinAgreement)
	case o.Cases < 1 || o.Latency.Batch < 1 || o.Latency.Runs < 0:
		err = usagef("--cases, --latency-batch, --latency: want at least 1, 1 and 0, got %d, %d and %d", o.Cases, o.Latency.Batch, o.Latency.Runs)
	}
	return o, err
}

func (e *env) printVerification(v *exporter.Verification) error {
	side := func(what string, s exporter.Side) {
		fmt.Fprintf(e.stdout, "%s  %s on %s%s\n", what, s.Model, s.Runtime.Version, entangle.Threads(s.Runtime))
	}
	side("reference", v.Reference)
	side("candidate", v.Candidate)
	inputs := "given"
	if v.Random {
		inputs = "random"
	}
	fmt.Fprintf(e.stdout, "inputs     %d %s samples in %d batches\n", v.Samples, inputs, v.Batches)
	for _, s := range v.Sizes {
		fmt.Fprintf(e.stdout, "           the first ones again at %s\n", s)
	}
	for _, s := range v.Skipped {
		fmt.Fprintf(e.stdout, "           left out: %s\n", strings.ReplaceAll(s, "\n", "; "))
	}
	fmt.Fprintln(e.stdout)
	t := columns("output", "type", ">max |a−b|", ">max relative", ">max |a|", ">median |a|", ">beyond", ">top-1 agreement")
	for _, o := range v.Outputs {
		agree := "-"
		if o.Top1 != nil {
			agree = fmt.Sprintf("%.4f", o.Top1.Agreement)
		}
		beyond := fmt.Sprintf("%d/%d", o.Exceeding, o.Elements)
		if o.Resized > 0 {
			beyond += fmt.Sprintf(", %d batches of other sizes", o.Resized)
		}
		t.Add(o.Name, o.Type, fmt.Sprintf("%.3g", o.MaxAbs), fmt.Sprintf("%.3g", o.MaxRel), fmt.Sprintf("%.3g", o.Peak), fmt.Sprintf("%.3g", o.Scale), beyond, agree)
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	if l := v.Latency; l != nil {
		fmt.Fprintln(e.stdout)
		t := columns(fmt.Sprintf("latency, batch %d, %d runs", l.Batch, l.Runs), ">median ms", ">p10", ">p90")
		for _, r := range []struct {
			name string
			l    exporter.Latency
		}{{"reference", l.Reference}, {"candidate", l.Candidate}} {
			t.Add(r.name, fmt.Sprintf("%.3f", r.l.Median), fmt.Sprintf("%.3f", r.l.P10), fmt.Sprintf("%.3f", r.l.P90))
		}
		if err := t.Text(e.stdout); err != nil {
			return err
		}
	}
	verdict := "equal within the tolerance"
	switch {
	case !v.Pass:
		verdict = "different"
	case slices.ContainsFunc(v.Outputs, func(o exporter.OutputReport) bool { return o.Exceeding > 0 || o.Resized > 0 }):
		verdict = "compared"
	}
	_, err := fmt.Fprintf(e.stdout, "\n%s (%s)\n", verdict, v.Tolerance.Rule())
	return err
}
