package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

func (e *env) searchCommand() *cli.Command {
	return &cli.Command{
		Name:      "search",
		Usage:     "search a model's space and write the recipe of the subnet that meets the target",
		ArgsUsage: "MODEL",
		Description: "The recipe is applied with extract. --weights writes the model with the weights that the search trained,\n" +
			"so that the subnet can inherit them.",
		Flags: concat(dataFlags(), searchFlags(), trainFlags(), deviceFlags(), []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "recipe.json to write", TakesFile: true},
			&cli.StringFlag{Name: "weights", Usage: "also write the subnet, with the search's weights, as ONNX", TakesFile: true},
			&cli.StringFlag{Name: "run", Usage: "run folder", DefaultText: "OUT with .run for its extension", TakesFile: true},
			&cli.IntFlag{Name: "every", Usage: "steps between checkpoints; 0: one per epoch"},
			seedFlag(), threadsFlag(), jobFlag(), jsonFlag(),
		}),
		Action: e.search,
	}
}

func (e *env) search(c *cli.Context) error {
	original, p, err := e.planned(c, false)
	if err != nil {
		return err
	}
	out := c.String("out")
	if err := checkOut(out); err != nil {
		return err
	}
	if w := c.String("weights"); w != "" {
		if err := checkOut(w); err != nil {
			return err
		}
	}
	be, log, err := e.begin(c, p, out)
	if err != nil {
		return err
	}
	r, m, err := p.Search(c.Context, be)
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
	if err := atomicfile.WriteBytes(out, text); err != nil {
		return err
	}
	page := report.Summary{Title: filepath.Base(out), Widths: sizes(r), Facts: facts(original.path, c.String("data"), p.Budget, r.Seed), Compare: compareCosts(r.From, r.Cost)}
	if err := writePage(p.Job.Dir, page); err != nil {
		return err
	}
	if w := c.String("weights"); w != "" {
		if err := describe(m, r); err != nil {
			return err
		}
		if err := exporter.Write(w, m, exporter.Options{}); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return e.printJSON(r)
	}
	t := &table{}
	t.add("dimension", ">choice", ">of")
	for _, d := range r.Dims {
		t.add(d.Name, fmt.Sprint(d.Choice), fmt.Sprint(d.Choices[len(d.Choices)-1]))
	}
	if err := t.print(e.stdout); err != nil {
		return err
	}
	macs := space.MACs
	_, err = fmt.Fprintf(e.stdout, "\n%s  MACs %s of %s, parameters %s of %s; log in %s\n", out, count(r.Cost[macs]), count(r.From[macs]),
		count(r.Cost[space.Params]), count(r.From[space.Params]), filepath.Join(p.Job.Dir, "log.jsonl"))
	return err
}

// describe puts the recipe and its costs into the model's metadata.
func describe(m *ir.Model, r *subnet.Recipe) error {
	text, err := r.Compact()
	if err != nil {
		return err
	}
	set := func(key, value string) {
		for i := range m.Meta {
			if m.Meta[i].Key == key {
				m.Meta[i].Value = value
				return
			}
		}
		m.Meta = append(m.Meta, ir.Prop{Key: key, Value: value})
	}
	set("entangle.version", version())
	set("entangle.source", r.Source)
	set("entangle.recipe", text)
	set("entangle.seed", fmt.Sprint(r.Seed))
	for _, k := range sortedKeys(r.Cost) {
		set("entangle.cost."+k, fmt.Sprintf("%.0f", r.Cost[k]))
		set("entangle.source_cost."+k, fmt.Sprintf("%.0f", r.From[k]))
	}
	return nil
}
