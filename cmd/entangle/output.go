package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/report"
)

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print the result as JSON"}
}

// printJSON writes v as one indented JSON value.
func (e *env) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", b)
	return err
}

// table prints rows under a heading in columns; the columns whose heading starts with ">" align right.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	var width []int
	right := make([]bool, len(t.rows[0]))
	for r, row := range t.rows {
		for i, c := range row {
			if r == 0 {
				right[i] = strings.HasPrefix(c, ">")
				c = strings.TrimPrefix(c, ">")
				row[i] = c
			}
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			switch {
			case right[i]:
				b.WriteString(pad + c)
			case i+1 < len(row):
				b.WriteString(c + pad)
			default:
				b.WriteString(c)
			}
			if i+1 < len(row) {
				b.WriteString("  ")
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// count prints a number with a unit prefix, for example 40.8 M.
func count(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if v >= u.size {
			return fmt.Sprintf("%.4g%s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.4g", v)
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// interactive says whether stderr is a terminal that progress may draw over.
func (e *env) interactive() bool {
	f, ok := e.stderr.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return report.Interactive(err == nil && info.Mode()&os.ModeCharDevice != 0, e.getenv)
}
