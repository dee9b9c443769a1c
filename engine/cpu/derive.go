package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// derive returns p with operands computed again inside the expressions that read all
// they are computed from anyway, be it for another fold of the same pass: one tensor
// less is read. Node numbers stay.
func derive(p *prim.Program) *prim.Program {
	q := &prim.Program{Nodes: slices.Clone(p.Nodes), Inputs: p.Inputs, Outputs: p.Outputs}
	live := p.Live()
	passes := map[string][]prim.Node{} // folds by domain
	for i, n := range p.Nodes {
		if r, ok := n.Prim.(prim.Reduce); ok && live[i] {
			passes[domainKey(r)] = append(passes[domainKey(r)], n)
		}
	}
	for i, n := range q.Nodes {
		if f, ok := n.Prim.(fused); ok && live[i] {
			q.Nodes[i] = deriveBehind(p, prim.ID(i), n, f)
			continue
		}
		e, shape, ok := expressionOf(n.Prim)
		if !ok || !live[i] {
			continue
		}
		reads := n.In
		if r, ok := n.Prim.(prim.Reduce); ok {
			for _, other := range passes[domainKey(r)] {
				if slices.ContainsFunc(other.In, func(id prim.ID) bool { return slices.Contains(n.In, id) && slices.Equal(p.Nodes[id].Type.Shape, shape) }) {
					reads = append(slices.Clone(reads), other.In...)
				}
			}
		}
		replaced := func(in prim.ID) bool { return isDerived(p, e, in, shape, reads) }
		if !slices.ContainsFunc(n.In, replaced) {
			continue
		}
		e, n.In = substitute(p, e, n.In, replaced)
		e = unclamped(e, len(n.In))
		n.Prim = withExpression(n.Prim, e)
		q.Nodes[i] = n
	}
	return q
}

// deriveBehind does so for the Map behind a product, which reads what the folds over
// its result read.
func deriveBehind(p *prim.Program, id prim.ID, n prim.Node, f fused) prim.Node {
	reads := n.In[2:]
	for _, o := range p.Nodes {
		if _, ok := o.Prim.(prim.Reduce); ok && slices.Contains(o.In, id) {
			reads = append(slices.Clone(reads), o.In...)
		}
	}
	e := f.then.Expr
	replaced := func(in prim.ID) bool { return in != id && isDerived(p, e, in, f.then.Shape, reads) }
	if !slices.ContainsFunc(n.In[2:], replaced) {
		return n
	}
	// Operand 0 of the Map is the result itself.
	e, in := substitute(p, e, append([]prim.ID{id}, n.In[2:]...), replaced)
	if in[0] != id {
		panic("BUG: cpu: a Map behind a product does not read it first")
	}
	f.then.Expr = unclamped(e, len(in))
	n.Prim, n.In = f, append(slices.Clone(n.In[:2]), in[1:]...)
	return n
}

// isDerived reports whether operand in of expression e is computed from what is read
// anyway, by little work.
func isDerived(p *prim.Program, e prim.Expr, in prim.ID, shape []int, reads []prim.ID) bool {
	from := p.Nodes[in]
	m, ok := from.Prim.(prim.Map)
	if !ok || m.Compute != prim.F32 || m.Out != prim.F32 || !slices.Equal(m.Shape, shape) || len(e)+len(m.Expr) > inlineLimit || !cheap(p, from, m.Expr) {
		return false
	}
	full := 0
	for _, id := range from.In {
		if !slices.Equal(p.Nodes[id].Type.Shape, shape) {
			continue
		}
		if full++; !slices.Contains(reads, id) {
			return false
		}
	}
	return full > 0
}

// unclamped compares what is clamped from below, by no more than what it is compared
// with, as it is.
func unclamped(e prim.Expr, args int) prim.Expr {
	changed := false
	for i, in := range e {
		if in.Code != prim.Lt || e[in.A].Code != prim.Lit || e[in.B].Code != prim.Max {
			continue
		}
		a, b := e[in.B].A, e[in.B].B
		if e[a].Code == prim.Lit {
			a, b = b, a
		}
		if e[b].Code == prim.Lit && e[b].Value <= e[in.A].Value {
			e[i].B = a
			changed = true
		}
	}
	if !changed {
		return e
	}
	x := make([]*prim.X, args)
	for k := range x {
		x[k] = prim.A(k)
	}
	return prim.E(e.X(x...))
}
