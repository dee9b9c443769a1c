package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

func (e *env) trainCommand() *cli.Command {
	return &cli.Command{
		Name:        "train",
		Usage:       "train every weight of a model on labelled data",
		ArgsUsage:   "MODEL",
		Description: "Makes base models, from untrained or trained ONNX. The test part is scored once, at the end.",
		Flags:       concat(dataFlags(), trainFlags(), tuneFlags(), []cli.Flag{e.traceFlag()}),
		Action:      func(c *cli.Context) error { return e.tune(c, "train", "") },
	}
}

func (e *env) finetuneCommand() *cli.Command {
	return &cli.Command{
		Name:      "finetune",
		Usage:     "fine-tune a subnet, with distillation from the original",
		ArgsUsage: "MODEL",
		Description: "Without --teacher the loss is on labels alone, whatever --distill says. --calibrate recalibrates\n" +
			"running statistics first.",
		Flags: concat(dataFlags(), trainFlags(), tuneFlags(), []cli.Flag{
			e.traceFlag(),
			&cli.StringFlag{Name: "teacher", Usage: "the original model", TakesFile: true},
			&cli.IntFlag{Name: "calibrate", Usage: "batches that recalibrate running statistics before tuning"},
		}),
		Action: func(c *cli.Context) error { return e.tune(c, "finetune", c.String("teacher")) },
	}
}

func tuneFlags() []cli.Flag {
	return concat(deviceFlags(), []cli.Flag{
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "model to write", TakesFile: true},
		&cli.StringFlag{Name: "run", Usage: "run folder", DefaultText: "OUT with .run for its extension", TakesFile: true},
		&cli.IntFlag{Name: "every", Usage: "steps between checkpoints; 0: one per epoch"},
		seedFlag(), threadsFlag(), jobFlag(), jsonFlag(),
	})
}

type training struct {
	Model   string        `json:"model"`
	File    string        `json:"file"`
	Data    string        `json:"data"`
	Before  *net.Score    `json:"before,omitempty"`
	After   *net.Score    `json:"after,omitempty"`
	From    *net.Fidelity `json:"distance_before,omitempty"`
	To      *net.Fidelity `json:"distance_after,omitempty"`
	Part    string        `json:"part,omitempty"`
	Seconds float64       `json:"seconds"`
	Peak    int64         `json:"peak_memory_bytes,omitempty"`
}

func (e *env) tune(c *cli.Context, stage, teacher string) error {
	j, err := applyJob(c)
	if err != nil {
		return err
	}
	path, err := oneModel(c, j)
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "" {
		out = j.out
	}
	if err := checkOut(out); err != nil {
		return err
	}
	w, err := weightSettings(c)
	if err != nil {
		return err
	}
	if teacher == "" {
		w.Objective.Labels, w.Objective.Distill = 1, 0
	}
	sp, err := splits(c)
	if err != nil {
		return err
	}
	set, err := openSet(c)
	if err != nil {
		return err
	}
	views, err := sp.View(set, c.Uint64("seed"))
	if err != nil {
		return err
	}
	m, err := loadModel(path)
	if err != nil {
		return err
	}
	be, rec, err := e.tracedBackend(c)
	if err != nil {
		return err
	}
	n, err := net.NewNetworkOn(m.normal, c.Int("batch"), set, nil)
	if err != nil {
		return err
	}
	if n.Memory, err = stepMemory(c); err != nil {
		return err
	}
	if n.DataLimit, err = deviceData(c, be); err != nil {
		return err
	}
	var teach *net.Network
	if teacher != "" {
		t, err := loadModel(teacher)
		if err != nil {
			return err
		}
		if teach, err = net.NewNetworkOn(t.normal, c.Int("batch"), set, nil); err != nil {
			return fmt.Errorf("teacher: %s: %w", teacher, err)
		}
	}
	dir, err := runFolder(c, out)
	if err != nil {
		return err
	}
	log, err := e.openRunLog(dir)
	if err != nil {
		return err
	}
	watch := newStopwatch()
	part := views.Test
	if part.Len() == 0 {
		part = views.Val
	}
	t, result, err := entangle.Tune(c.Context, be, n, teach, views, part, w, c.Int("calibrate"), c.Uint64("seed"),
		train.Hooks{Observe: log.observe, Stage: stage, Every: c.Int("every"), Checkpoint: filepath.Join(dir, stage+".checkpoint")})
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := exporter.Write(out, result, exporter.Options{}); err != nil {
		return err
	}
	if rec != nil && rec.Empty() {
		e.logf("%s: no step ran: no trace is written", stage)
	} else if rec != nil {
		if err := writeTrace(c.String("trace"), rec, "entangle "+stage+" "+path, nil); err != nil {
			return err
		}
	}
	r := training{Model: path, File: out, Data: c.String("data"), Before: t.Before, After: t.After, From: t.From, To: t.To, Part: nameOf(part)}
	r.Seconds, r.Peak = watch.read()
	if c.Bool("json") {
		return e.printJSON(r)
	}
	if r.After != nil {
		size := fmt.Sprintf("%d samples", r.After.Samples)
		if r.After.Positions > 0 {
			size = fmt.Sprintf("%d positions", r.After.Positions)
			fmt.Fprintf(e.stdout, "cross-entropy on %s (%s): %.4f nats before, %.4f after; perplexity %.3f before, %.3f after\n",
				r.Part, size, r.Before.Loss, r.After.Loss, r.Before.Perplexity(), r.After.Perplexity())
		}
		fmt.Fprintf(e.stdout, "accuracy on %s (%s): %.2f %% before, %.2f %% after\n", r.Part, size, 100*r.Before.Accuracy, 100*r.After.Accuracy)
	}
	if r.To != nil {
		fmt.Fprintf(e.stdout, "distance of outputs on %s (%d samples): %s before, %s after\n", r.Part, r.To.Samples, apart(r.From), apart(r.To))
	}
	_, err = fmt.Fprintf(e.stdout, "%s  (%.0f s, peak memory %.0f MiB)\n", out, r.Seconds, float64(r.Peak)/(1<<20))
	return err
}

func nameOf(v data.View) string {
	if v.Len() == 0 {
		return ""
	}
	return v.Part().Name
}
