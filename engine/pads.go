package engine

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

func joinPadsRule(r *rewriter, n prim.Node, _ bool) (prim.Node, prim.ID, error) {
	var err error
	n.Prim, n.In, err = r.joinPads(n.Prim, n.In)
	return n, prim.Invalid, err
}

// joinPads rewrites a sum of values that were padded with zeros along one axis to
// disjoint places, which fill the axis, as their Concat: that is how gradients of
// slices that cover a value arrive. It leaves other terms of the sum alone.
func (r *rewriter) joinPads(p prim.Prim, in []prim.ID) (prim.Prim, []prim.ID, error) {
	m, ok := p.(prim.Map)
	if !ok || !m.Compute.Float() || m.Out != m.Compute || len(m.Expr) < 3 {
		return p, in, nil
	}
	terms := operandsOf(prim.Add, m.Expr)
	padded := make([][]int, len(m.Shape)) // terms by the axis of their padding
	for t, i := range terms {
		if a := r.paddedAxis(m, in, i); a >= 0 {
			padded[a] = append(padded[a], t)
		}
	}
	for axis, parts := range padded {
		pad := func(t int) prim.Node { return r.out.Nodes[in[m.Expr[terms[t]].Index]] }
		slices.SortStableFunc(parts, func(x, y int) int { return pad(x).Prim.(prim.Pad).Lo[axis] - pad(y).Prim.(prim.Pad).Lo[axis] })
		end := 0
		var operands []prim.ID
		for _, t := range parts {
			n := pad(t)
			if n.Prim.(prim.Pad).Lo[axis] != end {
				break
			}
			end += r.typ(n.In[0]).Shape[axis]
			operands = append(operands, n.In[0])
		}
		if len(operands) < 2 || len(operands) != len(parts) || end != m.Shape[axis] {
			continue
		}
		typ := prim.Type{DType: m.Out, Shape: m.Shape}
		id, err := r.add(prim.Concat{Axis: axis}, operands, typ, true)
		if err != nil {
			return nil, nil, err
		}
		sum := prim.A(len(in))
		for t, i := range terms {
			if !slices.Contains(parts, t) {
				sum = prim.Op(prim.Add, sum, m.Expr[:i+1].X())
			}
		}
		m.Expr, in = prim.Compact(prim.E(sum), append(slices.Clone(in), id))
		return m, in, nil
	}
	return p, in, nil
}

// paddedAxis returns the axis along which instruction i, which nothing else of m
// reads, is padded with zeros, -1 when it is not of that kind.
func (r *rewriter) paddedAxis(m prim.Map, in []prim.ID, i int) int {
	if m.Expr[i].Code != prim.Arg {
		return -1
	}
	uses := 0
	for _, x := range m.Expr {
		for _, o := range []int{x.A, x.B, x.C}[:x.Code.Arity()] {
			if o == i {
				uses++
			}
		}
	}
	id := in[m.Expr[i].Index]
	p, ok := r.out.Nodes[id].Prim.(prim.Pad)
	if !ok || uses != 1 || !r.single[id] || p.Value != 0 || r.typ(id).DType != m.Out || !slices.Equal(r.typ(id).Shape, m.Shape) {
		return -1
	}
	axis := -1
	for a := range p.Lo {
		switch {
		case p.Interior[a] != 0 || p.Lo[a] < 0 || p.Hi[a] < 0:
			return -1
		case p.Lo[a] == 0 && p.Hi[a] == 0:
		case axis >= 0:
			return -1
		default:
			axis = a
		}
	}
	return axis
}
