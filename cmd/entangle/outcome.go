package main

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
)

// printOutcome prints what a compression gave.
func (e *env) printOutcome(r *entangle.Outcome) error {
	t := &report.Table{Columns: []report.Column{{Name: ""}, {Name: "before", Right: true}, {Name: "after", Right: true}, {Name: "ratio", Right: true}}}
	for _, x := range comparison(r) {
		t.Add(x.Name, x.Before, x.After, x.Change)
	}
	if err := t.Text(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	for _, n := range notes(r) {
		fmt.Fprintln(e.stdout, n)
	}
	if len(r.Candidates) > 1 {
		fmt.Fprintln(e.stdout)
		b := baselines(r)
		b.Title = ""
		if err := b.Text(e.stdout); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.stdout, "\n%s  (search %.0f s, whole run %.0f s, peak memory %.0f MiB)\n", r.File, r.SearchTime, r.Seconds, float64(r.PeakBytes)/(1<<20))
	return err
}

// part returns the split that quality is told on, with the original's score there.
func part(r *entangle.Outcome) (name string, original *net.Score, of func(entangle.Candidate) entangle.Quality) {
	if q := r.Candidates[0].Test; r.Original.Test != nil || q.Distance != nil {
		return "test", r.Original.Test, func(c entangle.Candidate) entangle.Quality { return c.Test }
	}
	return "validation", r.Original.Val, func(c entangle.Candidate) entangle.Quality { return c.Val }
}

func comparison(r *entangle.Outcome) []report.Comparison {
	var out []report.Comparison
	add := func(name, before, after, change string) {
		out = append(out, report.Comparison{Name: name, Before: before, After: after, Change: change})
	}
	best := r.Candidates[0]
	on, orig, of := part(r)
	q := of(best)
	if was := r.Original.Evaluated; was != nil {
		row := func(name, before string, after *float64) {
			add(name, before, plain(after), change(was, after))
		}
		row(r.Evaluate.Name, plain(was), best.Evaluated.Last())
		if best.Evaluated.Tuned != nil {
			row("  cut", "", best.Evaluated.Cut)
			row("  fine-tuned", "", best.Evaluated.Tuned)
		}
	}
	if orig != nil {
		add(orig.Figure().Name+", "+on, percent(orig), percent(q.Last()), diff(orig, q.Last()))
		for i, s := range q.Scores() {
			if s != nil {
				add("  "+entangle.Stages[i], "", percent(s), diff(orig, s))
			}
		}
		if after := q.Last(); orig.Positions > 0 && orig.MeanIoU == nil && after != nil {
			add("nats per token", fmt.Sprintf("%.4f", orig.Loss), fmt.Sprintf("%.4f", after.Loss), fmt.Sprintf("%+.4f", after.Loss-orig.Loss))
			add("perplexity", fmt.Sprintf("%.3f", orig.Perplexity()), fmt.Sprintf("%.3f", after.Perplexity()), fmt.Sprintf("%+.3f", after.Perplexity()-orig.Perplexity()))
		}
	}
	if d := q.Distance; d != nil {
		add("distance of outputs, "+on, "", apart(d.Last()), "")
		for i, f := range d.Stages() {
			if f != nil {
				add("  "+entangle.Stages[i], "", apart(f), "")
			}
		}
		if last := d.Last(); len(last.Outputs) > 1 {
			for _, o := range last.Outputs {
				add(fmt.Sprintf("  %s (%s)", o.Name, o.Kind), "", figure(o), "")
			}
		}
	}
	out = append(out, compareCosts(r.Cost, best.Cost)...)
	add("file bytes", fmt.Sprint(r.Files[0].Bytes), fmt.Sprint(r.Files[1].Bytes), fmt.Sprintf("%.3f", float64(r.Files[1].Bytes)/float64(r.Files[0].Bytes)))
	if l := r.Latency; l != nil {
		add("latency, batch 1", fmt.Sprintf("%.3f ms", l.Reference.Median), fmt.Sprintf("%.3f ms", l.Candidate.Median), fmt.Sprintf("%.3f", l.Candidate.Median/l.Reference.Median))
	}
	return out
}

// notes says what is likely to be wrong, whether the gate holds, where latency was measured and what verified the result.
func notes(r *entangle.Outcome) []string {
	out := slices.Clone(r.Candidates[0].Notes)
	for _, w := range r.Warnings {
		out = append(out, "WARNING: "+w)
	}
	if g := r.Gate; g != nil {
		verdict := "within"
		if !g.Pass {
			verdict = "BEYOND"
		}
		out = append(out, fmt.Sprintf("%s: %.6g points %s than the original, %s the %g that are allowed", g.Figure, math.Abs(g.Drop), map[bool]string{true: "worse", false: "better"}[g.Drop > 0], verdict, g.MaxDrop))
	}
	for _, c := range r.Candidates {
		if c.Evaluated != nil && c.Evaluated.Failed != "" {
			out = append(out, c.Evaluated.Failed)
		}
	}
	if t := r.Candidates[0].Latency; t != nil {
		out = append(out, t.Text())
	}
	if q := r.Prediction; q != nil {
		out = append(out, fmt.Sprintf("latencies of %d other subnets were predicted with errors of %.1f %% (median) and %.1f %% (nine of ten), rank correlation %.3f", q.Subnets, 100*q.Median, 100*q.P90, q.Rank))
	}
	if r.LatencyOn != "" {
		out = append(out, fmt.Sprintf("latency on %s, median of %d runs", r.LatencyOn, r.Latency.Runs))
	}
	switch v := r.Verification; {
	case v != nil && v.Pass:
		out = append(out, fmt.Sprintf("verified on %s: %d samples%s; largest difference %.2g (%s)", v.Candidate.Runtime.Version, v.Samples, again(v), worst(v), v.Tolerance.Rule()))
	case v != nil:
		out = append(out, fmt.Sprintf("DIFFERENT on %s: largest difference %.2g (%s)", v.Candidate.Runtime.Version, worst(v), v.Tolerance.Rule()))
	default:
		out = append(out, "not verified on a runtime: "+r.Unverified)
	}
	if r.Tail != "" {
		out = append(out, r.Tail)
	}
	return out
}

// again says at which other sizes a verification ran.
func again(v *exporter.Verification) string {
	if len(v.Sizes) == 0 {
		return ""
	}
	return ", and at " + strings.Join(v.Sizes, " and at ")
}

func baselines(r *entangle.Outcome) report.Table {
	_, _, of := part(r)
	b := costTable("choice", r.Cost)
	b.Title = "Choices of equal cost"
	for _, name := range entangle.Stages {
		b.Columns = append(b.Columns, report.Column{Name: name, Right: true})
	}
	if r.Evaluate != nil {
		b.Columns = append(b.Columns, report.Column{Name: r.Evaluate.Name + ", cut", Right: true}, report.Column{Name: "fine-tuned", Right: true})
	}
	for _, x := range r.Candidates {
		q := of(x)
		var cells []string
		for i, s := range q.Scores() {
			cells = append(cells, percent(s))
			if q.Distance != nil {
				cells[i] = apart(q.Distance.Stages()[i])
			}
		}
		if e := x.Evaluated; e != nil {
			cells = append(cells, plain(e.Cut), plain(e.Tuned))
		}
		addCost(b, x.Name, x.Cost, cells...)
	}
	return *b
}

// outputs says what outputs were taken for and how near each is to the original's, on its own
// scale; nil where nothing is known of that.
func outputs(r *entangle.Outcome) *report.Table {
	on, _, of := part(r)
	d := of(r.Candidates[0]).Distance
	if d == nil {
		return nil
	}
	t := &report.Table{Title: "Outputs, distance from the original on " + on}
	for i, name := range append([]string{"output", "taken for", "since"}, entangle.Stages...) {
		t.Columns = append(t.Columns, report.Column{Name: name, Right: i > 2})
	}
	for _, x := range r.Outputs {
		row := []string{x.Output, string(x.Kind), x.Reason}
		for _, f := range d.Stages() {
			cell := "-"
			if f != nil {
				if at := slices.IndexFunc(f.Outputs, func(o net.OutputError) bool { return o.Name == x.Output }); at >= 0 {
					cell = figure(f.Outputs[at])
				}
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// summary is what report.html says beside the curves.
func summary(r *entangle.Outcome) report.Summary {
	s := report.Summary{Title: filepath.Base(r.File), Compare: comparison(r), Notes: notes(r), Widths: sizes(r.Candidates[0].Recipe)}
	s.Facts = append(facts(r.Model, r.Data, r.Budget, r.Seed), report.Fact{Name: "time", Value: fmt.Sprintf("search %.0f s, whole run %.0f s, steps waiting for data %.1f s, peak memory %.0f MiB", r.SearchTime, r.Seconds, r.DataWait, float64(r.PeakBytes)/(1<<20))})
	if r.Teacher != "" {
		s.Facts = slices.Insert(s.Facts, 1, report.Fact{Name: "teacher", Value: r.Teacher})
	}
	if t := outputs(r); t != nil {
		s.Tables = append(s.Tables, *t)
	}
	if len(r.Candidates) > 1 {
		s.Tables = append(s.Tables, baselines(r))
	}
	if t := nodeTimes(r.Nodes); t != nil {
		s.Tables = append(s.Tables, *t)
	}
	return s
}

// mostNodes bounds the rows of nodeTimes; what takes least is summed up.
const mostNodes = 60

// nodeTimes says where the time goes, in the order of the graph; nil where nothing is known.
func nodeTimes(n *latency.ByNode) *report.Table {
	if n == nil {
		return nil
	}
	on := n.Runtime
	if n.Threads > 0 {
		on += entangle.Threads(runtimes.Info{Threads: n.Threads})
	}
	t := columns("nodes that run as one", "operators", ">before: p10", ">p50", ">p90", ">after: p10", ">p50", ">p90", ">ratio")
	t.Title = fmt.Sprintf("Time by node in ms, on %s, batch %d, %d runs of each", on, n.Batch, n.Runs)
	takes := func(x latency.NodeTime) (ms float64) {
		for _, s := range []*latency.Spread{x.Before, x.After} {
			if s != nil {
				ms = max(ms, s.P50)
			}
		}
		return ms
	}
	least := 0.0
	if len(n.Groups) > mostNodes {
		order := slices.Clone(n.Groups)
		slices.SortStableFunc(order, func(a, b latency.NodeTime) int { return cmp.Compare(takes(b), takes(a)) })
		least = takes(order[mostNodes])
	}
	var all, rest [2]float64 // medians, before and after
	few := 0
	cells := func(s *latency.Spread) []string {
		if s == nil {
			return []string{"-", "-", "-"}
		}
		return []string{fmt.Sprintf("%.3f", s.P10), fmt.Sprintf("%.3f", s.P50), fmt.Sprintf("%.3f", s.P90)}
	}
	ratio := func(a, b float64) string {
		if a == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", b/a)
	}
	for _, x := range n.Groups {
		var p50 [2]float64
		for i, s := range []*latency.Spread{x.Before, x.After} {
			if s != nil {
				p50[i] = s.P50
			}
		}
		all[0], all[1] = all[0]+p50[0], all[1]+p50[1]
		if least > 0 && takes(x) <= least {
			rest[0], rest[1] = rest[0]+p50[0], rest[1]+p50[1]
			few++
			continue
		}
		name := x.Nodes[0]
		if k := len(x.Nodes); k > 1 {
			name += " … " + x.Nodes[k-1]
		}
		what := x.Kind
		if x.Added {
			what += " (the runtime's)"
		}
		row := slices.Concat([]string{name, what}, cells(x.Before), cells(x.After))
		r := ""
		if x.Before != nil && x.After != nil {
			r = ratio(p50[0], p50[1])
		}
		t.Rows = append(t.Rows, append(row, r))
	}
	sum := func(name string, a, b float64) {
		t.Rows = append(t.Rows, []string{name, "", "", fmt.Sprintf("%.3f", a), "", "", fmt.Sprintf("%.3f", b), "", ratio(a, b)})
	}
	if few > 0 {
		sum(fmt.Sprintf("%d others", few), rest[0], rest[1])
	}
	sum("all, sum of medians", all[0], all[1])
	return t
}

// plain prints a number of the user's command.
func plain(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.6g", *v)
}

func change(before, after *float64) string {
	if before == nil || after == nil {
		return ""
	}
	return fmt.Sprintf("%+.6g", *after-*before)
}

func percent(s *net.Score) string {
	if s == nil {
		return "-"
	}
	return s.Figure().String()
}

// apart prints the largest relative error of the outputs, and what else is known of the only
// one; of several with classes how many rows have the original's largest one, where they are
// fewest.
func apart(f *net.Fidelity) string {
	if f == nil {
		return "-"
	}
	if len(f.Outputs) == 1 {
		return figure(f.Outputs[0])
	}
	text, agreement := fmt.Sprintf("%.4f", f.Error), 2.0
	for _, o := range f.Outputs {
		if o.Rows > 0 {
			agreement = min(agreement, o.Agreement)
		}
	}
	if agreement <= 1 {
		text += fmt.Sprintf(", %.2f %% agree", 100*agreement)
	}
	return text
}

// figure prints how near an output is to the original's.
func figure(o net.OutputError) string {
	text := fmt.Sprintf("%.4f", o.Error)
	switch x := o.Figure(); x.Name {
	case "agreement":
		text += fmt.Sprintf(", %s agree", x)
	case "distance":
	default:
		text += fmt.Sprintf(", %s %s", x.Name, x)
	}
	return text
}

func worst(v *exporter.Verification) float64 {
	d := 0.0
	for _, o := range v.Outputs {
		d = max(d, o.MaxAbs)
	}
	return d
}

func diff(before, after *net.Score) string {
	if before == nil || after == nil {
		return ""
	}
	a, b := before.Figure(), after.Figure()
	if a.Points {
		return fmt.Sprintf("%+.2f", 100*(b.Value-a.Value))
	}
	return fmt.Sprintf("%+.4g", b.Value-a.Value)
}

// compareCosts sets two costs side by side.
func compareCosts(from, to map[string]float64) []report.Comparison {
	var out []report.Comparison
	for _, m := range priced(from) {
		a, b := from[m.Name], to[m.Name]
		out = append(out, report.Comparison{Name: m.Title, Before: count(a), After: count(b), Change: fmt.Sprintf("%.3f", b/a)})
	}
	return out
}

// limits prints a budget.
func limits(b decide.Budget) string {
	var out []string
	for _, l := range b {
		out = append(out, fmt.Sprintf("%s ≤ %s", l.Metric, count(l.Limit)))
	}
	return strings.Join(out, ", ")
}

// facts says what a page is about.
func facts(model, data string, b decide.Budget, seed uint64) []report.Fact {
	return []report.Fact{{Name: "model", Value: model}, {Name: "data", Value: data}, {Name: "target", Value: limits(b)}, {Name: "seed", Value: fmt.Sprint(seed)}}
}
