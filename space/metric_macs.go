package space

import "github.com/entangle-nas/entangle/ir"

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
			if s.An.Facts.Sites[n].Price().MACs == 0 {
				continue
			}
			sum = append(sum, &Piece{Nodes: []*ir.Node{n}, Product: true, Price: func(at *View) (float64, error) {
				return at.Sites()[0].Price().MACs / batch, nil
			}})
		}
		return [][]*Piece{sum}, nil
	},
}
