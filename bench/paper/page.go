package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/internal/atomicfile"
	"github.com/entangle-nas/entangle/internal/rows"
	"github.com/entangle-nas/entangle/report"
)

// rebuild writes the page's tables and plots anew from finished rows.
func rebuild(page, plots string, s store) error {
	list, err := s.rows()
	if err != nil {
		return err
	}
	costs, err := s.costs()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, a := range arenas {
		for _, how := range protocols(a, list) {
			own := slices.DeleteFunc(slices.Clone(list), func(r row) bool { return r.Space != a.name || r.protocol() != how })
			if len(own) == 0 {
				continue
			}
			writeArena(&b, a, how, own)
			writeRetrained(&b, own)
			writeOptimum(&b, a, own)
			name, err := drawCurves(plots, a, how, own)
			if err != nil {
				return err
			}
			if name != "" {
				at, err := filepath.Rel(filepath.Dir(page), filepath.Join(plots, name))
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "\n![accuracy in the table of the architecture after every epoch](%s)\n", filepath.ToSlash(at))
			}
		}
	}
	writeCosts(&b, costs)
	return rows.Rebuild(page, b.String())
}

// protocol says how a row's search ran, in the words of the page: the paper's own lengths are one
// protocol, whatever a method has, others go by their epochs and by what flags changed.
func (r row) protocol() string {
	text := fmt.Sprintf("%g epochs", r.Epochs)
	if a, err := find(r.Space); err == nil {
		full, own := a.full[r.Method]
		if !own {
			full = a.full[""]
		}
		if r.Epochs == full {
			text = "the paper's epochs"
		}
	}
	return strings.Join(append([]string{text}, r.Settings...), ", ")
}

// protocols lists those of an arena's rows: the reduced one and the paper's come first.
func protocols(a arena, list []row) []string {
	out := []string{fmt.Sprintf("%g epochs", a.epochs), "the paper's epochs"}
	var others []string
	for _, r := range list {
		if p := r.protocol(); r.Space == a.name && !slices.Contains(out, p) && !slices.Contains(others, p) {
			others = append(others, p)
		}
	}
	slices.Sort(others)
	return append(out, others...)
}

func writeArena(b *strings.Builder, a arena, how string, list []row) {
	fmt.Fprintf(b, "\n### %s, %s\n\n", a.title, how)
	fmt.Fprintf(b, "Of %d architectures the best has %.2f %%, the mean is %.2f; the best of 10 random ones is expected at %.2f, of 100 at %.2f.\n\n", a.bars.size, a.bars.best, a.bars.mean, a.bars.ten, a.bars.hundred)
	fmt.Fprintln(b, "| method | seeds | accuracy in the table, % | rank | paper | DrNAS ahead by | settled for | mixture | inherited | recalibrated | MiB a step | hours |")
	fmt.Fprintln(b, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	first := bySeed(list, methods[0].name, row.last)
	for _, m := range methods {
		own := slices.DeleteFunc(slices.Clone(list), func(r row) bool { return r.Method != m.name })
		if len(own) == 0 {
			continue
		}
		of := func(f func(row) float64) []float64 { return rows.Values(bySeed(own, m.name, f)) }
		mean := func(f func(row) float64) float64 { v, _ := meanDeviation(of(f)); return v }
		ahead := "–"
		if d := differences(first, bySeed(own, m.name, row.last)); m.name != methods[0].name && len(d) > 0 {
			v, sd := meanDeviation(d)
			ahead = signed(v, sd/math.Sqrt(float64(len(d))), len(d))
		}
		said := "–"
		for _, p := range a.paper {
			if p.method == m.name {
				said = fmt.Sprintf("%.2f ± %.2f (%s)", p.mean, p.sd, p.from)
				if p.sd == 0 {
					said = fmt.Sprintf("%.2f (%s)", p.mean, p.from)
				}
			}
		}
		or := func(f func(row) float64, format string) string {
			if v := mean(f); v != 0 {
				return fmt.Sprintf(format, v)
			}
			return "–"
		}
		var ranks []string
		for _, v := range of(func(r row) float64 { return float64(r.Rank) }) {
			ranks = append(ranks, fmt.Sprintf("%.0f", v))
		}
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s | %s | %s | %.2f | %.2f | %.0f | %s |\n", m.title, len(own), deviated(of(row.last)), strings.Join(ranks, ", "), said, ahead,
			or(func(r row) float64 { return float64(r.Held) }, "%.1f"), or(func(r row) float64 { return r.Gap.Mixture }, "%.2f"), mean(func(r row) float64 { return r.Gap.Inherited }), mean(func(r row) float64 { return r.Gap.Recalibrated }),
			mean(func(r row) float64 { return r.StepMiB }), hours(mean(func(r row) float64 { return r.Seconds.Train }), mean(func(r row) float64 { return r.Seconds.Choose })))
	}
}

// writeRetrained says what was found reaches when it is trained anew.
func writeRetrained(b *strings.Builder, list []row) {
	for _, m := range methods {
		var accuracy, like []float64
		epochs := 0.0
		for _, r := range list {
			if x := r.Retrained; x != nil && r.Method == m.name {
				accuracy, like, epochs = append(accuracy, x.Accuracy), append(like, x.Alike), x.Epochs
			}
		}
		if len(accuracy) > 0 {
			mean, sd := meanDeviation(like)
			fmt.Fprintf(b, "\n%s, trained anew for %g epochs: %s %% of test images; CKA with the subnet that inherits, mean over layers, %.3f ± %.3f.\n", m.title, epochs, deviated(accuracy), mean, sd)
		}
	}
}

// writeOptimum says how many seeds of a method end at the best architecture of the paper's table.
func writeOptimum(b *strings.Builder, a arena, list []row) {
	for _, m := range methods {
		found, of := 0, 0
		for _, r := range list {
			if a.optimum == "" || r.Method != m.name {
				continue
			}
			if of++; r.Optimum {
				found++
			}
		}
		if of > 0 {
			fmt.Fprintf(b, "\n%s ends at the best architecture of the paper's table for %d of %d seeds.\n", m.title, found, of)
		}
	}
}

func hours(train, choose float64) string {
	if choose == 0 {
		return fmt.Sprintf("%.2f", train/3600)
	}
	return fmt.Sprintf("%.2f + %.2f", train/3600, choose/3600)
}

// drawCurves draws the mean over seeds of what the architecture of every epoch has in the table,
// and says what the file is called; "" where no method has a curve.
func drawCurves(folder string, a arena, how string, list []row) (string, error) {
	p := report.Plot{Title: fmt.Sprintf("%s, %s: accuracy in the table, %%, after every epoch", a.title, how)}
	for _, m := range methods {
		var sum []float64
		n := 0
		for _, r := range list {
			if r.Method != m.name || len(r.Curve) < 2 {
				continue
			}
			if sum == nil {
				sum = make([]float64, len(r.Curve))
			}
			for i := range min(len(sum), len(r.Curve)) {
				sum[i] += r.Curve[i]
			}
			n++
		}
		if n == 0 {
			continue
		}
		s := report.Series{Name: fmt.Sprintf("%s (%d seeds)", m.title, n), Family: m.name}
		if n == 1 {
			s.Name = m.title + " (1 seed)"
		}
		for i, v := range sum {
			s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, v/float64(n))
		}
		p.Series = append(p.Series, s)
	}
	if p.Series == nil {
		return "", nil
	}
	svg, err := report.SVG(p)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	name := a.name + ".svg"
	if how != protocols(a, nil)[0] {
		name = a.name + "-" + strings.Map(func(r rune) rune {
			if r == ' ' || r == ',' || r == '=' || r == '\'' {
				return '-'
			}
			return r
		}, how) + ".svg"
	}
	return name, atomicfile.Write(filepath.Join(folder, name), func(w io.Writer) error {
		_, err := w.Write(svg)
		return err
	})
}

// writeCosts puts entangled and shared weights of every space side by side.
func writeCosts(b *strings.Builder, costs []cost) {
	if len(costs) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### What a step takes\n\n")
	fmt.Fprintln(b, "| space | batch | weights | parameters, thousands | MiB a step | seconds: weights + architecture | MiB less than shared, % | seconds less, % | paper |")
	fmt.Fprintln(b, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, a := range priced() {
		var pair [2]*cost
		for i := range costs {
			if c := &costs[i]; c.Space == a.name && c.Shared {
				pair[1] = c
			} else if c.Space == a.name {
				pair[0] = c
			}
		}
		for i, c := range pair {
			if c == nil {
				continue
			}
			name, memory, seconds, said := "entangled", "–", "–", "–"
			if i == 1 {
				name = "shared"
			} else if o := pair[1]; o != nil {
				memory = fmt.Sprintf("%.1f", 100*(1-c.StepMiB/o.StepMiB))
				if c.Weight > 0 && o.Weight > 0 {
					seconds = fmt.Sprintf("%.1f", 100*(1-(c.Weight+c.Arch)/(o.Weight+o.Arch)))
				}
				if a.memory > 0 {
					said = fmt.Sprintf("%.2f %% of memory", a.memory)
				}
			}
			times := "–"
			if c.Weight > 0 {
				times = fmt.Sprintf("%.3f + %.3f", c.Weight, c.Arch)
			}
			fmt.Fprintf(b, "| %s | %d | %s | %.0f | %.1f | %s | %s | %s | %s |\n", a.name, c.Batch, name, float64(c.Params)/1000, c.StepMiB, times, memory, seconds, said)
		}
	}
}

// bySeed is a figure of a method's rows, by seed.
func bySeed(list []row, name string, f func(row) float64) map[uint64]float64 {
	out := map[uint64]float64{}
	for _, r := range list {
		if r.Method == name {
			out[r.Seed] = f(r)
		}
	}
	return out
}

// differences is by how much the first is better, over the seeds that both have.
func differences(first, other map[uint64]float64) []float64 {
	d := map[uint64]float64{}
	for s, v := range other {
		if x, ok := first[s]; ok {
			d[s] = x - v
		}
	}
	return rows.Values(d)
}

// meanDeviation is the mean and the deviation of a sample; 0 for a single value.
func meanDeviation(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	if len(v) < 2 {
		return mean, 0
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(v)-1))
}

func deviated(v []float64) string {
	m, sd := meanDeviation(v)
	if len(v) < 2 {
		return fmt.Sprintf("%.2f", m)
	}
	return fmt.Sprintf("%.2f ± %.2f", m, sd)
}

func signed(v, err float64, n int) string {
	if n < 2 {
		return fmt.Sprintf("%+.2f", v)
	}
	return fmt.Sprintf("%+.2f ± %.2f", v, err)
}
