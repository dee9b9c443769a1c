package main

import (
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
)

func (e *env) evalCommand() *cli.Command {
	flags := concat(optionFlags(groupData, "threads", "device", "precision", "pjrt-plugin", "ort-lib"), []cli.Flag{
		partFlag(),
		&cli.StringFlag{Name: "runtime", Usage: "what runs the model: " + runtimeNames() + "; xla where --device asks for a GPU", Value: "cpu"},
		&cli.Float64Flag{Name: "gate", Usage: "smallest top-1 accuracy, 0…1, that passes"},
	}, jobFlags())
	return &cli.Command{
		Name:        "eval",
		Usage:       "measure a classifier on labelled data",
		ArgsUsage:   "MODEL",
		Description: "With labels per position (lm, tokens) every figure is over positions; cross-entropy is in nats a token.\nBelow --gate the exit code is 6; the result is printed all the same.",
		Flags:       flags,
		Action:      e.eval,
	}
}

type evaluation struct {
	Model   string        `json:"model"`
	Data    string        `json:"data"`
	Part    string        `json:"part"`
	Runtime runtimes.Info `json:"runtime"`
	*exporter.Quality
	Gate *float64 `json:"gate,omitempty"`
	Pass bool     `json:"pass"`
}

func (e *env) eval(c *cli.Context) error {
	j, err := checkedJob(c)
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	gate := c.Float64("gate")
	if !(gate >= 0 && gate <= 1) {
		return usagef("--gate: want a number from 0 to 1, got %v", gate)
	}
	name, err := runtimeUnderTest(c, j, "")
	if err != nil {
		return err
	}
	rt, err := e.openRuntime(c, j, "runtime", name)
	if err != nil {
		return err
	}
	m, err := entangle.Import(j.Model)
	if err != nil {
		return err
	}
	part, err := openPart(c, m, j)
	if err != nil {
		return err
	}
	if !part.Labelled() {
		return fmt.Errorf("eval: %s: part %q: want labels, got none", j.Data.Source, part.Name)
	}
	info, err := rt.Describe()
	if err != nil {
		return err
	}
	src := source(m, rt.Name())
	f, err := newFeeder(src.Model.Graph, part, j.Data.Batch)
	if err != nil {
		return err
	}
	e.debugf("eval: %d samples of part %q on %s", part.Len(), part.Name, info.Version)
	q, err := exporter.MeasureQuality(c.Context, exporter.Subject{Source: src, Runtime: rt}, f.batches())
	if err != nil {
		return err
	}
	r := evaluation{Model: j.Model, Data: j.Data.Source, Part: part.Name, Runtime: info, Quality: q, Pass: q.Top1 >= gate}
	if c.IsSet("gate") {
		r.Gate = &gate
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		size, more := fmt.Sprintf("%d samples", q.Samples), ""
		if q.Positions > 0 {
			size += fmt.Sprintf(", %d positions", q.Positions)
			more = fmt.Sprintf("perplexity     %.4f\n", math.Exp(q.CrossEntropy))
		}
		_, err = fmt.Fprintf(e.stdout, "%s on %s (%s), %s, %s\ntop-1          %.4f\ntop-5          %.4f\ncross-entropy  %.4f\n%sseconds        %.2f\n",
			r.Model, r.Data, r.Part, size, info.Version, q.Top1, q.Top5, q.CrossEntropy, more, q.Seconds)
	}
	if err == nil && !r.Pass {
		err = &qualityError{"top-1 accuracy", gate, q.Top1}
	}
	return err
}
