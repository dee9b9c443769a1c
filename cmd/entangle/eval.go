package main

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/search/net"
)

func (e *env) evalCommand() *cli.Command {
	flags := concat(optionFlags(groupData, "output", "evaluate", "threads", "device", "precision", "pjrt-plugin", "ort-lib"), []cli.Flag{
		partFlag(),
		&cli.StringFlag{Name: "runtime", Usage: "what runs the model: " + runtimeNames() + "; xla where --device asks for a GPU", Value: "cpu"},
		&cli.Float64Flag{Name: "gate", Usage: "smallest accuracy (or mean IoU, mean average precision, R²), 0…1, that passes; with --evaluate the worst number of the command that does"},
	}, jobFlags())
	return &cli.Command{
		Name:        "eval",
		Usage:       "measure a model on labelled data",
		ArgsUsage:   "MODEL",
		Description: "With labels per position (lm, tokens) every figure is over positions; cross-entropy is in nats a token.\nWhat is measured follows from what the output is and what labels there are: --output sets it.\nBelow --gate the exit code is 6; the result is printed all the same. With --evaluate the model is measured\nby that command alone, and needs no data.",
		Flags:       flags,
		Action:      e.eval,
	}
}

type evaluation struct {
	Model        string         `json:"model"`
	Data         string         `json:"data"`
	Part         string         `json:"part"`
	Runtime      runtimes.Info  `json:"runtime"`
	Samples      int            `json:"samples"`
	Positions    int            `json:"positions,omitempty"`
	Output       string         `json:"output"`
	Kind         measure.Kind   `json:"kind"`
	Measure      measure.Figure `json:"measure"`
	Classes      int            `json:"classes"`
	Top1         *float64       `json:"top1,omitempty"`
	Top5         *float64       `json:"top5,omitempty"`
	CrossEntropy *float64       `json:"cross_entropy,omitempty"`
	MAE          *float64       `json:"mae,omitempty"`
	Seconds      float64        `json:"seconds"`
	Gate         *float64       `json:"gate,omitempty"`
	Pass         bool           `json:"pass"`
}

func (e *env) eval(c *cli.Context) error {
	j, err := checkedJob(c, "model", "data", "outputs", "evaluate", engineKeys)
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
	part, err := e.openPart(c, m, j)
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
	if head := m.Runnable(); isNative(rt.Name()) && head.Normal.Graph.Outputs[0].Name == m.Normal.Graph.Outputs[0].Name {
		m = head
	}
	out, err := net.ScoredOn(m.Normal, part.All().Set(), j.Outputs)
	if err != nil {
		return err
	}
	src, err := source(m, rt.Name())
	if err != nil {
		return err
	}
	f, err := entangle.NewFeeder(part.All(), cmp.Or(j.Data.Batch, entangle.Batch), src)
	if err != nil {
		return err
	}
	warning, err := m.CheckClasses(part.All().Set(), j.Outputs)
	if err != nil {
		return err
	}
	if warning != "" {
		e.logf("WARNING: %s", warning)
	}
	e.debugf("eval: %d samples of part %q on %s", part.Len(), part.Name, info.Version)
	q, err := exporter.MeasureQuality(c.Context, exporter.Subject{Source: src, Runtime: rt}, out, f.Labelled())
	if err != nil {
		return err
	}
	if w := entangle.Suspect(&q.Score); w != "" {
		e.logf("WARNING: %s", w)
	}
	figure := q.Figure()
	r := evaluation{Model: j.Model, Data: j.Data.Source, Part: part.Name, Runtime: info, Samples: q.Samples, Positions: q.Positions, Output: out.Name, Kind: out.Kind, Measure: figure, Classes: q.Classes,
		MAE: q.MAE, Seconds: q.Seconds, Pass: !c.IsSet("gate") || figure.Value >= gate}
	if out.Kind != measure.Values {
		r.Top1 = &q.Accuracy
	}
	if r.Top1 != nil && out.Kind != measure.Predictions {
		r.CrossEntropy = &q.Loss
	}
	if out.Kind.Distributes() {
		r.Top5 = &q.Top5
	}
	if c.IsSet("gate") {
		r.Gate = &gate
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		size, more := fmt.Sprintf("%d samples", q.Samples), ""
		if q.Positions > 0 {
			size += fmt.Sprintf(", %d positions", q.Positions)
			if r.CrossEntropy != nil && q.MeanIoU == nil {
				more = fmt.Sprintf("perplexity     %.4f\n", q.Perplexity())
			}
		}
		fmt.Fprintf(e.stdout, "%s on %s (%s), %s, %s\n", r.Model, r.Data, r.Part, size, info.Version)
		if figure.Name != "accuracy" {
			fmt.Fprintf(e.stdout, "%s  %.4f\n", figure.Name, figure.Value)
		}
		first := "top-1"
		if out.Kind == measure.Sigmoid {
			first = "elements right"
		}
		for _, x := range []struct {
			name  string
			value *float64
		}{{first, r.Top1}, {"top-5", r.Top5}, {"cross-entropy", r.CrossEntropy}, {"absolute error", r.MAE}} {
			if x.value != nil {
				fmt.Fprintf(e.stdout, "%-14s %.4f\n", x.name, *x.value)
			}
		}
		_, err = fmt.Fprintf(e.stdout, "%sseconds        %.2f\n", more, r.Seconds)
	}
	if err == nil && !r.Pass {
		err = &qualityError{figure.Name, gate, figure.Value, false}
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
