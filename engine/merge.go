package engine

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

func mergeRule(r *rewriter, n prim.Node, _ bool) (prim.Node, prim.ID, error) {
	n.Prim, n.In = r.merge(n.Prim, n.In)
	return n, prim.Invalid, nil
}

// merge rewrites a node in terms of its operands' producers.
func (r *rewriter) merge(p prim.Prim, in []prim.ID) (prim.Prim, []prim.ID) {
	switch p := p.(type) {
	case prim.Reshape:
		switch q := r.out.Nodes[in[0]].Prim.(type) {
		case prim.Reshape:
			return p, r.through(in[0])
		case prim.Map:
			if len(r.out.Nodes[in[0]].In) == 0 {
				q.Shape = p.Shape
				return q, nil
			}
		}
	case prim.Transpose:
		if q, ok := r.out.Nodes[in[0]].Prim.(prim.Transpose); ok {
			perm := make([]int, len(p.Perm))
			for i, a := range p.Perm {
				perm[i] = q.Perm[a]
			}
			return prim.Transpose{Perm: perm}, r.through(in[0])
		}
	case prim.MatMul:
		return r.mergeMatMul(p, in)
	case prim.Map:
		p.Expr, in = r.mergeExpr(p.Expr, p.Compute, p.Shape, in)
		return p, in
	case prim.Reduce:
		p.Expr, in = r.mergeExpr(p.Expr, p.Compute, p.Shape, in)
		return p, in
	}
	return p, in
}

// through returns the operands of a node that a consumer is going to read itself.
// They lose their claim to a single use when the node lives on for others.
func (r *rewriter) through(id prim.ID) []prim.ID {
	in := r.out.Nodes[id].In
	if !r.single[id] {
		for _, x := range in {
			r.single[x] = false
		}
	}
	return in
}

// mergeMatMul reads an operand with its last two axes swapped from before the swap.
func (r *rewriter) mergeMatMul(p prim.MatMul, in []prim.ID) (prim.Prim, []prim.ID) {
	in = slices.Clone(in)
	for k := range in {
		n := r.out.Nodes[in[k]]
		t, ok := n.Prim.(prim.Transpose)
		if !ok || !swapsLast(t.Perm) {
			continue
		}
		in[k] = r.through(in[k])[0]
		if k == 0 {
			p.TransA = !p.TransA
		} else {
			p.TransB = !p.TransB
		}
	}
	return p, in
}

func swapsLast(perm []int) bool {
	n := len(perm)
	if n < 2 || perm[n-1] != n-2 || perm[n-2] != n-1 {
		return false
	}
	return slices.IsSorted(perm[:n-2])
}

// mergeExpr substitutes literals and producers into e, one producer at a time.
func (r *rewriter) mergeExpr(e prim.Expr, compute prim.DType, shape []int, in []prim.ID) (prim.Expr, []prim.ID) {
	e, in = r.literals(e, compute, in)
	for k := 0; k < len(in); {
		sub, operands := r.producer(in[k], compute, shape)
		if sub == nil {
			k++
			continue
		}
		args := make([]*prim.X, len(in))
		args[k] = sub.X(shifted(len(in), len(operands))...)
		merged, all := r.literals(prim.E(e.X(args...)), compute, append(slices.Clone(in), operands...))
		if len(merged) > max(maxInstrs, len(e)) || len(all) > max(maxFused, len(in)) {
			k++
			continue
		}
		r.through(in[k])
		e, in, k = merged, all, 0
	}
	return e, in
}

// shifted returns operands from, from+1, … .
func shifted(from, n int) []*prim.X {
	out := make([]*prim.X, n)
	for i := range out {
		out[i] = prim.A(from + i)
	}
	return out
}

// literals replaces constant operands whose elements are all equal and
// simplifies the expression; operands that it no longer uses go.
func (r *rewriter) literals(e prim.Expr, compute prim.DType, in []prim.ID) (prim.Expr, []prim.ID) {
	args := make([]*prim.X, len(in))
	for k, id := range in {
		c, ok := r.out.Nodes[id].Prim.(prim.Const)
		if !ok {
			continue
		}
		if s := r.splat(c.Value); s.ok {
			v := s.value
			if compute == prim.I64 {
				v = float64(prim.ToInt(v))
			}
			args[k] = prim.L(v)
		}
	}
	e, in = prim.Compact(prim.E(e.X(args...)), in)
	return prim.Compact(e.Simplify(compute), in)
}

// splat tells whether all elements are equal and exact as a literal.
func (r *rewriter) splat(t *prim.Tensor) splat {
	if s, ok := r.splats[t]; ok {
		return s
	}
	s := splat{}
	if n := t.Len(); n > 0 && n <= maxSplatScan {
		s = splat{t.Float(0), true}
		for i := 0; i < n && s.ok; i++ {
			s.ok = t.Float(i) == s.value
		}
		if t.DType == prim.I64 && (s.value > 1<<53 || s.value < -(1<<53)) {
			s.ok = false
		}
	}
	r.splats[t] = s
	return s
}

// producer returns the expression and operands of a Map that a consumer of that
// compute type and domain may evaluate itself, nil when it should read the value.
func (r *rewriter) producer(id prim.ID, compute prim.DType, shape []int) (prim.Expr, []prim.ID) {
	n := r.out.Nodes[id]
	m, ok := n.Prim.(prim.Map)
	if !ok {
		return nil, nil
	}
	if len(m.Expr) == 1 {
		switch m.Expr[0].Code {
		case prim.Lit:
			if exactLiteral(m.Expr[0].Value, m, compute) {
				return m.Expr, nil
			}
		case prim.Arg:
			if exactCopy(r.typ(n.In[0]).DType, m, compute) {
				return m.Expr, n.In
			}
		}
	}
	if !r.single[id] || !slices.Equal(m.Shape, shape) || m.Compute != compute {
		return nil, nil
	}
	switch m.Out {
	case compute:
		return m.Expr, n.In
	case prim.Bool:
		if yields01(m.Expr) {
			return m.Expr, n.In
		}
		return prim.E(prim.Op(prim.Ne, m.Expr.X(), prim.L(0))), n.In
	}
	return nil, nil
}

// exactLiteral reports whether the consumer reads the literal unchanged.
func exactLiteral(v float64, m prim.Map, compute prim.DType) bool {
	if m.Out == prim.Bool || m.Out.Half() {
		return v == 0 || v == 1
	}
	whole := v == float64(prim.ToInt(v))
	return (m.Compute == m.Out && m.Out == compute) || whole && v > -(1<<24) && v < 1<<24
}

// exactCopy reports whether reading the operand (of dtype from) as compute equals
// reading the copy: no rounding or truncation on the way that is not there directly.
func exactCopy(from prim.DType, m prim.Map, compute prim.DType) bool {
	switch {
	case from == m.Compute && m.Compute == m.Out, from == prim.Bool:
		return true
	case m.Out == prim.Bool:
		return false
	}
	return m.Out == compute && (m.Compute == from || m.Compute == m.Out)
}

// yields01 reports whether the root of e is a comparison or logic.
func yields01(e prim.Expr) bool {
	switch e[len(e)-1].Code {
	case prim.Lt, prim.Le, prim.Eq, prim.Ne, prim.And, prim.Or, prim.Xor, prim.Not, prim.IsNaN, prim.IsInf:
		return true
	}
	return false
}
