package ops

import "github.com/entangle-nas/entangle/ir"

// tensorFact is a computed tensor of the given dimensions.
func tensorFact(elem ir.DType, dims []ir.Dim) Fact {
	return Fact{Type: ir.Type{Kind: ir.KindTensor, Elem: elem, Ranked: true, Shape: dims}}
}

// unrankedFact is a computed tensor of unknown rank.
func unrankedFact(elem ir.DType) Fact {
	return Fact{Type: ir.Type{Kind: ir.KindTensor, Elem: elem}}
}

// unknownDims returns n dimensions of unknown size.
func unknownDims(n int) []ir.Dim {
	d := make([]ir.Dim, n)
	for i := range d {
		d[i].Size = -1
	}
	return d
}

// dimsOf returns a copy of the dimensions of input i, which must be ranked.
func (s *Site) dimsOf(i int) []ir.Dim {
	return append([]ir.Dim{}, s.In[i].Type.Shape...)
}

// sameDim reports whether two dimensions are equal for certain.
func sameDim(a, b ir.Dim) bool {
	if a.Known() || b.Known() {
		return a.Size == b.Size
	}
	return a.Param != "" && a.Param == b.Param
}

// normAxis maps an axis in [-rank, rank) to [0, rank).
func (s *Site) normAxis(stage string, axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, s.Errorf(stage, "axis: want one of a value of rank %d, got %d", rank, axis)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// inputs reports an error unless the node has at least min present inputs at its front and at most max (any number when max < 0).
func (s *Site) inputs(stage string, min, max int) error {
	for i := range min {
		if !s.Input(i).Present() {
			return s.Errorf(stage, "inputs: want at least %d, got %d", min, len(s.Node.Inputs))
		}
	}
	if max >= 0 && len(s.Node.Inputs) > max {
		return s.Errorf(stage, "inputs: want at most %d, got %d", max, len(s.Node.Inputs))
	}
	return nil
}
