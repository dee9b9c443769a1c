package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/space"
)

func (e *env) spaceCommand() *cli.Command {
	return &cli.Command{
		Name:      "space",
		Usage:     "write the search space of a model as YAML, to read and edit",
		ArgsUsage: "MODEL",
		Description: "Each dimension names what may change and its choices; the last choice is the original. Units are ranked\n" +
			"by the magnitude of their weights. Give the edited file to search or compress with --space.",
		Flags: append(optionFlags("learn-at", "elastic", "keep", "operations", "kinds", "divisor"),
			setFlag(), forceFlag(),
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "file to write; without it, the YAML goes to stdout", TakesFile: true},
			dimFlag(), jsonFlag()),
		Action: e.space,
	}
}

type spaceReport struct {
	File    string         `json:"file,omitempty"`
	Subnets float64        `json:"subnets"`
	Dims    map[string]int `json:"dimensions"` // by kind
	Cost    []spaceCost    `json:"cost"`
	LearnAt string         `json:"learns_at,omitempty"` // where it is not at the outputs
	Sizes   map[string]int `json:"sizes,omitempty"`     // taken for dimensions that neither the model nor --dim gives
}

type spaceCost struct {
	Metric   string  `json:"metric"`
	Largest  float64 `json:"largest"`
	Smallest float64 `json:"smallest"`
}

func (e *env) space(c *cli.Context) error {
	j, err := checkedJob(c, "space", "learn_at")
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	dims, err := bindings(c, "dim")
	if err != nil {
		return err
	}
	m, err := entangle.Import(j.Model)
	if err != nil {
		return err
	}
	if err := e.checkDims(dims, m); err != nil {
		return err
	}
	if len(j.LearnAt) == 0 {
		m = m.Learned()
	} else if m, err = m.Split(j.LearnAt...); err != nil {
		return err
	}
	if err := m.CheckTrainable(); err != nil {
		return err
	}
	if err := j.Check(m, nil); err != nil {
		return err
	}
	if at := m.LearnsAt(); at != "" {
		e.logf("note: %s", at)
	}
	sizes := e.defaultSizes(m, dims)
	an, err := m.Analyse(dims, j.Space.Kinds...)
	if err != nil {
		return err
	}
	if err := entangle.CheckFinite(an); err != nil {
		return err
	}
	s, err := space.New(an, j.Space.Options)
	if err != nil {
		return &entangle.ModelError{Err: err}
	}
	scores, err := space.Magnitude(an, s)
	if err != nil {
		return err
	}
	s.SetOrder(scores)
	text, err := s.Marshal()
	if err != nil {
		return err
	}
	net, err := space.Entangle(an, s, space.Every)
	if err != nil {
		return err
	}
	r := spaceReport{File: c.String("out"), Subnets: s.Size(), Dims: map[string]int{}, LearnAt: m.LearnsAt(), Sizes: sizes}
	for _, d := range s.Dims {
		r.Dims[d.Kind]++
	}
	costs, err := net.Costs()
	if err != nil {
		return err
	}
	for _, metric := range net.Metrics {
		cm := costs[metric.Name]
		r.Cost = append(r.Cost, spaceCost{metric.Name, cm.Whole, decide.Smallest(cm, s)})
	}
	if r.File != "" {
		if err := entangle.CheckOut(r.File, m.Path); err != nil {
			return usagef("--out: %v", err)
		}
		if err := entangle.Writable(r.File, c.Bool("force")); err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(r.File, text); err != nil {
			return err
		}
	}
	switch {
	case c.Bool("json"):
		return e.printJSON(r)
	case r.File == "":
		_, err := e.stdout.Write(text)
		return err
	}
	var kinds []string
	for _, k := range sortedKeys(r.Dims) {
		kinds = append(kinds, fmt.Sprintf("%d %s", r.Dims[k], k))
	}
	fmt.Fprintf(e.stdout, "%s  %s; %.3g subnets\n\n", r.File, strings.Join(kinds, ", "), r.Subnets)
	t := columns("cost", ">largest", ">smallest", ">ratio")
	for _, x := range r.Cost {
		t.Add(x.Metric, count(x.Largest), count(x.Smallest), fmt.Sprintf("%.3f", x.Smallest/x.Largest))
	}
	return t.Text(e.stdout)
}
