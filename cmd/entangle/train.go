package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/search/net"
)

// tuneOptions are the named options of verbs that train without a search.
var tuneOptions = []string{groupData, "output", "learn-at", "epochs", "lr", "optimizer", "weight-decay", "augment", "evaluate", "out", "run", "seed", "threads", "device", "precision", "pjrt-plugin"}

// tuneKeys are the keys that they read.
var tuneKeys = []string{"model", "teacher", "learn_at", "data", "outputs", "tune", "calibrate", "evaluate", "out", "run", "every", "record", engineKeys}

// tuneDefaults is a job that does not recalibrate unless it is asked to.
func tuneDefaults() entangle.Job {
	j := entangle.DefaultJob()
	j.Calibrate = 0
	return j
}

func (e *env) trainCommand() *cli.Command {
	return &cli.Command{
		Name:        "train",
		Usage:       "train every weight of a model on labelled data",
		UsageText:   "entangle train model.onnx --data folder:images --epochs 10 -o trained.onnx",
		ArgsUsage:   "MODEL",
		Description: "Makes base models, from untrained or trained ONNX. The loss is on labels alone. The test part is scored\nbefore and after, never read.",
		Flags:       concat(optionFlags(tuneOptions...), []cli.Flag{e.traceFlag(), forceFlag()}, jobFlags()),
		Action:      func(c *cli.Context) error { return e.tune(c, "train") },
	}
}

func (e *env) finetuneCommand() *cli.Command {
	return &cli.Command{
		Name:        "finetune",
		Usage:       "fine-tune a subnet, with distillation from the original",
		UsageText:   "entangle finetune small.onnx --teacher model.onnx --data folder:images -o tuned.onnx",
		ArgsUsage:   "MODEL",
		Description: "Without --teacher the loss is on labels alone. --calibrate recalibrates running statistics first;\nthe default is not to.",
		Flags:       concat(optionFlagsOver(tuneDefaults(), append(tuneOptions, "teacher", "distill", "calibrate")...), []cli.Flag{e.traceFlag(), forceFlag()}, jobFlags()),
		Action:      func(c *cli.Context) error { return e.tune(c, "finetune") },
	}
}

type training struct {
	Model  string        `json:"model"`
	File   string        `json:"file"`
	Data   string        `json:"data"`
	Before *net.Score    `json:"before,omitempty"`
	After  *net.Score    `json:"after,omitempty"`
	From   *net.Fidelity `json:"distance_before,omitempty"`
	To     *net.Fidelity `json:"distance_after,omitempty"`
	Part   string        `json:"part,omitempty"`
	// What the user's command printed.
	Evaluated *evaluations `json:"evaluated,omitempty"`
	Seconds   float64      `json:"seconds"`
	Peak      int64        `json:"peak_memory_bytes,omitempty"`
}

type evaluations struct {
	Name   string   `json:"name"`
	Before *float64 `json:"before"`
	After  *float64 `json:"after,omitempty"`
}

func (e *env) tune(c *cli.Context, stage string) error {
	j, err := readJobOver(c, tuneDefaults(), tuneKeys...)
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	switch {
	case stage == "train":
		j.Teacher = ""
	case j.Teacher == "" && c.IsSet("distill"):
		return usagef("finetune: --distill: want --teacher MODEL beside it, to learn from")
	}
	if err := otherFile(c, "trace", append(j.Inputs(), j.Out)); err != nil {
		return err
	}
	j.Data.Host = e.dataHost(c)
	t, err := entangle.OpenTraining(j)
	if err != nil {
		return err
	}
	be, rec, err := e.tracedBackend(c, j.Engine)
	if err != nil {
		return err
	}
	if err := t.Begin(be, e.host(), stage, c.Bool("force")); err != nil {
		return err
	}
	o, log := e.follow(c, t.Job.Folder(), nil)
	if err := o.Begun(); err != nil {
		return err
	}
	watch := entangle.NewStopwatch()
	before, err := t.Job.EvaluateFile(c.Context, "original", t.Job.Model, o)
	if err != nil {
		return errors.Join(err, log.close())
	}
	m, part, q, err := t.Train(c.Context, be, stage, o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := entangle.Export(t.Job.Out, m); err != nil {
		return err
	}
	if rec != nil && rec.Empty() {
		e.logf("%s: no step ran: no trace is written", stage)
	} else if rec != nil {
		if err := writeTrace(c.String("trace"), rec, "entangle "+stage+" "+j.Model, nil); err != nil {
			return err
		}
	}
	r := training{Model: j.Model, File: t.Job.Out, Data: j.Data.Source, Before: q.Inherited, After: q.Last(), Part: part}
	if d := q.Distance; d != nil {
		r.From, r.To = d.Inherited, d.Last()
	}
	var failed error
	if before != nil {
		o.Force = false // what is kept is of this run
		r.Evaluated = &evaluations{Name: t.Job.Evaluate.Name, Before: before}
		r.Evaluated.After, failed = t.Job.EvaluateFile(c.Context, "result", t.Job.Out, o)
	}
	r.Seconds, r.Peak = watch.Read()
	if c.Bool("json") {
		return errors.Join(e.printJSON(r), failed)
	}
	if x := r.Evaluated; x != nil {
		fmt.Fprintf(e.stdout, "%s: %s before, %s after\n", x.Name, plain(x.Before), plain(x.After))
	}
	if r.After != nil {
		size := fmt.Sprintf("%d samples", r.After.Samples)
		if r.After.Positions > 0 {
			size = fmt.Sprintf("%d positions", r.After.Positions)
		}
		if r.After.Positions > 0 && r.After.MeanIoU == nil {
			fmt.Fprintf(e.stdout, "cross-entropy on %s (%s): %.4f nats before, %.4f after; perplexity %.3f before, %.3f after\n",
				r.Part, size, r.Before.Loss, r.After.Loss, r.Before.Perplexity(), r.After.Perplexity())
		}
		before, after := r.Before.Figure(), r.After.Figure()
		fmt.Fprintf(e.stdout, "%s on %s (%s): %s before, %s after\n", after.Name, r.Part, size, before, after)
	}
	if r.To != nil {
		fmt.Fprintf(e.stdout, "distance of outputs on %s (%d samples): %s before, %s after\n", r.Part, r.To.Samples, apart(r.From), apart(r.To))
	}
	_, err = fmt.Fprintf(e.stdout, "%s  (%.0f s, peak memory %.0f MiB)\n", r.File, r.Seconds, float64(r.Peak)/(1<<20))
	return errors.Join(err, failed)
}
