package engine

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Grad appends the reverse pass of y, which has one element, and returns the
// gradient of y with respect to each value of wrt, of that value's type. It
// visits only nodes that lie between wrt and y. A value that y does not depend
// on has zero gradient.
func Grad(b *prim.Builder, y prim.ID, wrt []prim.ID) ([]prim.ID, error) {
	if err := b.Err(); err != nil {
		return nil, err
	}
	for i, id := range append(slices.Clone(wrt), y) {
		if id < 0 || int(id) >= b.Len() {
			return nil, fmt.Errorf("engine: gradient: value %d of %d: want a node, got %d", i, len(wrt)+1, id)
		}
		if t := b.Type(id); !t.DType.Float() {
			return nil, fmt.Errorf("engine: gradient: node %d: want a float value, got %s", id, t)
		}
	}
	if t := b.Type(y); t.Len() != 1 {
		return nil, fmt.Errorf("engine: gradient: node %d: want one element, got %s", y, t)
	}
	needs := reaches(b, int(y)+1, wrt)
	adjoint := make([][]prim.ID, y+1)
	total := make([]prim.ID, y+1)
	adjoint[y] = []prim.ID{b.Full(b.Type(y), 1)}
	for id := y; id >= 0; id-- {
		total[id] = prim.Invalid
		if !needs[id] || len(adjoint[id]) == 0 {
			continue
		}
		total[id] = sum(b, adjoint[id])
		n := b.Node(id)
		if !slices.ContainsFunc(n.In, func(in prim.ID) bool { return needs[in] }) {
			continue
		}
		d, err := n.Prim.VJP(b, n.In, id, total[id])
		if err == nil {
			err = b.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("engine: gradient of node %d (%s): %w", id, n.Prim.Name(), err)
		}
		if len(d) != len(n.In) {
			panic(fmt.Sprintf("BUG: engine: gradient of node %d (%s): want %d operands, got %d", id, n.Prim.Name(), len(n.In), len(d)))
		}
		for i, in := range n.In {
			if d[i] == prim.Invalid || !needs[in] {
				continue
			}
			if got, want := b.Type(d[i]), b.Type(in); !got.Equal(want) {
				panic(fmt.Sprintf("BUG: engine: gradient of node %d (%s), operand %d: want %s, got %s", id, n.Prim.Name(), i, want, got))
			}
			adjoint[in] = append(adjoint[in], d[i])
		}
	}
	out := make([]prim.ID, len(wrt))
	for i, id := range wrt {
		if id <= y && total[id] != prim.Invalid {
			out[i] = total[id]
		} else {
			out[i] = b.Full(b.Type(id), 0)
		}
	}
	return out, b.Err()
}

// reaches tells which of the first n nodes depend on a value of wrt, or are one.
func reaches(b *prim.Builder, n int, wrt []prim.ID) []bool {
	needs := make([]bool, n)
	for _, id := range wrt {
		if int(id) < n {
			needs[id] = true
		}
	}
	for id := range needs {
		for _, in := range b.Node(prim.ID(id)).In {
			needs[id] = needs[id] || needs[in]
		}
	}
	return needs
}

// sum adds up contributions of one type, eight at a time.
func sum(b *prim.Builder, in []prim.ID) prim.ID {
	for len(in) > 1 {
		k := min(len(in), 8)
		e := prim.A(0)
		for i := 1; i < k; i++ {
			e = prim.Op(prim.Add, e, prim.A(i))
		}
		in = append([]prim.ID{b.Map(e, in[:k]...)}, in[k:]...)
	}
	return in[0]
}
