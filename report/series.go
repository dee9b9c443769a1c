package report

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Series is one named curve.
type Series struct {
	Name string
	X, Y []float64
	// Family is the name without the kind: curves of one family have one colour.
	Family string
	// Scored marks values that were taken at single points (of a kind other than "step").
	Scored bool
	// Labels stand beside the points of a scored curve; empty or one per point.
	Labels []string
	// Dots marks points that no line joins. In a plot of nothing else those far above the others
	// stand hollow at the upper edge.
	Dots bool
}

// Plot is a group of curves over the step.
type Plot struct {
	Title  string
	Series []Series
}

// unplotted are values that say when, not what.
var unplotted = []string{"seconds", "epochs", "data_wait"}

// Plots groups the values of all records: "loss/train" and "loss/val" share the
// plot "loss"; a name without a slash has a plot of its own. Within a plot the
// records of each stage (Text["stage"]) and of each kind but "step" make curves of
// their own. Plots and curves stand in the order in which they first appear, names
// within a record sorted. Curves that are 0 throughout are left out, and so are
// records that a resumed run repeated (Latest).
func Plots(records []Record) []Plot {
	var plots []Plot
	type curve struct{ plot, name string }
	type place struct{ plot, series int }
	at := map[curve]place{}
	plotAt := map[string]int{}
	for _, r := range Latest(records) {
		for _, key := range sortedKeys(r.Values) {
			if slices.Contains(unplotted, key) {
				continue
			}
			title, name, _ := strings.Cut(key, "/")
			family := words(r.Text["stage"], name)
			if family == "" {
				family = key
			}
			c := curve{title, family}
			if r.Kind != "step" {
				c.name = words(family, r.Kind)
			}
			p, ok := at[c]
			if !ok {
				k, known := plotAt[title]
				if !known {
					k = len(plots)
					plotAt[title] = k
					plots = append(plots, Plot{Title: title})
				}
				p = place{k, len(plots[k].Series)}
				at[c] = p
				plots[k].Series = append(plots[k].Series, Series{Name: c.name, Family: family, Scored: r.Kind != "step"})
			}
			s := &plots[p.plot].Series[p.series]
			s.X = append(s.X, float64(r.Step))
			s.Y = append(s.Y, float64(r.Values[key]))
		}
	}
	for i := range plots {
		plots[i].Series = slices.DeleteFunc(plots[i].Series, func(s Series) bool {
			return !slices.ContainsFunc(s.Y, func(v float64) bool { return v != 0 })
		})
	}
	return slices.DeleteFunc(plots, func(p Plot) bool { return len(p.Series) == 0 })
}

// words joins what is not empty.
func words(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// Latest drops the records that a resumed run wrote again: those at or after the
// step of a later record of the same stage and kind.
func Latest(records []Record) []Record {
	type stream struct{ stage, kind string }
	first := map[stream]int{}
	var out []Record
	for _, r := range slices.Backward(records) {
		k := stream{r.Text["stage"], r.Kind}
		if step, ok := first[k]; ok && r.Step >= step {
			continue
		}
		first[k] = r.Step
		out = append(out, r)
	}
	slices.Reverse(out)
	return out
}

// Curves writes every record with values as comma-separated text: stage, kind,
// step, epoch, then one column per name in sorted order; what a record lacks is empty.
func Curves(w io.Writer, records []Record) error {
	names := map[string]bool{}
	for _, r := range records {
		for k := range r.Values {
			names[k] = true
		}
	}
	columns := sortedKeys(names)
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"stage", "kind", "step", "epoch"}, columns...)); err != nil {
		return err
	}
	for _, r := range records {
		if len(r.Values) == 0 {
			continue
		}
		row := []string{r.Text["stage"], r.Kind, strconv.Itoa(r.Step), strconv.Itoa(r.Epoch)}
		for _, c := range columns {
			cell := ""
			if v, ok := r.Values[c]; ok {
				cell = strconv.FormatFloat(float64(v), 'g', -1, 64)
			}
			row = append(row, cell)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
