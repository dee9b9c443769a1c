package ops

import (
	"errors"
	"strconv"

	"github.com/entangle-nas/entangle/ir"
)

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

// elems returns the elements of integer input i as far as they are known; false when nothing is known of them.
func (s *Site) elems(i int) ([]Elem, bool) {
	f := s.Input(i)
	if f.Const != nil {
		v, err := f.Const.Int64s()
		if err != nil {
			return nil, false
		}
		out := make([]Elem, len(v))
		for k, x := range v {
			out[k] = Elem{Value: int(x), Known: true}
		}
		return out, true
	}
	return f.Partial, f.Partial != nil
}

// dim returns the element as a dimension.
func (e Elem) dim() ir.Dim {
	if e.Known {
		return ir.Dim{Size: e.Value}
	}
	return ir.Dim{Size: -1, Param: e.Param}
}

// free says that positions of an axis are cut without consequence for others.
func (a *Axes) free(x AxisRef) { a.Tie(Carried, x, x) }

// tieAll ties all axes of input i to the same axes of output k, both of one rank.
func (a *Axes) tieAll(s *Site, i, k int, role Role) {
	for d := range s.In[i].Type.Shape {
		a.Tie(role, In(i, d), Out(k, d))
	}
}

// fixAll pins all axes of a value.
func (a *Axes) fixAll(f Fact, ref func(axis int) AxisRef, reason string) {
	for d := range f.Type.Shape {
		a.Fix(ref(d), reason)
	}
}

// inRef and outRef make axis references of one input or output.
func inRef(i int) func(int) AxisRef  { return func(axis int) AxisRef { return In(i, axis) } }
func outRef(k int) func(int) AxisRef { return func(axis int) AxisRef { return Out(k, axis) } }

// int64Tensor returns a 1-D constant of dtype d (an integer type).
func int64Tensor(d ir.DType, v []int) *ir.Tensor {
	x := make([]int64, len(v))
	for i, n := range v {
		x[i] = int64(n)
	}
	t, err := ir.NewInts("", d, []int{len(v)}, x)
	if err != nil {
		panic("BUG: ops: " + err.Error())
	}
	return t
}

// rankOf maps positions to their place among the kept ones; -1 for those that go.
func rankOf(keep []int, n int) []int {
	out := make([]int, n)
	if keep == nil {
		for i := range out {
			out[i] = i
		}
		return out
	}
	for i := range out {
		out[i] = -1
	}
	for r, p := range keep {
		out[p] = r
	}
	return out
}

// kept returns the kept positions of an axis, nil for all.
func (p Positions) kept(axis int) []int {
	if axis < len(p) {
		return p[axis]
	}
	return nil
}

// setInput makes room for input i of the node and gives it a constant.
func (c *Cut) setInput(i int, t *ir.Tensor) {
	for len(c.Node.Inputs) <= i {
		c.Node.Inputs = append(c.Node.Inputs, "")
	}
	c.SetConst(i, t)
}

// removeAttr deletes an attribute.
func removeAttr(n *ir.Node, name string) {
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			n.Attrs = append(n.Attrs[:i], n.Attrs[i+1:]...)
			return
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

var errDiagonal = errors.New("equation: want equal sizes where one operand repeats a label")

var errNoValue = errors.New("attribute \"value\": want a tensor or one of the value_… attributes, got none")

// maxHost bounds the elements of a constant that a lowering computes (indices, sampling matrices, masks).
const maxHost = 1 << 26

// fits reports an error when the product of sizes is more than a computed constant may have.
func (s *Site) fits(what string, sizes ...int) error {
	n := 1
	for _, k := range sizes {
		if k > 0 && n > maxHost/k {
			return s.Errorf("lower", "%s: want at most %d elements, got %v", what, maxHost, sizes)
		}
		n *= max(k, 1)
	}
	return nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
