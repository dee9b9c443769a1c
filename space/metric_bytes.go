package space

// Bytes names the metric of storage.
const Bytes = "bytes"

var bytesMetric = Metric{
	Name:  Bytes,
	Title: "bytes",
	Unit:  "bytes",
	Doc:   "bytes of all initialisers, each in its own element type",
	Sums: func(s *Supernet) ([][]*Piece, error) {
		var sum []*Piece
		for _, t := range s.An.Model.Graph.Inits {
			sum = append(sum, elements(t.Name, float64(t.DType.Bits())/8))
		}
		return [][]*Piece{sum}, nil
	},
}
