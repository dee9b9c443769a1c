package engine

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

func hoistRule(r *rewriter, n prim.Node, single bool) (prim.Node, prim.ID, error) {
	rest, after, ok := r.hoist(n.Prim, n.In)
	if !ok {
		return n, prim.Invalid, nil
	}
	sum, err := r.add(rest.Prim, rest.In, rest.Type, true)
	if err != nil {
		return n, prim.Invalid, err
	}
	id, err := r.add(after.Prim, append(slices.Clone(after.In), sum), n.Type, single)
	return n, id, err
}

// hoist splits a sum of products into the sum of the factors that vary along the
// reduced axes, and a Map that multiplies the rest in afterwards; the Map's last
// operand is the sum. Sums that differ only in such factors become one.
func (r *rewriter) hoist(p prim.Prim, in []prim.ID) (rest, after prim.Node, ok bool) {
	sum, isReduce := p.(prim.Reduce)
	if !isReduce || sum.Op != prim.ReduceSum || !sum.Compute.Float() {
		return rest, after, false
	}
	fixed := r.invariant(sum, in)
	var vary, outside *prim.X
	times := func(x *prim.X, i int) *prim.X {
		f := sum.Expr[:i+1].X()
		if x == nil {
			return f
		}
		return prim.Simple(sum.Compute, prim.Mul, x, f)
	}
	for _, i := range operandsOf(prim.Mul, sum.Expr) {
		if fixed[i] {
			outside = times(outside, i)
		} else {
			vary = times(vary, i)
		}
	}
	if vary == nil || outside == nil {
		return rest, after, false
	}
	shape := slices.Clone(sum.Shape)
	for _, a := range sum.Axes {
		shape[a] = 1
	}
	typ := prim.Type{DType: sum.Compute, Shape: shape}
	sum.Expr, rest.In = prim.Compact(prim.E(vary).Simplify(sum.Compute), in)
	rest.Prim, rest.Type = sum, typ
	e, kept := prim.Compact(prim.E(outside), in)
	e = prim.E(prim.Op(prim.Mul, e.X(), prim.A(len(kept))))
	after = prim.Node{Prim: prim.Map{Expr: e, Compute: sum.Compute, Out: sum.Compute, Shape: shape}, In: kept, Type: typ}
	return rest, after, true
}

// invariant tells which instructions do not vary along the reduced axes.
func (r *rewriter) invariant(sum prim.Reduce, in []prim.ID) []bool {
	fixed := make([]bool, len(sum.Expr))
	for i, ins := range sum.Expr {
		fixed[i] = true
		switch ins.Code {
		case prim.Arg:
			s := r.typ(in[ins.Index]).Shape
			for _, a := range sum.Axes {
				fixed[i] = fixed[i] && s[a] == 1
			}
		case prim.Lit:
		default:
			for _, x := range []int{ins.A, ins.B, ins.C}[:ins.Code.Arity()] {
				fixed[i] = fixed[i] && fixed[x]
			}
		}
	}
	return fixed
}

// operandsOf lists the instructions that the expression combines by op alone, in order:
// the terms of a sum, the factors of a product.
func operandsOf(op prim.Code, e prim.Expr) []int {
	var out []int
	var walk func(int)
	walk = func(i int) {
		if e[i].Code == op {
			walk(e[i].A)
			walk(e[i].B)
			return
		}
		out = append(out, i)
	}
	walk(len(e) - 1)
	return out
}
