package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Linear sees a node as products of matrices, one per group: units × features of weights by
// features × positions of what it reads, units × positions of what it writes, and a bias per
// unit.
type Linear struct {
	Weight, Bias int // inputs; Bias is -1 without one
	Groups       int
	Units        int // of a group
	Features     int // of a group
	// Units lie, group by group, along these axes of the weight and of the output.
	WeightAxis, Axis int
	// Index returns the place in the weight, row-major, of a group's unit and feature.
	Index func(group, unit, feature int) int
	// Columns turns the data [...] into [groups, features, positions], or [features,
	// positions] where there is one group.
	Columns func(b *prim.Builder, x prim.ID) prim.ID
	// Rows turns the output likewise into units × positions.
	Rows func(b *prim.Builder, y prim.ID) prim.ID
}

// Linear returns the node as products; nil where it is none, or its weight no initialiser.
func (s *Site) Linear() *Linear {
	op := s.Rules()
	if op == nil || op.Linear == nil {
		return nil
	}
	l := op.Linear(s)
	if l == nil || !s.Input(l.Weight).Weight || l.Bias >= 0 && !s.Input(l.Bias).Weight {
		return nil
	}
	return l
}

func linearConv(s *Site) *Linear {
	w, err := convWindow(s)
	if err != nil {
		return nil
	}
	k, g := s.In[1].Shape(), s.group()
	l := &Linear{Weight: 1, Bias: -1, Groups: g, Units: k[0] / g, Features: prim.Prod(k[1:]), WeightAxis: 0, Axis: 1}
	if s.Input(2).Present() {
		l.Bias = 2
	}
	l.Index = func(group, unit, feature int) int { return (group*l.Units+unit)*l.Features + feature }
	l.Columns = func(b *prim.Builder, x prim.ID) prim.ID { return l.grouped(b, patches(b, x, w), l.Features) }
	l.Rows = func(b *prim.Builder, y prim.ID) prim.ID { return l.grouped(b, channelsFirst(b, y), l.Units) }
	return l
}

// patches lists, for every position of a window over x [n, c, s...], what it covers: [c, kernel,
// n, out...].
func patches(b *prim.Builder, x prim.ID, w window) prim.ID {
	shape := b.Shape(x)
	g := w.geometry(shape[2:])
	x = b.Pad(channelsFirst(b, x), append([]int{0, 0}, g.PadLo...), append([]int{0, 0}, g.PadHi...), 0)
	var parts []prim.ID
	for at := range prim.Prod(w.kernel) {
		start, step, size := []int{0, 0}, []int{1, 1}, []int{shape[1], shape[0]}
		for i, rest := len(w.kernel)-1, at; i >= 0; i-- {
			start = slices.Insert(start, 2, rest%w.kernel[i]*g.Dilations[i])
			rest /= w.kernel[i]
		}
		size, step = append(size, w.out...), append(step, g.Strides...)
		one := b.Slice(x, start, size, step)
		parts = append(parts, b.Reshape(one, slices.Insert(slices.Clone(size), 1, 1)...))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return b.Concat(1, parts...)
}

// channelsFirst moves axis 1 to the front.
func channelsFirst(b *prim.Builder, x prim.ID) prim.ID {
	perm := []int{1, 0}
	for i := 2; i < len(b.Shape(x)); i++ {
		perm = append(perm, i)
	}
	return b.Transpose(x, perm...)
}

// grouped gives x, whose leading axes are groups and rows of a group, the shape of Columns.
func (l *Linear) grouped(b *prim.Builder, x prim.ID, rows int) prim.ID {
	shape := []int{rows, prim.Prod(b.Shape(x)) / (l.Groups * rows)}
	if l.Groups > 1 {
		shape = slices.Insert(shape, 0, l.Groups)
	}
	return b.Reshape(x, shape...)
}

func linearMatMul(s *Site) *Linear {
	k := s.In[1].Shape()
	if len(k) != 2 || len(s.In[0].Shape()) < 2 {
		return nil
	}
	l := &Linear{Weight: 1, Bias: -1, Groups: 1, Units: k[1], Features: k[0], WeightAxis: 1, Axis: len(s.Out[0].Shape()) - 1}
	l.Index = func(_, unit, feature int) int { return feature*l.Units + unit }
	l.Columns, l.Rows = lastFirst, lastFirst
	return l
}

// lastFirst turns [..., n] into [n, positions].
func lastFirst(b *prim.Builder, x prim.ID) prim.ID {
	shape := b.Shape(x)
	n := shape[len(shape)-1]
	return b.Transpose(b.Reshape(x, prim.Prod(shape)/n, n), 1, 0)
}

func linearGemm(s *Site) *Linear {
	am, _, bk, bn := gemmAxes(s)
	k := s.In[1].Shape()
	if s.Node.Float("alpha", 1) != 1 {
		return nil
	}
	l := &Linear{Weight: 1, Bias: -1, Groups: 1, Units: k[bn], Features: k[bk], WeightAxis: bn, Axis: 1}
	if c := s.Input(2); c.Present() {
		if s.Node.Float("beta", 1) != 1 || len(c.Shape()) == 0 || prim.Prod(c.Shape()) != l.Units || c.Shape()[len(c.Shape())-1] != l.Units {
			return nil
		}
		l.Bias = 2
	}
	l.Index = func(_, unit, feature int) int {
		if bk == 0 {
			return feature*l.Units + unit
		}
		return unit*l.Features + feature
	}
	l.Columns = func(b *prim.Builder, x prim.ID) prim.ID {
		if am == 1 {
			return x
		}
		return b.Transpose(x, 1, 0)
	}
	l.Rows = lastFirst
	return l
}
