package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/internal/rows"
)

// rebuild writes the tables of a page anew from finished rows; what stands around its marks
// stays.
func rebuild(page string, s store) error {
	list, err := s.rows()
	if err != nil {
		return err
	}
	done, err := s.tested()
	if err != nil {
		return err
	}
	return rows.Rebuild(page, tablesOf(list, done))
}

// tablesOf writes a table per task and budget, in the order of the scoreboard.
func tablesOf(all []row, done []tested) string {
	var b strings.Builder
	for _, t := range tables {
		for _, budget := range t.budgets {
			var own []row
			for _, r := range all {
				if r.Task == t.name && r.Budget == budget {
					own = append(own, r)
				}
			}
			if len(own) > 0 {
				writeTask(&b, t, budget, own, done)
			}
		}
	}
	return b.String()
}

// column is a method's rows; the draws of random are one.
func column(method string) string {
	if strings.HasPrefix(method, "random-") {
		return "random"
	}
	return method
}

func writeTask(b *strings.Builder, t task, budget string, all []row, done []tested) {
	unit := "%, on validation"
	if t.nats {
		unit = "nats, on validation"
	}
	fmt.Fprintf(b, "\n### %s, %s of the MACs (%s)\n\n", t.name, budget, unit)
	fmt.Fprintln(b, "| method | seeds | MACs | parameters | inherited | recalibrated | tuned | search ahead by | test | passes, thousands | seconds | MiB |")
	fmt.Fprintln(b, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	var names []string
	for _, r := range all {
		if c := column(r.Method); !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(order(x), order(y)) })
	search := bySeed(all, "search", func(r row) float64 { return r.Val.Tuned })
	for _, name := range names {
		of := func(f func(row) float64) map[uint64]float64 { return bySeed(all, name, f) }
		mean := func(f func(row) float64) float64 { m, _ := meanError(rows.Values(of(f))); return m }
		tuned := of(func(r row) float64 { return r.Val.Tuned })
		ahead := "–"
		if name != "search" {
			if d := differences(search, tuned, t.nats); len(d) > 0 {
				ahead = t.number(d, true)
			}
		}
		tests := bySeed(all, name, func(r row) float64 {
			for _, d := range done {
				if d.ID == r.id() && d.SHA256 == r.SHA256 {
					return d.Test
				}
			}
			return math.NaN()
		})
		test := "–"
		if v := rows.Values(tests); len(v) > 0 && !slices.ContainsFunc(v, math.IsNaN) {
			test = t.number(v, false)
		}
		re := "–"
		if mean(func(r row) float64 { return r.Val.Recalibrated }) != 0 {
			re = t.number(rows.Values(of(func(r row) float64 { return r.Val.Recalibrated })), false)
		}
		fmt.Fprintf(b, "| %s | %d | %.3f | %.3f | %s | %s | %s | %s | %s | %.0f + %.0f | %.0f + %.0f | %.0f |\n", name, len(tuned), mean(func(r row) float64 { return r.MACs }), mean(func(r row) float64 { return r.Params }),
			t.number(rows.Values(of(func(r row) float64 { return r.Val.Inherited })), false), re, t.number(rows.Values(tuned), false), ahead, test,
			mean(func(r row) float64 { return r.Passes.Choose })/1e3, mean(func(r row) float64 { return r.Passes.Tune })/1e3,
			mean(func(r row) float64 { return r.Seconds.Choose }), mean(func(r row) float64 { return r.Seconds.Tune }), mean(func(r row) float64 { return r.Memory }))
	}
	fmt.Fprintln(b, "\n| search | entropy | cost of the argmax | dims as the argmax has them | same choice at 0.7 of the steps | loss of the mixture | loss of the vertex |")
	fmt.Fprintln(b, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, name := range names {
		var list []row
		for _, r := range all {
			if r.Method == name && r.Decided != nil {
				list = append(list, r)
			}
		}
		if len(list) == 0 {
			continue
		}
		mean := func(f func(row) float64) float64 {
			s := 0.0
			for _, r := range list {
				s += f(r) / float64(len(list))
			}
			return s
		}
		at := func(p *float64) float64 {
			if p == nil {
				return math.NaN()
			}
			return *p
		}
		fmt.Fprintf(b, "| %s | %.2f | %.3f | %.2f | %.2f | %.3f | %.3f |\n", name, mean(func(r row) float64 { return r.Decided.Entropy }), mean(func(r row) float64 { return r.Decided.Argmax["macs"] }),
			mean(func(r row) float64 { return r.Decided.Kept }), mean(func(r row) float64 { return r.Decided.Early }), mean(func(r row) float64 { return at(r.Decided.Mixture) }), mean(func(r row) float64 { return at(r.Decided.Vertex) }))
	}
}

// order puts a method in its place: search, its variants, the others as they are listed.
func order(name string) int {
	if strings.HasPrefix(name, "search") {
		return 0
	}
	for i, m := range methods {
		if column(m) == name {
			return i + 1
		}
	}
	return len(methods) + 1
}

// bySeed is the mean of a figure of a method's rows, by seed.
func bySeed(all []row, name string, f func(row) float64) map[uint64]float64 {
	sum, n := map[uint64]float64{}, map[uint64]float64{}
	for _, r := range all {
		if column(r.Method) == name {
			sum[r.Seed] += f(r)
			n[r.Seed]++
		}
	}
	for s := range sum {
		sum[s] /= n[s]
	}
	return sum
}

// differences is by how much the search is better, over the seeds that both have.
func differences(search, other map[uint64]float64, nats bool) []float64 {
	d := map[uint64]float64{}
	for s, v := range other {
		if x, ok := search[s]; ok {
			if d[s] = x - v; nats {
				d[s] = -d[s]
			}
		}
	}
	return rows.Values(d)
}

// meanError is the mean and its standard error; 0 for a single value.
func meanError(v []float64) (mean, err float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	if len(v) < 2 {
		return mean, 0
	}
	for _, x := range v {
		err += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(err / float64(len(v)-1) / float64(len(v)))
}

// number prints a mean with its standard error, in the task's unit.
func (t task) number(v []float64, signed bool) string {
	m, e := meanError(v)
	digits := 3
	if !t.nats {
		m, e, digits = 100*m, 100*e, 2
	}
	sign := ""
	if signed {
		sign = "+"
	}
	text := fmt.Sprintf("%"+sign+".*f", digits, m)
	if len(v) > 1 {
		text += fmt.Sprintf(" ± %.*f", digits, e)
	}
	return text
}

// line says a row in words.
func (r row) line() string {
	text := fmt.Sprintf("%s: macs %.3f, inherited %.4g, recalibrated %.4g, tuned %.4g; passes %.0f + %.0f, seconds %.0f + %.0f", r.id(), r.MACs, r.Val.Inherited, r.Val.Recalibrated, r.Val.Tuned, r.Passes.Choose, r.Passes.Tune, r.Seconds.Choose, r.Seconds.Tune)
	if d := r.Decided; d != nil {
		text += fmt.Sprintf("; entropy %.2f, argmax %.3f, kept %.2f, early %.2f", d.Entropy, d.Argmax["macs"], d.Kept, d.Early)
	}
	return text
}
