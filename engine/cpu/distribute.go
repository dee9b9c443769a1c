package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// distribute splits sums of linear combinations, Σ(a·u + b·v) = a·Σu + b·Σv with a
// and b constant along the summed axes, where an earlier fold passes over the same
// operands: the parts join that pass and one pass over memory is saved.
func distribute(p *prim.Program) *prim.Program {
	live := p.Live()
	inserted := make([][]insertion, len(p.Nodes)) // behind a node
	replaced := map[int]prim.Node{}
	parts := 0
	for i, n := range p.Nodes {
		r, ok := n.Prim.(prim.Reduce)
		if !ok || !live[i] || r.Op != prim.ReduceSum || r.Compute != prim.F32 {
			continue
		}
		terms, ok := linearTerms(p, n, r)
		if !ok {
			continue
		}
		host := passBefore(p, live, replaced, i, r, terms)
		if host < 0 {
			continue
		}
		var sum *prim.X
		m := prim.Node{Type: n.Type}
		arg := func(id prim.ID) *prim.X {
			k := slices.Index(m.In, id)
			if k < 0 {
				k = len(m.In)
				m.In = append(m.In, id)
			}
			return prim.A(k)
		}
		sums := map[int]prim.ID{}
		for _, t := range terms {
			id, ok := sums[t.at]
			if !ok {
				id = prim.ID(-2 - parts)
				part := prim.Node{Prim: prim.Reduce{Expr: t.inner, Op: r.Op, Axes: r.Axes, Compute: r.Compute, Shape: r.Shape}, In: t.in, Type: n.Type}
				inserted[host] = append(inserted[host], insertion{part, parts})
				sums[t.at] = id
				parts++
			}
			x := arg(id)
			args := make([]*prim.X, len(n.In))
			for k, id := range n.In {
				args[k] = arg(id)
			}
			for _, f := range t.factors {
				x = prim.Op(prim.Mul, x, r.Expr[:f+1].X(args...))
			}
			switch {
			case sum == nil && t.minus:
				sum = prim.Op(prim.Neg, x)
			case sum == nil:
				sum = x
			case t.minus:
				sum = prim.Op(prim.Sub, sum, x)
			default:
				sum = prim.Op(prim.Add, sum, x)
			}
		}
		e := prim.E(sum)
		m.In, e = usedOperands(m.In, e)
		m.Prim = prim.Map{Expr: e, Compute: prim.F32, Out: prim.F32, Shape: n.Type.Shape}
		replaced[i] = m
	}
	if parts == 0 {
		return p
	}
	return renumber(p, inserted, replaced, parts)
}

// insertion is a node to insert and the number under which others refer to it.
type insertion struct {
	node   prim.Node
	number int
}

// term is a part of a linear combination: ± the product of instructions factors
// and of inner, an expression over in.
type term struct {
	at      int // of inner in the whole expression
	inner   prim.Expr
	in      []prim.ID
	factors []int
	minus   bool
}

const maxTerms = 3

// linearTerms splits the expression of a sum, false where it is no combination of
// several terms or with factors.
func linearTerms(p *prim.Program, n prim.Node, r prim.Reduce) ([]term, bool) {
	e := r.Expr
	constant := make([]bool, len(e))
	for i, in := range e {
		switch in.Code {
		case prim.Lit:
			constant[i] = true
		case prim.Arg:
			constant[i] = true
			for _, a := range r.Axes {
				constant[i] = constant[i] && p.Nodes[n.In[in.Index]].Type.Shape[a] == 1
			}
		default:
			constant[i] = true
			for _, o := range operands(in) {
				constant[i] = constant[i] && constant[o]
			}
		}
	}
	var terms []term
	ok := true
	var split func(at int, factors []int, minus bool)
	split = func(at int, factors []int, minus bool) {
		in := e[at]
		both := in.Code.Arity() == 2 && !constant[in.A] && !constant[in.B]
		switch {
		case !ok || constant[at] || len(terms) == maxTerms:
			ok = false
		case in.Code == prim.Add && both:
			split(in.A, factors, minus)
			split(in.B, factors, minus)
		case in.Code == prim.Sub && both:
			split(in.A, factors, minus)
			split(in.B, factors, !minus)
		case in.Code == prim.Neg:
			split(in.A, factors, !minus)
		case in.Code == prim.Mul && constant[in.A]:
			split(in.B, append(slices.Clone(factors), in.A), minus)
		case in.Code == prim.Mul && constant[in.B]:
			split(in.A, append(slices.Clone(factors), in.B), minus)
		default:
			args, inner := usedOperands(n.In, prim.E(e[:at+1].X()))
			terms = append(terms, term{at, inner, args, factors, minus})
		}
	}
	split(len(e)-1, nil, false)
	if !ok || len(terms) < 2 {
		return nil, false
	}
	return terms, true
}

// usedOperands drops operands that e does not read.
func usedOperands(in []prim.ID, e prim.Expr) ([]prim.ID, prim.Expr) {
	var out []prim.ID
	args := make([]*prim.X, len(in))
	for k, id := range in {
		if slices.ContainsFunc(e, func(i prim.Instr) bool { return i.Code == prim.Arg && i.Index == k }) {
			args[k] = prim.A(len(out))
			out = append(out, id)
		}
	}
	return out, prim.E(e.X(args...))
}

// passBefore returns the last Reduce before i over the same axes of the same domain
// that reads all that the terms read in full shape and comes after their operands, -1 for none.
func passBefore(p *prim.Program, live []bool, replaced map[int]prim.Node, i int, r prim.Reduce, terms []term) int {
	need := map[prim.ID]bool{}
	latest := prim.Invalid
	for _, t := range terms {
		for _, id := range t.in {
			latest = max(latest, id)
			if slices.Equal(p.Nodes[id].Type.Shape, r.Shape) {
				need[id] = true
			}
		}
	}
	key := domainKey(r)
	for j := i - 1; j > int(latest); j-- {
		q, ok := p.Nodes[j].Prim.(prim.Reduce)
		if _, gone := replaced[j]; gone || !ok || !live[j] || q.Compute != prim.F32 || domainKey(q) != key {
			continue
		}
		all := true
		for id := range need {
			all = all && slices.Contains(p.Nodes[j].In, id)
		}
		if all {
			return j
		}
	}
	return -1
}

// renumber rebuilds p with nodes inserted behind others and nodes replaced; operand
// -2-k stands for the insertion number k of count.
func renumber(p *prim.Program, inserted [][]insertion, replaced map[int]prim.Node, count int) *prim.Program {
	q := &prim.Program{Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	to := make([]prim.ID, len(p.Nodes))
	placed := make([]prim.ID, count)
	add := func(n prim.Node) prim.ID {
		in := make([]prim.ID, len(n.In))
		for k, id := range n.In {
			if id < 0 {
				in[k] = placed[-2-id]
			} else {
				in[k] = to[id]
			}
		}
		n.In = in
		q.Nodes = append(q.Nodes, n)
		return prim.ID(len(q.Nodes) - 1)
	}
	for i, n := range p.Nodes {
		if r, ok := replaced[i]; ok {
			n = r
		}
		to[i] = add(n)
		for _, m := range inserted[i] {
			placed[m.number] = add(m.node)
		}
	}
	q.Rename(to)
	return q
}
