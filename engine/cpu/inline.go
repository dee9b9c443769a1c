package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// inlineLimit bounds the instructions of an expression that grows by inlining.
const inlineLimit = 40

// inline returns p with elementwise results recomputed inside the expressions
// that use them wherever that moves less memory than storing them. Node numbers
// stay; nodes that are no longer used have no consumers.
func inline(p *prim.Program) *prim.Program {
	q := &prim.Program{Nodes: slices.Clone(p.Nodes), Inputs: p.Inputs, Outputs: p.Outputs}
	users := make([][]int, len(p.Nodes))
	for i, n := range p.Nodes {
		for k, in := range n.In {
			if !slices.Contains(n.In[:k], in) {
				users[in] = append(users[in], i)
			}
		}
	}
	needed := make([]bool, len(p.Nodes)) // as a tensor, by something that is not an expression
	for _, o := range p.Outputs {
		needed[o.ID] = true
	}
	inlined := make([]bool, len(p.Nodes))
	for i, n := range q.Nodes {
		e, shape, ok := expressionOf(n.Prim)
		if !ok {
			continue
		}
		if slices.ContainsFunc(n.In, func(in prim.ID) bool { return inlined[in] }) {
			e, n.In = substitute(q, e, n.In, func(in prim.ID) bool { return inlined[in] })
			n.Prim = withExpression(n.Prim, e)
			q.Nodes[i] = n
		}
		m, isMap := n.Prim.(prim.Map)
		inlined[i] = isMap && m.Out == prim.F32 && !needed[i] && len(users[i]) > 0 && cheap(q, n, e) &&
			worthInlining(q, i, users[i], shape, inlined)
	}
	return q
}

// expressionOf returns the expression and domain of a primitive that computes in float32.
func expressionOf(p prim.Prim) (prim.Expr, []int, bool) {
	switch p := p.(type) {
	case prim.Map:
		return p.Expr, p.Shape, p.Compute == prim.F32
	case prim.Reduce:
		return p.Expr, p.Shape, p.Compute == prim.F32
	}
	return nil, nil, false
}

// withExpression returns a primitive that has an expression with another one.
func withExpression(p prim.Prim, e prim.Expr) prim.Prim {
	switch p := p.(type) {
	case prim.Map:
		p.Expr = e
		return p
	case prim.Reduce:
		p.Expr = e
		return p
	}
	panic("BUG: cpu: " + p.Name() + " has no expression")
}

// substitute replaces operands by their expressions.
func substitute(q *prim.Program, e prim.Expr, in []prim.ID, replaced func(prim.ID) bool) (prim.Expr, []prim.ID) {
	var out []prim.ID
	arg := func(id prim.ID) *prim.X {
		k := slices.Index(out, id)
		if k < 0 {
			k = len(out)
			out = append(out, id)
		}
		return prim.A(k)
	}
	args := make([]*prim.X, len(in))
	for k, id := range in {
		if !replaced(id) {
			args[k] = arg(id)
			continue
		}
		n := q.Nodes[id]
		inner := make([]*prim.X, len(n.In))
		for j, x := range n.In {
			inner[j] = arg(x)
		}
		args[k] = n.Prim.(prim.Map).Expr.X(inner...)
	}
	return prim.E(e.X(args...)), out
}

// cheap reports whether recomputing node n costs little: few instructions, none of
// them slow on elements of full operands.
func cheap(q *prim.Program, n prim.Node, e prim.Expr) bool {
	if len(e) > inlineLimit/2 {
		return false
	}
	full := make([]bool, len(e))
	for i, in := range e {
		if in.Code == prim.Arg {
			full[i] = slices.Equal(q.Nodes[n.In[in.Index]].Type.Shape, n.Type.Shape)
			continue
		}
		for _, r := range operands(in) {
			full[i] = full[i] || full[r]
		}
		if !full[i] {
			continue
		}
		switch in.Code {
		case prim.Lit, prim.Add, prim.Sub, prim.Mul, prim.Max, prim.Min, prim.Lt, prim.Le, prim.Eq, prim.Ne, prim.And, prim.Or, prim.Xor, prim.Select, prim.Neg, prim.Abs, prim.Not:
		default:
			return false
		}
	}
	return true
}

// worthInlining compares the memory that storing node i moves with what its users
// would read instead. Folds over the same axes count as one user.
func worthInlining(q *prim.Program, i int, users []int, shape []int, inlined []bool) bool {
	own := fullOperands(q, i, shape, inlined)
	before, after := len(own)+1, 0
	type group struct{ with, without map[prim.ID]bool }
	groups := map[string]*group{}
	for _, u := range users {
		e, s, ok := expressionOf(q.Nodes[u].Prim)
		if !ok || !slices.Equal(s, shape) || len(e) > inlineLimit {
			return false
		}
		key := "map " + string(rune(u))
		if r, ok := q.Nodes[u].Prim.(prim.Reduce); ok {
			key = "reduce"
			for _, a := range r.Axes {
				key += string(rune('0' + a))
			}
		}
		g := groups[key]
		if g == nil {
			g = &group{map[prim.ID]bool{}, map[prim.ID]bool{}}
			groups[key] = g
		}
		for id := range fullOperands(q, u, shape, inlined) {
			g.without[id] = true
			if id != prim.ID(i) {
				g.with[id] = true
			}
		}
		for id := range own {
			g.with[id] = true
		}
	}
	for _, g := range groups {
		before += len(g.without)
		after += len(g.with)
	}
	return after <= before
}

// fullOperands returns the operands of node i that have the shape of its domain,
// those of inlined operands in their place.
func fullOperands(q *prim.Program, i int, shape []int, inlined []bool) map[prim.ID]bool {
	out := map[prim.ID]bool{}
	var add func(id prim.ID)
	add = func(id prim.ID) {
		switch {
		case inlined[id]:
			for _, in := range q.Nodes[id].In {
				add(in)
			}
		case slices.Equal(q.Nodes[id].Type.Shape, shape):
			out[id] = true
		}
	}
	for _, in := range q.Nodes[i].In {
		add(in)
	}
	return out
}
