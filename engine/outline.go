package engine

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Outlining pays when the domain has at least minDomain elements and the part is
// at least minShrink times smaller.
const (
	minDomain = 4096
	minShrink = 8
)

func outlineRule(r *rewriter, n prim.Node, _ bool) (prim.Node, prim.ID, error) {
	var err error
	n.Prim, n.In, err = r.outline(n.Prim, n.In)
	return n, prim.Invalid, err
}

// outline computes the parts of an expression that depend on small broadcast
// operands only in Maps of their own, once instead of once per element of the domain.
func (r *rewriter) outline(p prim.Prim, in []prim.ID) (prim.Prim, []prim.ID, error) {
	switch p := p.(type) {
	case prim.Map:
		e, in, err := r.outlineExpr(p.Expr, p.Compute, p.Shape, in)
		p.Expr = e
		return p, in, err
	case prim.Reduce:
		e, in, err := r.outlineExpr(p.Expr, p.Compute, p.Shape, in)
		p.Expr = e
		return p, in, err
	}
	return p, in, nil
}

func (r *rewriter) outlineExpr(e prim.Expr, compute prim.DType, domain []int, in []prim.ID) (prim.Expr, []prim.ID, error) {
	if prim.Prod(domain) < minDomain {
		return e, in, nil
	}
	for len(in) < maxFused {
		i, shape := r.smallPart(e, domain, in)
		if i < 0 {
			break
		}
		part, operands := prim.Compact(prim.E(e[:i+1].X()), in)
		id, err := r.add(prim.Map{Expr: part, Compute: compute, Out: compute, Shape: shape}, operands, prim.Type{DType: compute, Shape: shape}, true)
		if err != nil {
			return e, in, err
		}
		e = slices.Clone(e)
		e[i] = prim.Instr{Code: prim.Arg, Index: len(in)}
		e, in = prim.Compact(prim.E(e.X()), append(slices.Clone(in), id))
	}
	return e, in, nil
}

// smallPart returns the last instruction worth outlining, which no larger part
// contains, and its broadcast shape; -1 when there is none.
func (r *rewriter) smallPart(e prim.Expr, domain []int, in []prim.ID) (int, []int) {
	shapes := make([][]int, len(e))
	ones := slices.Repeat([]int{1}, len(domain))
	best := -1
	for i, ins := range e {
		shapes[i] = ones
		switch ins.Code {
		case prim.Arg:
			shapes[i] = r.typ(in[ins.Index]).Shape
		case prim.Lit:
		default:
			for _, x := range []int{ins.A, ins.B, ins.C}[:ins.Code.Arity()] {
				shapes[i] = larger(shapes[i], shapes[x])
			}
			if prim.Prod(shapes[i])*minShrink <= prim.Prod(domain) {
				best = i
			}
		}
	}
	if best < 0 {
		return -1, nil
	}
	return best, shapes[best]
}

// larger returns the broadcast of two shapes of one rank.
func larger(x, y []int) []int {
	out := slices.Clone(x)
	for a, n := range y {
		if n != 1 {
			out[a] = n
		}
	}
	return out
}
