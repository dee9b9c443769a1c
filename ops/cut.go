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
	// Now holds the facts of the inputs after the cut.
	Now []Fact
	// Open holds the facts of the outputs before the cut with every dynamic dimension
	// left open; nil when they are not known.
	Open []Fact
	// AddConst makes the node read the sum of input i and a constant of its type.
	AddConst func(i int, t *ir.Tensor)
}

// now returns the elements of integer input i after the cut, as far as they are known.
func (c *Cut) now(i int) ([]Elem, bool) {
	if i >= len(c.Now) || !c.Now[i].Present() {
		return nil, false
	}
	s := *c.Site
	s.In = c.Now
	return s.elems(i)
}

// dynamic reports whether axis j of output 0 has a size that the model leaves open.
func (c *Cut) dynamic(j int) bool {
	if len(c.Open) == 0 {
		return false
	}
	d := c.Open[0].Type.Shape
	return j < len(d) && !d[j].Known()
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
