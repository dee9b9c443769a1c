package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/entangle-nas/entangle/report"
)

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print the result as JSON", Category: groupJob}
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

// columns heads a table; what begins with ">" aligns right.
func columns(names ...string) *report.Table {
	t := &report.Table{}
	for _, n := range names {
		name, right := strings.CutPrefix(n, ">")
		t.Columns = append(t.Columns, report.Column{Name: name, Right: right})
	}
	return t
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
