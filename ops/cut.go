package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

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
	// AddConst makes the node read the sum of input i and a constant of its type, MulConst
	// their product and DivConst their quotient.
	AddConst, MulConst, DivConst func(i int, t *ir.Tensor)
	// At holds the node at other sizes of the dynamic dimensions, one of them changed in
	// each, before and, for its inputs, after the cut.
	At []CutAt
}

// CutAt is a node at other sizes of a dynamic dimension.
type CutAt struct {
	In, Out []Fact // before the cut
	Now     []Fact // of the inputs, after it
}

// sizesAt returns the sizes that axes have after the cut where they had those of then at
// other sizes of a dynamic dimension: positions that come with it go by the same share.
func sizesAt(keep Positions, base, then []ir.Dim) []ir.Dim {
	out := slices.Clone(then)
	for i := range out {
		k := keep.kept(i)
		switch {
		case k == nil || i >= len(base):
		case base[i].Size == then[i].Size:
			out[i].Size = len(k)
		case base[i].Size > 0:
			out[i] = ir.Dim{Size: then[i].Size * len(k) / base[i].Size}
		}
	}
	return out
}

// follow makes a computed input of integers, now, the wanted ones, by a sum or a
// quotient that also holds at the other sizes; entries that are not positive stay. It
// reports false where there is none.
func (c *Cut) follow(i int, now, want []int, at [][2][]int) bool {
	add, mul, div := make([]int, len(now)), make([]int, len(now)), make([]int, len(now))
	sums, shares := true, true
	for k := range now {
		mul[k], div[k] = 1, 1
		if now[k] <= 0 {
			continue
		}
		add[k] = want[k] - now[k]
		if g := gcd(want[k], now[k]); g > 0 {
			mul[k], div[k] = want[k]/g, now[k]/g
		}
		for _, x := range at {
			sums = sums && x[0][k]+add[k] == x[1][k]
			shares = shares && x[0][k]*mul[k] == x[1][k]*div[k]
		}
	}
	switch {
	case sums && c.AddConst != nil:
		c.AddConst(i, int64Tensor(c.Input(i).Type.Elem, add))
	case shares && c.MulConst != nil:
		if slices.ContainsFunc(mul, func(n int) bool { return n != 1 }) {
			c.MulConst(i, int64Tensor(c.Input(i).Type.Elem, mul))
		}
		if slices.ContainsFunc(div, func(n int) bool { return n != 1 }) {
			c.DivConst(i, int64Tensor(c.Input(i).Type.Elem, div))
		}
	default:
		return false
	}
	return true
}

// integersOf returns the elements of integer input i of a site, which must all be known.
func integersOf(s *Site, in []Fact, i int) ([]int, bool) {
	at := *s
	at.In = in
	if i >= len(in) || !in[i].Present() {
		return nil, false
	}
	e, ok := at.elems(i)
	if !ok || !allKnown(e) {
		return nil, false
	}
	out := make([]int, len(e))
	for k := range e {
		out[k] = e[k].Value
	}
	return out, true
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

// carried reports whether axis j of input 0 has the size of axis j of output 0 also at the
// other sizes.
func (c *Cut) carried(j int) bool {
	for _, at := range c.At {
		if x, y := at.In[0].Type.Shape, at.Out[0].Type.Shape; j >= len(x) || j >= len(y) || !sameDim(x[j], y[j]) {
			return false
		}
	}
	return true
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
