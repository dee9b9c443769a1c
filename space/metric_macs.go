package space

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// MACs names the metric of arithmetic.
const MACs = "macs"

var macsMetric = Metric{
	Name:  MACs,
	Title: "MACs",
	Unit:  "MACs",
	Doc:   "multiply-accumulates of one sample in products and convolutions; elementwise work counts 0",
	Sums: func(s *Supernet) ([][]*Piece, error) {
		batch := float64(s.An.Batch)
		var sum []*Piece
		for _, n := range s.An.Model.Graph.Nodes {
			op, site := ops.Lookup(n.Domain, n.OpType), s.An.Facts.Sites[n]
			if op == nil || op.Cost == nil || site == nil || !sized(site) || op.Cost(site).MACs == 0 {
				continue
			}
			sum = append(sum, &Piece{Nodes: []*ir.Node{n}, Product: true, Price: func(at *View) (float64, error) {
				return op.Cost(at.Sites()[0]).MACs / batch, nil
			}})
		}
		return [][]*Piece{sum}, nil
	},
}

// sized reports whether all sizes of a node's values are known; without them it has no price.
func sized(s *ops.Site) bool {
	return !slices.ContainsFunc(slices.Concat(s.In, s.Out), func(f ops.Fact) bool { return f.Present() && !f.Type.Static() })
}
