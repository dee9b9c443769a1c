package net

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// maxCopies bounds the copies of a weight that Separate makes.
const maxCopies = 64

// separation is what Separate makes: for every weight that dims choose a block of,
// those dims, and its copies in row-major order of their choices.
type separation struct {
	dims   map[string][]int
	copies map[string][]string
}

// Separate gives every choice weights of its own in place of blocks of one, all equal
// at first: weight sharing without entanglement, the baseline of TangleNAS ("WS"). The
// mixture of operations Σ a_i·op(x; W_i) is computed as op(x; Σ a_i·pad(W_i)), which
// is the same for operations that are linear in their weights; storage and
// updates grow with the number of choices, up to maxCopies of a weight. The supernet
// must have space.Every as its superposition. The copies of w are the parameters "w|0",
// "w|1", … and, the last, w itself. A weight of too many copies is an error.
func (n *Network) Separate() error {
	if n.Super == nil {
		return fmt.Errorf("search: separate weights: want a supernet, got a plain network")
	}
	s := &separation{dims: map[string][]int{}, copies: map[string][]string{}}
	for d, e := range n.Super.Effects {
		for _, ax := range e.Axes {
			if ax.Given != nil {
				return fmt.Errorf("search: separate weights: dimension %q: want a branch of its own for every candidate, some share %q", n.Super.Space.Dims[d].Name, ax.Value)
			}
			if ax.Mask && !slices.Contains(s.dims[ax.Value], d) {
				s.dims[ax.Value] = append(s.dims[ax.Value], d)
			}
		}
	}
	// Nodes are shared: Facts speak of them.
	m, g, roles := *n.Model, *n.Model.Graph, maps.Clone(n.roles)
	m.Graph, g.Inits = &g, slices.Clone(g.Inits)
	for _, name := range slices.Clone(n.Params) {
		dims := s.dims[name]
		count := 1
		for _, d := range dims {
			if count *= len(n.Super.Space.Dims[d].Choices); count > maxCopies {
				return fmt.Errorf("search: separate weights: %q: want at most %d copies, its %d dimensions have more choices: offer fewer", name, maxCopies, len(dims))
			}
		}
		for k := range count - 1 {
			c := *g.Init(name)
			c.Name = name + "|" + strconv.Itoa(k)
			g.Inits = append(g.Inits, &c)
			roles[c.Name] = ops.Parameter
			n.Params = append(n.Params, c.Name)
			s.copies[name] = append(s.copies[name], c.Name)
		}
		s.copies[name] = append(s.copies[name], name)
	}
	n.Model, n.roles, n.separation = &m, roles, s
	return nil
}

// mix returns Σ over the copies of a weight, each at its own block, times the product
// of its choices' coefficients. one gives the program value of a copy.
func (n *Network) mix(b *prim.Builder, name string, coefs []prim.ID, one func(string) prim.ID) prim.ID {
	dims := n.separation.dims[name]
	vertex := make([]prim.ID, len(coefs))
	total := prim.Invalid
	for k, copy := range n.separation.copies[name] {
		w := one(copy)
		rank := slices.Repeat([]int{1}, len(b.Shape(w)))
		share := prim.Invalid
		for i, choice := range n.separation.choices(n, name, k) {
			d := dims[i]
			size := len(n.Super.Space.Dims[d].Choices)
			hot := make([]float32, size)
			hot[choice] = 1
			vertex[d] = b.Const(prim.F32Tensor(hot, size))
			a := b.Reshape(b.Add(prim.Slice{Start: []int{choice}, Size: []int{1}, Step: []int{1}}, coefs[d]), rank...)
			if share == prim.Invalid {
				share = a
			} else {
				share = b.Times(share, a)
			}
		}
		total = plus(b, total, b.Times(n.Super.Weight(b, name, w, vertex), share))
	}
	return total
}

// choices returns the choice of each of a weight's dims that copy k is for.
func (s *separation) choices(n *Network, name string, k int) []int {
	dims := s.dims[name]
	out := make([]int, len(dims))
	for i := len(dims) - 1; i >= 0; i-- {
		size := len(n.Super.Space.Dims[dims[i]].Choices)
		out[i], k = k%size, k/size
	}
	return out
}

// Chosen returns the weights of a choice, by index per dim, under the model's own names: of
// separate weights, those of its copies. w is not changed; what is not separate is shared.
func (n *Network) Chosen(choice []int, w map[string]*ir.Tensor) map[string]*ir.Tensor {
	if n.separation == nil {
		return w
	}
	out := maps.Clone(w)
	for name, copies := range n.separation.copies {
		for _, copy := range copies {
			delete(out, copy)
		}
		for k, copy := range copies {
			match := true
			for i, c := range n.separation.choices(n, name, k) {
				match = match && choice[n.separation.dims[name][i]] == c
			}
			if match {
				out[name] = w[copy]
			}
		}
	}
	return out
}
