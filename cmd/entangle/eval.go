package main

import (
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/search/net"
)

func (e *env) evalCommand() *cli.Command {
	flags := concat(optionFlags(groupData, "evaluate", "threads", "device", "precision", "pjrt-plugin", "ort-lib"), []cli.Flag{
		partFlag(),
		&cli.StringFlag{Name: "runtime", Usage: "what runs the model: " + runtimeNames() + "; xla where --device asks for a GPU", Value: "cpu"},
		&cli.Float64Flag{Name: "gate", Usage: "smallest top-1 accuracy, 0…1, that passes; with --evaluate the worst number of the command that does"},
	}, jobFlags())
	return &cli.Command{
		Name:        "eval",
		Usage:       "measure a classifier on labelled data",
		ArgsUsage:   "MODEL",
		Description: "With labels per position (lm, tokens) every figure is over positions; cross-entropy is in nats a token.\nBelow --gate the exit code is 6; the result is printed all the same. With --evaluate the model is measured\nby that command alone, and needs no data.",
		Flags:       flags,
		Action:      e.eval,
	}
}

type evaluation struct {
	Model        string        `json:"model"`
	Data         string        `json:"data"`
	Part         string        `json:"part"`
	Runtime      runtimes.Info `json:"runtime"`
	Samples      int           `json:"samples"`
	Positions    int           `json:"positions,omitempty"`
	Classes      int           `json:"classes"`
	Top1         float64       `json:"top1"`
	Top5         float64       `json:"top5"`
	CrossEntropy float64       `json:"cross_entropy"`
	Seconds      float64       `json:"seconds"`
	Gate         *float64      `json:"gate,omitempty"`
	Pass         bool          `json:"pass"`
}

func (e *env) eval(c *cli.Context) error {
	j, err := checkedJob(c, "model", "data", "evaluate", engineKeys)
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	if j.Evaluate.Command != "" {
		return e.evalOwn(c, j)
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
	f, err := entangle.NewFeeder(part.All(), j.Data.Batch, src)
	if err != nil {
		return err
	}
	out, _ := net.Scored(m.Normal, m.Normal.Graph.Outputs[0].Type)
	e.debugf("eval: %d samples of part %q on %s", part.Len(), part.Name, info.Version)
	q, err := exporter.MeasureQuality(c.Context, exporter.Subject{Source: src, Runtime: rt}, out, f.Labelled())
	if err != nil {
		return err
	}
	r := evaluation{Model: j.Model, Data: j.Data.Source, Part: part.Name, Runtime: info, Samples: q.Samples, Positions: q.Positions, Classes: q.Classes,
		Top1: q.Accuracy, Top5: q.Top5, CrossEntropy: q.Loss, Seconds: q.Seconds, Pass: q.Accuracy >= gate}
	if c.IsSet("gate") {
		r.Gate = &gate
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		size, more := fmt.Sprintf("%d samples", q.Samples), ""
		if q.Positions > 0 {
			size += fmt.Sprintf(", %d positions", q.Positions)
			more = fmt.Sprintf("perplexity     %.4f\n", q.Perplexity())
		}
		_, err = fmt.Fprintf(e.stdout, "%s on %s (%s), %s, %s\ntop-1          %.4f\ntop-5          %.4f\ncross-entropy  %.4f\n%sseconds        %.2f\n",
			r.Model, r.Data, r.Part, size, info.Version, r.Top1, r.Top5, r.CrossEntropy, more, r.Seconds)
	}
	if err == nil && !r.Pass {
		err = &qualityError{"top-1 accuracy", gate, r.Top1, false}
	}
	return err
}

type ownEvaluation struct {
	Model   string   `json:"model"`
	Name    string   `json:"name"`
	Value   float64  `json:"value"`
	Seconds float64  `json:"seconds"`
	Gate    *float64 `json:"gate,omitempty"`
	Pass    bool     `json:"pass"`
}

// evalOwn measures a model by the user's command.
func (e *env) evalOwn(c *cli.Context, j entangle.Job) error {
	gate := c.Float64("gate")
	if math.IsNaN(gate) || math.IsInf(gate, 0) {
		return usagef("--gate: want a finite number, got %v", gate)
	}
	start := time.Now()
	v, err := j.EvaluateFile(c.Context, j.Model, j.Model, entangle.Options{})
	if err != nil {
		return err
	}
	r := ownEvaluation{Model: j.Model, Name: j.Evaluate.Name, Value: *v, Seconds: time.Since(start).Seconds(), Pass: true}
	lower := j.Evaluate.Better == "lower"
	if c.IsSet("gate") {
		r.Gate, r.Pass = &gate, *v >= gate && !lower || *v <= gate && lower
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%s of %s: %s\n", r.Name, r.Model, plain(v))
	}
	if err == nil && !r.Pass {
		err = &qualityError{r.Name, gate, *v, lower}
	}
	return err
}
