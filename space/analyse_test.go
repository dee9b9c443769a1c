package space_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
)

var update = flag.Bool("update", false, "rewrite golden files")

// printed tells groups with their members and units, and pins.
func printed(an *space.Analysis) string {
	var b strings.Builder
	for _, g := range an.Groups {
		fmt.Fprintf(&b, "group %s: %d units, born in %s\n", g.Name, g.Size, strings.Join(g.Nodes, ", "))
		for _, m := range g.Members {
			if an.Model.Graph.Init(m.Value) == nil {
				continue
			}
			role := ""
			for _, f := range []struct {
				on   bool
				name string
			}{{m.Weight, "weight"}, {m.Contracted, "read"}, {m.Statistic, "statistic"}} {
				if f.on {
					role += " " + f.name
				}
			}
			fmt.Fprintf(&b, "  %s axis %d%s: %v\n", m.Value, m.Axis, role, m.Units)
		}
	}
	for _, v := range slices.Sorted(maps.Keys(an.Pins)) {
		for _, a := range slices.Sorted(maps.Keys(an.Pins[v])) {
			fmt.Fprintf(&b, "pin %s axis %d: %s\n", v, a, an.Pins[v][a])
		}
	}
	return b.String()
}

// TestAnalyse holds the groups and pins of a shuffled grouped network, of
// concatenations, of shortcuts padded with zero channels and of knot to
// testdata/*.txt.
func TestAnalyse(t *testing.T) {
	for _, c := range []struct {
		name string
		o    models.Options
	}{
		{"grouped-tiny", models.Options{Width: 8, Depth: 1}},
		{"concat-tiny", models.Options{Width: 4, Depth: 2}},
		{"resnet20a-tiny", models.Options{Width: 2, Depth: 1}},
		{"knot", models.Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := printed(analysed(t, c.name, c.o))
			file := "testdata/" + c.name + ".txt"
			if *update {
				if err := os.MkdirAll("testdata", 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: want\n%s\ngot\n%s", file, want, got)
			}
		})
	}
}
