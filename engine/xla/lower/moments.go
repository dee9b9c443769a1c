package lower

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

var (
	plain   = prim.E(prim.A(0))
	centred = prim.E(prim.Op(prim.Sub, prim.A(0), prim.A(1)))
	squared = prim.E(prim.Op(prim.Mul, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.Op(prim.Sub, prim.A(0), prim.A(1))))
)

// joinMoments has a sum over the batch and the sum of squares around its mean read their
// operand together, which XLA does in one pass: both are taken around s, one element of the
// operand per channel,
//
//	Σx = Σ(x-s) + n·s,  Σ(x-mean)² = Σ(x-s)² - (Σ(x-s))²/n
//
// It is the middle one, since those at the border see padding. The difference loses the
// bits of (mean-s)²/variance, a few for an element of the data.
func joinMoments(p *prim.Program) *prim.Program {
	uses := make([]int, len(p.Nodes))
	for _, n := range p.Nodes {
		for _, id := range n.In {
			uses[id]++
		}
	}
	for _, o := range p.Outputs {
		uses[o.ID]++
	}
	sums, means, squares := map[prim.ID]moment{}, map[prim.ID]moment{}, map[prim.ID]moment{} // by the nodes of each
	for i := range p.Nodes {
		m, ok := momentsAt(p, prim.ID(i), uses)
		if _, taken := sums[m.sum]; ok && !taken {
			sums[m.sum], means[m.mean], squares[prim.ID(i)] = m, m, m
		}
	}
	if len(squares) == 0 {
		return p
	}
	q := &prim.Program{Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	at := make([]prim.ID, len(p.Nodes))
	add := func(n prim.Node) prim.ID {
		q.Nodes = append(q.Nodes, n)
		return prim.ID(len(q.Nodes) - 1)
	}
	shift := map[prim.ID]prim.ID{} // by the node of the sum: s, in q
	for i, n := range p.Nodes {
		id := prim.ID(i)
		in := make([]prim.ID, len(n.In))
		for k, v := range n.In {
			in[k] = at[v]
		}
		if m, ok := sums[id]; ok {
			r := n.Prim.(prim.Reduce)
			s := add(prim.Node{Prim: middle(r.Shape, r.Axes), In: in, Type: n.Type})
			shift[id] = s
			r.Expr = centred
			n.Prim, in = r, []prim.ID{at[m.x], s}
		} else if m, ok := means[id]; ok {
			mp := n.Prim.(prim.Map)
			mp.Expr = prim.E(prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(m.scale)), prim.A(1)))
			n.Prim, in = mp, []prim.ID{at[m.sum], shift[m.sum]}
		} else if m, ok := squares[id]; ok {
			around := add(prim.Node{Prim: n.Prim, In: []prim.ID{at[m.x], shift[m.sum]}, Type: n.Type})
			less := prim.Op(prim.Mul, prim.Op(prim.Mul, prim.A(1), prim.A(1)), prim.L(m.scale))
			n.Prim = prim.Map{Expr: prim.E(prim.Op(prim.Max, prim.Op(prim.Sub, prim.A(0), less), prim.L(0))), Compute: prim.F32, Out: prim.F32, Shape: n.Type.Shape}
			in = []prim.ID{around, at[m.sum]}
		}
		at[i] = add(prim.Node{Prim: n.Prim, In: in, Type: n.Type})
	}
	q.Rename(at)
	return q
}

// moment names the nodes that a sum of squares is made of: mean = scale·sum(x).
type moment struct {
	x, sum, mean prim.ID
	scale        float64
}

// momentsAt reports the sum of squares of an F32 value around its mean over the batch and
// further axes, where the sum serves the mean alone.
func momentsAt(p *prim.Program, id prim.ID, uses []int) (moment, bool) {
	r, ok := p.Nodes[id].Prim.(prim.Reduce)
	if !ok || r.Op != prim.ReduceSum || r.Compute != prim.F32 || len(r.Axes) < 2 || r.Axes[0] != 0 || !slices.Equal(r.Expr, squared) {
		return moment{}, false
	}
	in := p.Nodes[id].In
	m := moment{x: in[0], mean: in[1]}
	mean, ok := p.Nodes[m.mean].Prim.(prim.Map)
	if !ok || len(mean.Expr) != 3 || mean.Compute != prim.F32 || p.Nodes[m.mean].Type.DType != prim.F32 {
		return moment{}, false
	}
	m.sum = p.Nodes[m.mean].In[0]
	if m.scale, ok = scaled(mean.Expr); !ok || uses[m.sum] != 1 {
		return moment{}, false
	}
	count := 1
	for _, a := range r.Axes {
		count *= r.Shape[a]
	}
	s, ok := p.Nodes[m.sum].Prim.(prim.Reduce)
	same := ok && s.Op == r.Op && s.Compute == r.Compute && slices.Equal(s.Axes, r.Axes) && slices.Equal(s.Shape, r.Shape) && slices.Equal(s.Expr, plain)
	fits := same && p.Nodes[m.sum].In[0] == m.x && p.Nodes[m.x].Type.Equal(prim.Type{DType: prim.F32, Shape: r.Shape})
	return m, fits && count > 0 && math.Abs(m.scale*float64(count)-1) < 1e-9
}

// scaled returns k where e is its operand times k.
func scaled(e prim.Expr) (float64, bool) {
	for i, ins := range e {
		if ins.Code == prim.Lit && slices.Equal(e, prim.E(prim.Op(prim.Mul, prim.A(0), prim.L(ins.Value)))) {
			return e[i].Value, true
		}
	}
	return 0, false
}

// middle takes the elements in the middle of a value along axes.
func middle(shape, axes []int) prim.Slice {
	s := prim.Slice{Start: make([]int, len(shape)), Size: slices.Clone(shape), Step: ones(len(shape))}
	for _, a := range axes {
		s.Start[a], s.Size[a] = shape[a]/2, 1
	}
	return s
}
