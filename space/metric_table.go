package space

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Table is a metric whose prices come from elsewhere, such as times that a runtime was
// measured at. Pieces lists the sets of nodes that have one price together; prices
// holds, by Signature, the price of a set as a subnet has it. A subnet pays the sum.
// Prices that the space asks for and the table lacks are a *MissingError of Cost; an
// empty table gives the list of all.
func Table(name, unit, doc string, pieces func(s *Supernet) ([][]*ir.Node, error), prices map[string]float64) Metric {
	return Metric{Name: name, Title: name, Unit: unit, Doc: doc, Sums: func(s *Supernet) ([][]*Piece, error) {
		sets, err := pieces(s)
		var sum []*Piece
		for _, nodes := range sets {
			sum = append(sum, &Piece{Nodes: nodes, Price: func(at *View) (float64, error) {
				key := Signature(at.Sites())
				v, ok := prices[key]
				if !ok {
					return 0, noPrice(key)
				}
				return v, nil
			}})
		}
		return [][]*Piece{sum}, err
	}}
}

// maxListed bounds the elements of a constant that Signature spells out.
const maxListed = 16

// Signature names a set of nodes by all that the time they take can hang on: operators,
// attributes, element types and sizes, which outputs the nodes read of each other, and
// the elements of short integer constants. Names of nodes and values are left out.
func Signature(sites []*ops.Site) string {
	number := map[string]string{"": ""}
	var types []string
	rename := func(names []string, facts []ops.Fact) []string {
		out := make([]string, len(names))
		for i, name := range names {
			if _, again := number[name]; !again {
				f := facts[i]
				number[name] = fmt.Sprintf("v%d", len(types))
				text := fmt.Sprintf("%s %s%v", number[name], f.Type.Elem, f.Shape())
				if f.Weight && f.Const != nil && f.Type.Elem.IsInt() && f.Const.Len() <= maxListed {
					elements, _ := f.Const.Int64s()
					text += fmt.Sprintf(" = %v", elements)
				}
				types = append(types, text)
			}
			out[i] = number[name]
		}
		return out
	}
	var nodes []string
	for _, s := range sites {
		n := &ir.Node{Domain: s.Node.Domain, OpType: s.Node.OpType, Attrs: slices.Clone(s.Node.Attrs)}
		for i := range n.Attrs {
			n.Attrs[i].Doc, n.Attrs[i].Extra = "", nil
		}
		slices.SortFunc(n.Attrs, func(x, y ir.Attr) int { return strings.Compare(x.Name, y.Name) })
		n.Inputs, n.Outputs = rename(s.Node.Inputs, s.In), rename(s.Node.Outputs, s.Out)
		nodes = append(nodes, strings.TrimPrefix(n.String(), "node : "))
	}
	return strings.Join(append(nodes, types...), "; ")
}

// noPrice is the error of a price for a signature that a table lacks.
type noPrice string

func (e noPrice) Error() string { return "no price for " + string(e) }

// Missing is a set of nodes, at sizes that some subnet has it at, without a price.
type Missing struct {
	Signature string
	Nodes     []*ir.Node
	Choice    []int // a subnet that has them so, by index per dim
}

// MissingError lists the prices that a metric lacks, each once, in the order of the
// metric's pieces.
type MissingError struct {
	Metric  string
	Missing []Missing
}

// Error names every missing signature with the nodes that ask for it first.
func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "space: metric %q: want a price for each of %d signatures:", e.Metric, len(e.Missing))
	for _, m := range e.Missing {
		fmt.Fprintf(&b, "\n\t%s (%s)", m.Signature, (&Piece{Nodes: m.Nodes}).name())
	}
	return b.String()
}
