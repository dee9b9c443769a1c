package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/report"
)

func (e *env) familyCommand() *cli.Command {
	return &cli.Command{
		Name:      "family",
		Usage:     "make another size from the search that a family's run folder keeps",
		UsageText: "entangle family sizes.run --target macs=0.4",
		ArgsUsage: "RUN",
		Description: "RUN is the run folder of compress with several sizes (--target macs=0.75,0.5,0.25) or a loss (drop=1.0). What the new size leaves out is\n" +
			"measured from the nearest larger member on, without training; then it is recalibrated, tuned and verified.\n" +
			"Settings are those of RUN/job.yaml, unless an option says otherwise.",
		Flags: concat(optionFlags("target", "epochs", "lr", "calibrate", "threads", "device", "precision", "pjrt-plugin", "ort-lib", "max-drop", "no-verify"), []cli.Flag{
			&cli.GenericFlag{Name: "out", Aliases: []string{"o"}, Usage: "file to write; else beside the family's others", TakesFile: true, Category: groupJob, Value: &once{}},
			forceFlag(), setFlag(), jsonFlag(),
		}),
		Action: e.family,
	}
}

func (e *env) family(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("family: want one RUN folder, got %d arguments", c.NArg())
	}
	if !c.IsSet("target") {
		return usagef("family: want --target METRIC=LIMIT, got none")
	}
	run := c.Args().First()
	path := filepath.Join(run, "job.yaml")
	if _, err := os.Stat(path); err != nil {
		return usagef("family: want the run folder of a family: %v", err)
	}
	base := entangle.DefaultJob()
	if err := base.Read(path); err != nil {
		return err
	}
	j, err := readJobOver(c, base)
	if err != nil {
		return err
	}
	size := j.Target
	j.Target, j.Run = base.Target, run
	if _, drops := j.Target.Drop(); !j.Family() && !drops {
		return usagef("family: want the run folder of a family, %s is of a single subnet", run)
	}
	j.Data.Host = e.dataHost(c)
	p, err := entangle.Open(j)
	if err != nil {
		return err
	}
	o, log := e.follow(c, p.SizeFolder(size), p)
	m, err := p.AddSize(c.Context, size, c.String("out"), o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if m == nil {
		return err
	}
	return e.tell(c, p.SizeFolder(size), &m.Outcome, err)
}

// compressFamily makes the members of a family, or the one that the job names.
func (e *env) compressFamily(c *cli.Context, p *entangle.Plan) error {
	dir := p.Job.Folder()
	if p.Job.Member > 0 {
		dir = p.SizeFolder(nil)
	}
	o, log := e.follow(c, dir, p)
	f, err := p.Family(c.Context, o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	switch {
	case f == nil:
		return err
	case p.Job.Member > 0:
		return e.tell(c, dir, &f.Members[0].Outcome, err)
	}
	return e.tellFamily(c, dir, f, err)
}

// compressWithin looks for the smallest model within a drop.
func (e *env) compressWithin(c *cli.Context, p *entangle.Plan) error {
	o, log := e.follow(c, p.Job.Folder(), p)
	f, err := p.Smallest(c.Context, o)
	if cerr := log.close(); err == nil {
		err = cerr
	}
	if f == nil {
		return err
	}
	return e.tellFamily(c, p.Job.Folder(), f, err)
}

// tellFamily writes the page of a family and prints it. Err is what was found on it.
func (e *env) tellFamily(c *cli.Context, dir string, f *entangle.Family, err error) error {
	if perr := writePage(dir, familySummary(f)); perr != nil {
		return errors.Join(perr, err)
	}
	if c.Bool("json") {
		return errors.Join(e.printJSON(f), err)
	}
	return errors.Join(e.printFamily(f), err)
}

// tell writes the page of an outcome and prints it. Err is what was found on it.
func (e *env) tell(c *cli.Context, dir string, r *entangle.Outcome, err error) error {
	if perr := writePage(dir, summary(r)); perr != nil {
		return errors.Join(perr, err)
	}
	if c.Bool("json") {
		return errors.Join(e.printJSON(r), err)
	}
	return errors.Join(e.printOutcome(r), err)
}

func (e *env) printFamily(f *entangle.Family) error {
	t := members(f)
	t.Title = ""
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	if f.Within != nil {
		t := tried(f)
		t.Title = ""
		if err := t.Text(e.stdout); err != nil {
			return err
		}
		fmt.Fprintln(e.stdout)
	}
	for _, n := range familyNotes(f) {
		fmt.Fprintln(e.stdout, n)
	}
	made := f.Folder
	if w := f.Within; w != nil {
		made = answer(f)
	}
	_, err := fmt.Fprintf(e.stdout, "\n%s  (search %.0f s, whole run %.0f s, peak memory %.0f MiB)\n", made, f.SearchTime, f.Seconds, float64(f.PeakBytes)/(1<<20))
	return err
}

// answer is the file of the smallest model within the drop, or the run folder where there is none.
func answer(f *entangle.Family) string {
	if f.File == "" {
		return f.Folder
	}
	return f.File
}

// tried lists the sizes among which the smallest within a drop was looked for, the largest first.
func tried(f *entangle.Family) *report.Table {
	w := f.Within
	t := columns("size", ">"+f.Metric+", share", ">"+w.Figure, ">lost", ">lost on test", "")
	t.Title = fmt.Sprintf("Sizes tried for a loss of at most %g points", w.Drop)
	text := entangle.Figure{Unit: w.Unit}.Text
	t.Add("original", "1.000", text(w.Before), "", "", "")
	list := slices.Clone(w.Tried)
	slices.SortStableFunc(list, func(a, b entangle.Tried) int { return cmp.Compare(b.Limit, a.Limit) })
	for _, x := range list {
		verdict := "beyond"
		if x.Holds {
			verdict = "within"
		}
		switch {
		case x.Name == w.Answer:
			verdict += ": the answer"
		case x.Name == w.Next:
			verdict += ": the next smaller one"
		}
		if x.As != "" {
			verdict += " (the subnet of " + x.As + ")"
		}
		test := "-"
		if x.Test != nil {
			test = fmt.Sprintf("%.4g", *x.Test)
		}
		t.Add(x.Name, fmt.Sprintf("%.3f", x.Share), text(x.Quality), fmt.Sprintf("%.4g", x.Lost), test, verdict)
	}
	return t
}

// members sets the original and the members beside each other, the largest first.
func members(f *entangle.Family) *report.Table {
	on, original, _ := part(&f.Members[0].Outcome)
	t := costTable("member", f.Cost)
	t.Title = "Members, quality on " + on
	for _, name := range append([]string{f.Metric + ", share"}, entangle.Stages...) {
		t.Columns = append(t.Columns, report.Column{Name: name, Right: true})
	}
	own := f.Members[0].Evaluate
	if own != nil {
		t.Columns = append(t.Columns, report.Column{Name: own.Name + ", cut", Right: true}, report.Column{Name: "fine-tuned", Right: true})
	}
	for _, x := range f.Front {
		cells := []string{fmt.Sprintf("%.3f", x.Share)}
		at := slices.IndexFunc(f.Members, func(m *entangle.Member) bool { return m.Name == x.Name })
		if at < 0 {
			cells = append(cells, percent(original), "-", "-", "-")
			if own != nil {
				cells = append(cells, plain(f.Original.Evaluated), "-")
			}
		} else {
			m := f.Members[at]
			_, _, of := part(&m.Outcome)
			q := of(m.Candidates[0])
			for i, s := range q.Scores() {
				if d := q.Distance; d != nil && original == nil {
					cells = append(cells, apart(d.Stages()[i]))
				} else {
					cells = append(cells, percent(s))
				}
			}
			if v := m.Candidates[0].Evaluated; v != nil {
				cells = append(cells, plain(v.Cut), plain(v.Tuned))
			}
		}
		addCost(t, x.Name, x.Cost, cells...)
	}
	return t
}

// familyNotes are the notes of the family and of its members.
func familyNotes(f *entangle.Family) (out []string) {
	if f.Within != nil {
		out = append(out, f.Within.Text(f.Metric))
	}
	for _, w := range f.Warnings {
		out = append(out, "WARNING: "+w)
	}
	for _, m := range f.Members {
		if f.Within != nil && m != answered(f) {
			continue // what was tried beside the answer has its own report
		}
		r := m.Outcome
		r.Warnings = nil
		for _, n := range notes(&r) {
			out = append(out, m.Name+": "+n)
		}
	}
	return out
}

// familySummary is what report.html says of a family beside the curves.
func familySummary(f *entangle.Family) report.Summary {
	s := report.Summary{Title: filepath.Base(f.Folder), Notes: familyNotes(f), Tables: []report.Table{*members(f)}}
	if f.Within != nil {
		s.Title = filepath.Base(answer(f))
		s.Tables = slices.Insert(s.Tables, 0, *tried(f))
		if m := answered(f); m != nil {
			s.Compare = comparison(&m.Outcome)
		}
	}
	s.Facts = []report.Fact{{Name: "model", Value: f.Model}, {Name: "data", Value: f.Data}}
	if f.Teacher != "" {
		s.Facts = append(s.Facts, report.Fact{Name: "teacher", Value: f.Teacher})
	}
	if w := f.Within; w != nil {
		s.Facts = append(s.Facts, report.Fact{Name: "target", Value: fmt.Sprintf("least %s that loses at most %g points of %s", f.Metric, w.Drop, w.Figure)})
	} else {
		for _, m := range f.Members {
			s.Facts = append(s.Facts, report.Fact{Name: m.Name, Value: limits(m.Budget)})
		}
	}
	s.Facts = append(s.Facts, report.Fact{Name: "seed", Value: fmt.Sprint(f.Seed)},
		report.Fact{Name: "time", Value: fmt.Sprintf("search %.0f s, whole run %.0f s, steps waiting for data %.1f s, peak memory %.0f MiB", f.SearchTime, f.Seconds, f.DataWait, float64(f.PeakBytes)/(1<<20))})
	for _, x := range []*report.Plot{front(f), untuned(f)} {
		if x != nil {
			s.Front = append(s.Front, *x)
		}
	}
	sizesOf := columns("node", "dimension", ">before")
	sizesOf.Title = "Sizes by node"
	for i, m := range f.Members {
		sizesOf.Columns = append(sizesOf.Columns, report.Column{Name: m.Name, Right: true})
		for k, w := range sizes(m.Candidates[0].Recipe) {
			if i == 0 {
				sizesOf.Add(w.Node, w.Dimension, w.Before)
			}
			sizesOf.Rows[k] = append(sizesOf.Rows[k], w.Size())
		}
	}
	s.Tables = append(s.Tables, *sizesOf)
	for _, m := range f.Members {
		if t := nodeTimes(m.Nodes); t != nil && (f.Within == nil || m == answered(f)) {
			t.Title = m.Name + ": " + t.Title
			s.Tables = append(s.Tables, *t)
		}
	}
	return s
}

// answered is the smallest member within the drop; nil where there is none.
func answered(f *entangle.Family) *entangle.Member {
	name := f.Within.Subnet(f.Within.Answer)
	for _, m := range f.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// untuned is the picture of what choosing measured; nil where that is nothing.
func untuned(f *entangle.Family) *report.Plot {
	p := &report.Plot{Title: "subnets that choosing measured, untuned: loss over " + f.Metric + ", share of the original"}
	for _, m := range f.Measured {
		n := len(p.Series) - 1
		if n < 0 || p.Series[n].Name != "for "+m.For {
			p.Series = append(p.Series, report.Series{Name: "for " + m.For, Family: m.For, Dots: true})
			n++
		}
		s := &p.Series[n]
		s.X, s.Y = append(s.X, m.Share), append(s.Y, m.Loss)
	}
	if p.Series == nil {
		return nil
	}
	return p
}

// bisected is the picture of the sizes that were tried for a drop, and of what it allows.
func bisected(f *entangle.Family) *report.Plot {
	w := f.Within
	name := w.Figure
	if w.Unit != "" {
		name += ", " + w.Unit
	}
	x := report.Series{Name: name, Family: "front", Scored: true, X: []float64{1}, Y: []float64{w.Before}, Labels: []string{"original"}}
	list := slices.Clone(w.Tried)
	slices.SortStableFunc(list, func(a, b entangle.Tried) int { return cmp.Compare(b.Share, a.Share) })
	for _, t := range list {
		if t.As == "" {
			x.X, x.Y, x.Labels = append(x.X, t.Share), append(x.Y, t.Quality), append(x.Labels, t.Name)
		}
	}
	least := w.Before - w.Drop
	if w.Lower {
		least = w.Before + w.Drop
	}
	bound := report.Series{Name: fmt.Sprintf("%g points lost", w.Drop), Family: "bound", X: []float64{x.X[len(x.X)-1], 1}, Y: []float64{least, least}}
	return &report.Plot{Title: "sizes, tuned: quality over " + f.Metric + ", share of the original", Series: []report.Series{x, bound}}
}

// front is the picture of cost and quality; nil where no quality is known.
func front(f *entangle.Family) *report.Plot {
	if f.Within != nil {
		return bisected(f)
	}
	x := report.Series{Family: "front", Scored: true}
	for _, p := range f.Front {
		if p.Quality == nil {
			continue
		}
		x.Name = p.Figure
		if p.Unit != "" {
			x.Name += ", " + p.Unit
		}
		x.X, x.Y, x.Labels = append(x.X, p.Share), append(x.Y, *p.Quality), append(x.Labels, p.Name)
	}
	if len(x.X) == 0 {
		return nil
	}
	return &report.Plot{Title: "sizes, tuned: quality over " + f.Metric + ", share of the original", Series: []report.Series{x}}
}
