package space

import (
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Params names the metric of trained numbers.
const Params = "params"

var paramsMetric = Metric{
	Name:  Params,
	Title: "parameters",
	Doc:   "trained parameters: elements of floating initialisers but running statistics",
	Sums: func(s *Supernet) ([][]*Piece, error) {
		state := map[string]bool{}
		for _, n := range s.An.Model.Graph.Nodes {
			if op := ops.Lookup(n.Domain, n.OpType); op != nil {
				for _, i := range op.State {
					state[n.Input(i)] = true
				}
			}
		}
		var sum []*Piece
		for _, t := range s.An.Model.Graph.Inits {
			if t.DType.IsFloat() && !state[t.Name] {
				sum = append(sum, elements(t.Name, 1))
			}
		}
		return [][]*Piece{sum}, nil
	},
}

// elements is a value that costs as much per element.
func elements(value string, each float64) *Piece {
	return &Piece{Value: value, Product: true, Price: func(at *View) (float64, error) {
		return each * float64(ir.Prod(at.Shape())), nil
	}}
}
