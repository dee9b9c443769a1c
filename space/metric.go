package space

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Metric is what a subnet is priced in: a number of which a search keeps the
// expectation below a limit. A subnet pays for pieces of the model, each at the sizes
// that it has them at.
type Metric struct {
	Name  string // key of files and reports, word of a target
	Title string // heads columns and rows of tables
	Unit  string // "" of a plain count
	Doc   string // one line
	// Sums lists the pieces that are paid for together. Of several sums a subnet pays
	// the largest. A piece that stands in many sums is one pointer in all of them.
	Sums func(s *Supernet) ([][]*Piece, error)
}

// Metrics lists the metrics that every supernet carries.
var Metrics = []Metric{macsMetric, paramsMetric, bytesMetric, peakMetric}

// MetricByName returns a metric of Metrics.
func MetricByName(name string) (Metric, error) { return metricOf(Metrics, name) }

// metricOf returns the metric of that name. The error names those of the list, the
// nearest word first.
func metricOf(list []Metric, name string) (Metric, error) {
	var names []string
	for _, m := range list {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	slices.SortStableFunc(names, func(x, y string) int { return edits(name, x) - edits(name, y) })
	return Metric{}, fmt.Errorf("space: metric %q: want one of %v", name, names)
}

// edits counts the letters to insert, delete or replace that make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		corner := row[0]
		row[0] = i + 1
		for j := range b {
			replace := corner
			if a[i] != b[j] {
				replace++
			}
			corner = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Piece is a part of a model that is paid for as one: a set of nodes, or one value. A
// subnet pays for nodes when it has any of them, for an initialiser when something reads
// it, for a computed value when it has the node that makes it.
type Piece struct {
	Nodes []*ir.Node // of the model, in its order
	Value string     // an initialiser or a computed value; "" of nodes
	// Price is what a subnet that has the piece pays for it. It depends on what the
	// view shows alone.
	Price func(at *View) (float64, error)
	// Product says that the price is a constant times the sizes of axes of the piece's
	// values, and never an error. A piece that hangs on more choices than a table holds
	// must be one.
	Product bool
	// Parts are paid for in place of a piece that hangs on more choices than a table
	// holds, and are products; nil: such a piece is an error.
	Parts func() []*Piece
	// when overrides when a subnet has the piece.
	when *presence
}

// name is the piece's address in errors.
func (p *Piece) name() string {
	if len(p.Nodes) == 0 {
		return fmt.Sprintf("value %q", p.Value)
	}
	var names []string
	for _, n := range p.Nodes {
		names = append(names, fmt.Sprintf("%q (%s)", n.Label(), n.OpType))
	}
	return "node " + strings.Join(names, " + ")
}

// values lists what the piece's sizes are sizes of, some more than once.
func (p *Piece) values() []string {
	if len(p.Nodes) == 0 {
		return []string{p.Value}
	}
	var out []string
	for _, n := range p.Nodes {
		out = append(out, n.Inputs...)
		out = append(out, n.Outputs...)
	}
	return out
}

// View shows a piece as one subnet has it.
type View struct {
	piece  *Piece
	cost   *pricing
	choice []int
}

func (v *View) open(gate int) bool {
	g := v.cost.net.gates[gate]
	return g.Open[v.choice[g.dim]]
}

// Sites returns those of the piece's nodes that the subnet has, with the sizes of their
// inputs and outputs in it, for the batch that the facts were inferred at. Attributes and
// known elements are the original's.
func (v *View) Sites() []*ops.Site {
	var out []*ops.Site
	for _, n := range v.piece.Nodes {
		if !v.cost.nodes[n].holds(v.open) {
			continue
		}
		at := *v.cost.net.An.Facts.Sites[n]
		at.In, at.Out = slices.Clone(at.In), slices.Clone(at.Out)
		for i := range at.In {
			at.In[i] = v.resized(n.Input(i), at.In[i])
		}
		for i := range at.Out {
			at.Out[i] = v.resized(n.Output(i), at.Out[i])
		}
		out = append(out, &at)
	}
	return out
}

// Shape returns the sizes of the piece's value in the subnet.
func (v *View) Shape() []int {
	return v.resized(v.piece.Value, v.cost.net.An.Facts.Values[v.piece.Value]).Shape()
}

// resized returns a fact whose type has the sizes of the subnet.
func (v *View) resized(value string, f ops.Fact) ops.Fact {
	ts := v.cost.touches[value]
	if len(ts) == 0 {
		return f
	}
	f.Type = f.Type.Clone()
	for _, t := range ts {
		c := v.choice[t.dim]
		for k := range t.ax.Own {
			if !t.ax.keeps(k, c) {
				f.Type.Shape[t.axis].Size--
			}
		}
	}
	return f
}
