package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/report"
)

func (e *env) searchCommand() *cli.Command {
	return &cli.Command{
		Name:      "search",
		Usage:     "search a model's space and write the recipe of the subnet that meets the target",
		UsageText: "entangle search model.onnx --data folder:images --target macs=0.5 -o recipe.json",
		ArgsUsage: "MODEL",
		Description: "The recipe is applied with extract. --weights writes the model with the weights that the search trained,\n" +
			"so that the subnet can inherit them.",
		Flags: concat(optionFlags(groupData, groupTarget, groupSearch, "optimizer", "weight-decay", "augment", "distill", "teacher",
			"out", "run", "seed", "threads", "device", "precision", "pjrt-plugin"), []cli.Flag{
			&cli.StringFlag{Name: "weights", Usage: "also write the subnet, with the search's weights, as ONNX", Category: groupRun, TakesFile: true},
			forceFlag(),
		}, jobFlags()),
		Action: e.search,
	}
}

func (e *env) search(c *cli.Context) error {
	p, err := e.planned(c)
	if err != nil {
		return err
	}
	if _, drops := p.Job.Target.Drop(); drops || p.Job.Family() {
		return usagef("search: want one value of each metric in --target: several sizes are for compress")
	}
	if err := otherFile(c, "weights", append(p.Job.Inputs(), p.Job.Out)); err != nil {
		return err
	}
	be, err := e.host().Backend(c.Context, p.Job.Engine)
	if err != nil {
		return err
	}
	if err := p.Begin(be, e.host(), "search", c.Bool("force")); err != nil {
		return err
	}
	o, log := e.follow(c, p.Job.Folder(), p)
	if err := o.Begun(); err != nil {
		return err
	}
	r, m, err := p.Search(c.Context, be, o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	text, err := r.Marshal()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(p.Job.Out, text); err != nil {
		return err
	}
	page := report.Summary{Title: filepath.Base(p.Job.Out), Widths: sizes(r), Facts: facts(p.Job.Model, p.Job.Data.Source, p.Budget, r.Seed), Compare: compareCosts(r.From, r.Cost)}
	if err := writePage(p.Job.Folder(), page); err != nil {
		return err
	}
	if w := c.String("weights"); w != "" {
		if err := entangle.Export(w, m); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return e.printJSON(r)
	}
	t := &report.Table{Columns: []report.Column{{Name: "dimension"}, {Name: "choice", Right: true}, {Name: "of", Right: true}}}
	for _, d := range r.Dims {
		if d.Candidates != nil {
			t.Add(d.Name, d.Kept(), len(d.Candidates))
			continue
		}
		t.Add(d.Name, d.Choice, d.Choices[len(d.Choices)-1])
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "\n%s  ", p.Job.Out)
	for _, x := range compareCosts(r.From, r.Cost) {
		fmt.Fprintf(e.stdout, "%s %s of %s, ", x.Name, x.After, x.Before)
	}
	_, err = fmt.Fprintf(e.stdout, "log in %s\n", filepath.Join(p.Job.Folder(), "log.jsonl"))
	return err
}
