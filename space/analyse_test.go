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
	"github.com/entangle-nas/entangle/ops"
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

// TestKindsOfAnalysis: a kind that reads attentions its own way is offered and bound where
// the model was analysed for it by name, and two of them exclude each other.
func TestKindsOfAnalysis(t *testing.T) {
	for _, k := range space.Kinds {
		if k.Name == "" || k.Doc == "" || k.Find == nil || k.Bind == nil || k.OnRequest() != (k.Suffix != "") {
			t.Errorf("kind %q: want a name, a doc, Find, Bind and a suffix where it is on request", k.Name)
		}
	}
	plain := analysed(t, "knot", models.Options{})
	const want = `kind "head-width": want a model analysed for it by name`
	if _, err := space.New(plain, space.Options{Kinds: []string{"head-width"}}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("New: want %s, got %v", want, err)
	}
	s := &space.Space{Dims: []space.Dim{{Name: "a", Kind: "head-width", Node: "stem.conv", Choices: []int{4}}}}
	if _, err := s.Bind(plain); err == nil || !strings.Contains(err.Error(), `dimension "a": `+want) {
		t.Errorf("Bind: want %s, got %v", want, err)
	}
	if _, err := space.Analyse(plain.Model, plain.Facts, "shade"); err == nil || !strings.Contains(err.Error(), `kind "shade": want one of`) {
		t.Errorf("an unknown kind: got %v", err)
	}
	own := space.Kinds
	defer func() { space.Kinds = own }()
	space.Kinds = append(slices.Clone(own), space.Kind{Name: "other", Suffix: ".other", Recognise: ops.Recognise})
	if _, err := space.Analyse(plain.Model, plain.Facts, "head-width", "width", "head-width"); err != nil {
		t.Error(err)
	}
	_, err := space.Analyse(plain.Model, plain.Facts, "head-width", "width", "other")
	if want := `space: kinds "head-width" and "other": want one of them, each reads attentions its own way`; err == nil || err.Error() != want {
		t.Errorf("want %s, got %v", want, err)
	}
}
