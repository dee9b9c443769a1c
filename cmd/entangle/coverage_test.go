package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// coverage is how far a structure can change.
type coverage struct {
	macs    float64 // of one sample
	elastic float64 // share of them in nodes that cost less in the smallest subnet, or are gone
	least   float64 // MACs of the smallest subnet, as a share
	left    []string
}

var (
	quoted = regexp.MustCompile(` ?"[^"]*"`)
)

// cover prices the smallest subnet of the default space, with a divisor for small widths.
func cover(t *testing.T, m *entangle.Model, bind map[string]int) coverage {
	t.Helper()
	an, err := m.Analyse(bind)
	if err != nil {
		t.Fatal(err)
	}
	o := space.Options{Divisor: 4}
	s, err := space.New(an, o)
	if err != nil {
		t.Fatal(err)
	}
	super, err := space.Entangle(an, s, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	small, err := subnet.Cut(super, s.Smallest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(small, an.Facts.Bind)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]float64{}
	for _, p := range ops.ModelCost(small, f).Nodes {
		after[p.Node.Label()] += p.MACs
	}
	reasons := an.Reasons(s, super.Effects, o)
	c, left := coverage{}, map[string]int{}
	cost := ops.ModelCost(an.Model, an.Facts)
	for _, p := range cost.Nodes {
		c.macs += p.MACs
		if p.MACs == 0 {
			continue
		}
		if after[p.Node.Label()] < p.MACs {
			c.elastic += p.MACs
		}
		whys := map[string]bool{}
		for _, v := range p.Node.Inputs {
			for _, why := range reasons[v] {
				if !strings.HasPrefix(why, "graph input") && !strings.HasPrefix(why, "graph output") {
					whys[kindOf(why)] = true
				}
			}
		}
		for why := range whys {
			left[why]++
		}
	}
	least := 0.0
	for _, x := range after {
		least += x
	}
	c.elastic, c.least, c.macs = c.elastic/c.macs, least/c.macs, c.macs/float64(an.Batch)
	for _, why := range slices.Sorted(maps.Keys(left)) {
		c.left = append(c.left, fmt.Sprintf("%s (%d)", why, left[why]))
	}
	return c
}

// kindOf is a reason without the names of its model.
func kindOf(why string) string {
	return strings.TrimSpace(quoted.ReplaceAllString(why, ""))
}

const coveragePage = "../../docs/coverage.md"

// TestCoverage holds docs/coverage.md to what the zoo's structures offer; -update rewrites it.
// Rows of structures that cannot be had here stay.
func TestCoverage(t *testing.T) {
	if os.Getenv("ENTANGLE_LONG") == "" && !*update {
		t.Skip("ENTANGLE_LONG is not set: docs/coverage.md is compared in make test-long")
	}
	page, err := os.ReadFile(coveragePage)
	if err != nil && !*update {
		t.Fatal(err)
	}
	rows := map[string][]string{} // by family
	here := map[string]bool{}
	for _, a := range zoo(t, t.TempDir()) {
		here[a.name] = true
		rows[a.family] = append(rows[a.family], a.row(t))
	}
	family := ""
	for _, line := range strings.Split(string(page), "\n") {
		if f, ok := strings.CutPrefix(line, "## "); ok {
			family = f
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "`"); ok && strings.HasPrefix(line, "| `") && !here[name] {
			rows[family] = append(rows[family], line)
		}
	}
	var b strings.Builder
	b.WriteString(coverageIntro)
	for _, f := range slices.Sorted(maps.Keys(rows)) {
		slices.Sort(rows[f])
		fmt.Fprintf(&b, "\n## %s\n\n| structure | MACs | elastic | least | left out |\n| --- | ---: | ---: | ---: | --- |\n%s\n", f, strings.Join(rows[f], "\n"))
	}
	if *update {
		if err := os.WriteFile(coveragePage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if b.String() != string(page) {
		t.Errorf("%s is not what the zoo offers: run make coverage", coveragePage)
	}
}

const coverageIntro = `# What can change, by structure

Printed by ` + "`make coverage`" + ` from the zoo that ` + "`make test-long`" + ` takes through the line: small networks of random weights, built as named exports are, most of them by PyTorch's exporter.

Elastic is the share of the multiply-accumulates that stands in nodes which the smallest subnet has cheaper or does without; least is what that subnet has of them all. Both are of
` + "`--set space.divisor=4`" + ` and otherwise the default space, for one sample. Left out are weights' axes that keep their size, with the number of nodes; axes of the model's own inputs and outputs are not listed.
`

// row is a structure's line of the page.
func (a animal) row(t *testing.T) string {
	t.Helper()
	m := a.model(t)
	if err := m.CheckTrainable(); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Sprintf("| `%s` | | | | refused: %s |", a.name, what)
	}
	c := cover(t, m, a.bind(m.Normal, 1, a.sizes))
	return fmt.Sprintf("| `%s` | %.3g M | %.1f %% | %.1f %% | %s |", a.name, c.macs/1e6, 100*c.elastic, 100*c.least, strings.Join(c.left, "; "))
}
