package space

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

var headWidthKind = Kind{
	Name: "head-width",
	Doc:  "width of the heads of spelled-out attentions in place of their number, the same in every head: of queries with keys, of values; only where it is asked for by name",
	Find: func(an *Analysis, o Options) []Dim {
		return widthDims(an, o, "head-width", func(g *Group) bool { return g.Widths })
	},
	Bind: bindWidth,
}

// AnalyseFor is the analysis that dims of these kinds are bound to: AnalyseWidths when
// head-width is among them, else Analyse. Nil stands for all kinds but head-width.
func AnalyseFor(m *ir.Model, f *ops.Facts, kinds []string) (*Analysis, error) {
	if slices.Contains(kinds, headWidthKind.Name) {
		return AnalyseWidths(m, f)
	}
	return Analyse(m, f)
}

// Kinds lists the kinds of the space's dims, each once, in their order.
func (s *Space) Kinds() []string {
	var out []string
	for _, d := range s.Dims {
		if !slices.Contains(out, d.Kind) {
			out = append(out, d.Kind)
		}
	}
	return out
}

// CountsUnits reports whether the choices are numbers of units of a group.
func (d Dim) CountsUnits() bool { return d.Kind == widthKind.Name || d.Kind == headWidthKind.Name }
