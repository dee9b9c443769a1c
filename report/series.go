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
}

// Plot is a group of curves over the step.
type Plot struct {
	Title  string
	Series []Series
}

// Plots groups the values of all records: "loss/train" and "loss/val" share the
// plot "loss"; a name without a slash has a plot of its own. Plots and curves
// stand in the order in which they first appear, names within a record sorted.
func Plots(records []Record) []Plot {
	var plots []Plot
	type place struct{ plot, series int }
	at := map[string]place{}
	plotAt := map[string]int{}
	for _, r := range records {
		for _, key := range sortedKeys(r.Values) {
			p, ok := at[key]
			if !ok {
				title, name, found := strings.Cut(key, "/")
				if !found {
					name = key
				}
				k, known := plotAt[title]
				if !known {
					k = len(plots)
					plotAt[title] = k
					plots = append(plots, Plot{Title: title})
				}
				p = place{k, len(plots[k].Series)}
				at[key] = p
				plots[k].Series = append(plots[k].Series, Series{Name: name})
			}
			s := &plots[p.plot].Series[p.series]
			s.X = append(s.X, float64(r.Step))
			s.Y = append(s.Y, float64(r.Values[key]))
		}
	}
	return plots
}

// Curves writes every record with values as comma-separated text: kind, step,
// epoch, then one column per name in sorted order; what a record lacks is empty.
func Curves(w io.Writer, records []Record) error {
	names := map[string]bool{}
	for _, r := range records {
		for k := range r.Values {
			names[k] = true
		}
	}
	columns := sortedKeys(names)
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"kind", "step", "epoch"}, columns...)); err != nil {
		return err
	}
	for _, r := range records {
		if len(r.Values) == 0 {
			continue
		}
		row := []string{r.Kind, strconv.Itoa(r.Step), strconv.Itoa(r.Epoch)}
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
