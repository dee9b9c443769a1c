package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
)

func (e *env) sensitivityCommand() *cli.Command {
	return &cli.Command{
		Name:      "sensitivity",
		Usage:     "list what each cut of a model alone would save and lose",
		UsageText: "entangle sensitivity model.onnx --data folder:images",
		ArgsUsage: "MODEL",
		Description: "Every choice of every dimension is taken alone, the rest whole, and measured on samples without training:\n" +
			"as it is cut, and with the layers that read what goes fitted to it by least squares.",
		Flags: concat(optionFlags(groupData, "learn-at", "space", "elastic", "keep", "operations", "kinds", "divisor", "distill", "output", "teacher",
			"seed", "threads", "device", "precision", "pjrt-plugin"), jobFlags()),
		Action: e.sensitivity,
	}
}

func (e *env) sensitivity(c *cli.Context) error {
	j, err := readJob(c)
	if err != nil {
		return err
	}
	if err := oneModel(c, j); err != nil {
		return err
	}
	j.Data.Host = e.dataHost(c)
	j.Target = entangle.DefaultJob().Target
	p, err := entangle.Open(j)
	var unmet *decide.TargetError
	if err != nil && (p == nil || !errors.As(err, &unmet)) {
		return err
	}
	be, err := e.host().Backend(c.Context, p.Job.Engine)
	if err != nil {
		return err
	}
	log := e.newRunLog()
	log.name(p.Space)
	s, err := p.Sensitivity(c.Context, be, entangle.Options{Host: e.host(), Observe: log.observe})
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.printJSON(s)
	}
	if err := sensitivityTable(s).Text(e.stdout); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "\nlosses are over %d samples\n", s.Samples)
	return err
}

func sensitivityTable(s *entangle.Sensitivity) *report.Table {
	t := &report.Table{Columns: []report.Column{{Name: "dimension"}, {Name: "choice", Right: true}, {Name: "of", Right: true}}}
	head := func(names ...string) {
		for _, name := range names {
			t.Columns = append(t.Columns, report.Column{Name: name, Right: true})
		}
	}
	head("MACs saved", "parameters saved", "loss", "loss, fitted")
	if s.Whole.Right != nil {
		head("right", "right, fitted")
	}
	measured := func(cut net.Trial, fitted *net.Trial) []any {
		losses, right := []any{fmt.Sprintf("%.4f", cut.Loss), "-"}, []any{"", "-"}
		if fitted != nil {
			losses[1] = fmt.Sprintf("%.4f", fitted.Loss)
		}
		if s.Whole.Right == nil {
			return losses
		}
		right[0] = share(*cut.Right)
		if fitted != nil {
			right[1] = share(*fitted.Right)
		}
		return append(losses, right...)
	}
	t.Add(append([]any{"(original)", "", "", "", ""}, measured(s.Whole, nil)...)...)
	for _, x := range s.Rows {
		var choice any = x.Choice
		if x.Candidate != "" {
			choice = x.Candidate
		}
		t.Add(append([]any{x.Dimension, choice, x.Of, share(x.Saved["macs"]), share(x.Saved["params"])}, measured(x.Cut, x.Fitted)...)...)
	}
	return t
}

func share(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
