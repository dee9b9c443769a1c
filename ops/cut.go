package ops

import "github.com/entangle-nas/entangle/ir"

// Cut is what an operator's Cut rule works on: the node is about to see smaller
// inputs and must be edited so that it gives the smaller outputs. Initialisers
// that carry data are sliced by the caller, along the axes that links reach; the
// rule edits attributes (group, kernel_shape, …) and integer constants that
// hide sizes (Reshape target, Split lengths, Slice ends, Expand shape, Pad amounts).
type Cut struct {
	*Site             // facts before the cut; Node is the copy to edit
	Keep  []Positions // per input, then
	KeepO []Positions // per output: which positions stay along each axis
	// SetConst replaces the constant behind input i for this node alone (the caller
	// gives it a fresh name when other nodes share it).
	SetConst func(i int, t *ir.Tensor)
}

// Positions holds, per axis of one value, the kept positions in ascending order;
// a nil entry keeps all. A nil Positions keeps the value whole.
type Positions [][]int

// Len returns the size after the cut of an axis that had size n.
func (p Positions) Len(axis, n int) int {
	if axis < len(p) && p[axis] != nil {
		return len(p[axis])
	}
	return n
}

// Shape returns the sizes after the cut.
func (p Positions) Shape(shape []int) []int {
	out := make([]int, len(shape))
	for i, n := range shape {
		out[i] = p.Len(i, n)
	}
	return out
}

// Changed reports whether any axis loses positions.
func (p Positions) Changed() bool {
	for _, k := range p {
		if k != nil {
			return true
		}
	}
	return false
}
