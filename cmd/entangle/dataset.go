package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
)

func partFlag() cli.Flag {
	return &cli.StringFlag{Name: "part", Usage: "part to measure on: test, val or train", Category: groupData, Value: "test"}
}

// openPart opens the job's data for a model and returns the part that --part names.
func openPart(c *cli.Context, m *entangle.Model, j entangle.Job) (*data.Part, error) {
	set, err := entangle.OpenData(m, j.Data)
	if err != nil {
		return nil, err
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
