package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/report"
)

// patience is how long reading data may take before its progress shows.
const patience = 2 * time.Second

// dataHost ends the reading of data with the command, and shows the progress of what takes long.
func (e *env) dataHost(c *cli.Context) *data.Host {
	var bar *report.Progress
	start := time.Now()
	return &data.Host{Context: c.Context, Progress: func(what string, done, total int) {
		if e.verbosity < 0 || bar == nil && time.Since(start) < patience {
			return
		}
		if bar == nil {
			bar = report.NewProgress(e.stderr, report.ProgressOptions{Label: what, Total: total, Done: done, Interactive: e.interactive(), Every: max(total/20, 1000)})
		}
		if bar.Update(done, ""); done == total {
			bar.Finish()
			bar, start = nil, time.Now()
		}
	}}
}

func partFlag() cli.Flag {
	return &cli.StringFlag{Name: "part", Usage: "part to measure on: test, val or train", Category: groupData, Value: "test"}
}

// openPart opens the job's data for a model and returns the part that --part names.
// It says how the data was understood.
func (e *env) openPart(c *cli.Context, m *entangle.Model, j entangle.Job) (*data.Part, error) {
	j.Data.Host = e.dataHost(c)
	set, err := entangle.OpenData(m, j.Data)
	if err != nil {
		return nil, err
	}
	for _, n := range set.Notes {
		e.logf("note: %s", n)
	}
	want := c.String("part")
	if p := set.Part(want); p != nil {
		return p, nil
	}
	var have []string
	for _, p := range set.Parts {
		have = append(have, p.Name)
	}
	return nil, usagef("--part: want one of %s, got %q", strings.Join(have, ", "), want)
}
