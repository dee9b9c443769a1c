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

// covers holds docs/coverage.md to what structures offer; rows of those that cannot be had here
// stay as they are.
func covers(t *testing.T, all []animal, whole bool) {
	page, err := os.ReadFile(coveragePage)
	if err != nil && !*update {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	rows := map[string][]string{} // by family
	here := map[string]bool{}
	for _, a := range all {
		here[a.name] = true
		row, share := a.row(t)
		rows[a.family], shares[a.name] = append(rows[a.family], row), share
	}
	for name, plain := range twins {
		if want, ok := shares[plain]; ok && shares[name] < 0.95*want {
			t.Errorf("%s: want at least 0.95 of the share of MACs that %s has elastic, %.3f, got %.3f", name, plain, want, shares[name])
		}
	}
	family := ""
	for _, line := range strings.Split(string(page), "\n") {
		if f, ok := strings.CutPrefix(line, "## "); ok {
			family = f
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "`"); ok && strings.HasPrefix(line, "| `") && !here[name] && !whole {
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

// twins are structures without what the first is named after.
var twins = map[string]string{"cbam": "cbam-plain", "resnet-groupnorm": "resnet-groupnorm-plain", "t5-encoder": "t5-encoder-plain", "swin": "swin-plain", "bert-shared": "bert"}

const coverageIntro = `# What can change, by structure

Printed by ` + "`make coverage`" + ` from the zoo that ` + "`make test-long`" + ` takes through the line: small networks of random weights, built as named exports are, most of them by PyTorch's exporter.

Elastic is the share of the multiply-accumulates that stands in nodes which the smallest subnet has cheaper or does without; least is what that subnet has of them all. Both are of
` + "`--set space.divisor=4`" + ` and otherwise the default space, for one sample. Left out are weights' axes that keep their size, with the number of nodes; axes of the model's own inputs and outputs are not listed.
`

// row is a structure's line of the page, and the share of its MACs that is elastic.
func (a animal) row(t *testing.T) (row string, elastic float64) {
	t.Helper()
	m := a.model(t)
	if err := m.CheckTrainable(); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Sprintf("| `%s` | | | | refused: %s |", a.name, what), 0
	}
	c := cover(t, m, a.bind(m.Normal, 1, a.sizes))
	return fmt.Sprintf("| `%s` | %.3g M | %.1f %% | %.1f %% | %s |", a.name, c.macs/1e6, 100*c.elastic, 100*c.least, strings.Join(c.left, "; ")), c.elastic
}
