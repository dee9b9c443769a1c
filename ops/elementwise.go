package ops

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// wantRank checks that input i has at least the given rank.
func (s *Site) wantRank(i, least int) error {
	if r := s.Input(i).Type.Rank(); r < least {
		return s.Errorf("infer", "input %d %q: rank: want at least %d, got %d", i, s.Node.Input(i), least, r)
	}
	return nil
}

// broadcastDims returns the multidirectional broadcast of shapes that may hold unknown sizes.
func broadcastDims(shapes ...[]ir.Dim) ([]ir.Dim, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]ir.Dim, rank)
	for k := range out {
		d := ir.Dim{Size: 1}
		for _, s := range shapes {
			i := k - rank + len(s)
			if i < 0 {
				continue
			}
			var err error
			if d, err = broadcastDim(d, s[i]); err != nil {
				return nil, fmt.Errorf("shapes: want sizes that broadcast, got %s", printShapes(shapes))
			}
		}
		out[k] = d
	}
	return out, nil
}

func broadcastDim(x, y ir.Dim) (ir.Dim, error) {
	switch {
	case x.Size == 1:
		return y, nil
	case y.Size == 1:
		return x, nil
	case x.Known() && y.Known():
		if x.Size != y.Size {
			return x, fmt.Errorf("sizes %d and %d", x.Size, y.Size)
		}
		return x, nil
	case x.Known():
		return x, nil
	case y.Known():
		return y, nil
	case x.Param == y.Param:
		return x, nil
	}
	return ir.Dim{Size: -1}, nil
}

func printShapes(shapes [][]ir.Dim) string {
	text := ""
	for i, s := range shapes {
		if i > 0 {
			text += " and "
		}
		text += fmt.Sprint(s)
	}
	return text
}

// sameDim reports two dimensions known to have one size, larger than 1.
func sameDim(x, y ir.Dim) bool {
	if x.Known() || y.Known() {
		return x.Size == y.Size && x.Size != 1
	}
	return x.Param != "" && x.Param == y.Param
}

// trailing returns the number of axes of size 1 that operand i is understood to
// end in. It is 0 except for a second operand before opset 7, whose first axis
// then aligns with attribute "axis" of the first operand (axis 1 for PRelu).
func (s *Site) trailing(i int) int {
	if s.Opset >= 7 || i != 1 || len(s.In) != 2 {
		return 0
	}
	x, y := s.In[0].Type.Rank(), s.In[1].Type.Rank()
	axis := x - y
	switch a := s.Node.Attr("axis"); {
	case a != nil && a.Kind == ir.AttrInt:
		if axis = int(a.I); axis < 0 {
			axis += x
		}
	case s.Node.OpType == "PRelu" && y == 1:
		axis = 1
	}
	return max(x-y-max(axis, 0), 0)
}

// alignedDims returns the dimensions of input i with its trailing axes.
func (s *Site) alignedDims(i int) []ir.Dim {
	d := s.dimsOf(i)
	for range s.trailing(i) {
		d = append(d, ir.Dim{Size: 1})
	}
	return d
}

// aligned returns the operands, each with its trailing axes.
func (l *Lowering) aligned() []prim.ID {
	out := slices.Clone(l.In)
	for i, id := range out {
		if n := l.trailing(i); n > 0 && id != prim.Invalid {
			out[i] = l.B.Reshape(id, append(slices.Clone(l.B.Shape(id)), slices.Repeat([]int{1}, n)...)...)
		}
	}
	return out
}

// fits reports whether y broadcasts to x without making it larger.
func fits(x, y []ir.Dim) bool {
	all, err := broadcastDims(x, y)
	if err != nil || len(all) != len(x) {
		return false
	}
	for i, d := range x {
		if d.Known() && all[i].Size != d.Size {
			return false
		}
	}
	return true
}

// oneElem checks that the inputs from the given one on have one element type.
func (s *Site) oneElem(first int) error {
	for i := first + 1; i < len(s.Node.Inputs); i++ {
		if d := s.elem(i); s.Input(i).Present() && d != s.elem(first) {
			return s.Errorf("infer", "input %d %q: element type: want %s like input %d, got %s", i, s.Node.Input(i), s.elem(first), first, d)
		}
	}
	return nil
}

// broadcastInfer returns an Infer for elementwise operators over all inputs, of
// which there are at least and at most the given numbers (any when most < 0), of
// one element type from input typed on.
// elem gives the result's element type; nil means input 0's.
func broadcastInfer(least, most, typed int, elem func(s *Site) ir.DType) func(s *Site) ([]Fact, error) {
	return func(s *Site) ([]Fact, error) {
		if err := s.inputs("infer", max(least, len(s.Node.Inputs)), most); err != nil {
			return nil, err
		}
		if err := s.oneElem(typed); err != nil {
			return nil, err
		}
		shapes := make([][]ir.Dim, len(s.Node.Inputs))
		for i := range shapes {
			shapes[i] = s.alignedDims(i)
		}
		dims, err := broadcastDims(shapes...)
		if err != nil {
			return nil, s.Errorf("infer", "%w", err)
		}
		d := s.In[0].Type.Elem
		if elem != nil {
			d = elem(s)
		}
		return []Fact{tensorFact(d, dims)}, nil
	}
}

func boolElem(*Site) ir.DType { return ir.Bool }

// broadcastAxes ties axes of equal size of every input to output 0.
func broadcastAxes(s *Site, a *Axes) {
	for i := range s.Node.Inputs {
		tieBroadcast(s, a, i, 0, Carried)
	}
}

// tieBroadcast ties the axes of input i to those of output k under trailing alignment.
func tieBroadcast(s *Site, a *Axes, i, k int, role Role) {
	if !s.Input(i).Present() || k >= len(s.Out) {
		return
	}
	x, y := s.alignedDims(i), s.Out[k].Type.Shape
	for n := range len(s.In[i].Type.Shape) {
		if m := n + len(y) - len(x); m >= 0 && sameDim(x[n], y[m]) {
			a.Tie(role, In(i, n), Out(k, m))
		}
	}
}

// sameInfer gives output 0 the type of input 0.
func sameInfer(s *Site) ([]Fact, error) {
	if err := s.inputs("infer", 1, -1); err != nil {
		return nil, err
	}
	return []Fact{tensorFact(s.In[0].Type.Elem, s.In[0].Type.Shape)}, nil
}

// carryAxes ties every axis of input 0 to the same axis of output 0, except the given ones.
func carryAxes(s *Site, a *Axes, except ...int) {
	for n := range s.In[0].Type.Shape {
		skip := false
		for _, e := range except {
			skip = skip || e == n
		}
		if !skip {
			a.Tie(Carried, In(0, n), Out(0, n))
		}
	}
}

// wrap reduces an I64 expression to the width and sign of an integer type; other types pass.
func wrap(d ir.DType, x *prim.X) *prim.X {
	bits := d.Bits()
	if !d.IsInt() || bits >= 64 {
		return x
	}
	span := float64(uint64(1) << bits)
	switch d {
	case ir.Int8, ir.Int16, ir.Int32:
		return prim.Op(prim.Sub, prim.Op(prim.Mod, prim.Op(prim.Add, x, prim.L(span/2)), prim.L(span)), prim.L(span/2))
	}
	return prim.Op(prim.Mod, x, prim.L(span))
}

// elem returns the ONNX element type of input i.
func (s *Site) elem(i int) ir.DType { return s.Input(i).Type.Elem }

// numeric returns an error for inputs whose element type does not compute.
func (l *Lowering) numeric() error {
	for i := range l.Node.Inputs {
		if f := l.Input(i); f.Present() && !f.Type.Elem.IsFloat() && !f.Type.Elem.IsInt() && f.Type.Elem != ir.Bool {
			return l.Errorf("lower", "input %d %q: element type: want a float, an integer or bool, got %s", i, l.Node.Input(i), f.Type.Elem)
		}
	}
	return nil
}

// scalar returns the constant behind input i when it has one element and is known.
func (s *Site) scalar(i int) (float64, bool) {
	f := s.Input(i)
	if f.Const == nil || f.Const.Len() != 1 {
		return 0, false
	}
	v, err := f.Const.Float64s()
	if err != nil || len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// one wraps the single result of a lowering.
func one(id prim.ID) []prim.ID { return []prim.ID{id} }

// padOutputs fills up a result list to the node's outputs with Invalid.
func (l *Lowering) padOutputs(ids ...prim.ID) []prim.ID {
	for len(ids) < len(l.Node.Outputs) {
		ids = append(ids, prim.Invalid)
	}
	return ids[:max(len(l.Node.Outputs), 1)]
}
