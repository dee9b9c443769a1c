package ops_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// TestMutatedNodesNeverPanic damages the nodes of the corpus in small ways:
// rules return errors or results.
func TestMutatedNodesNeverPanic(t *testing.T) {
	for _, c := range corpus(t) {
		if c.suite != "node" {
			continue
		}
		m, sets, reason, err := c.load()
		if err != nil || reason != "" || len(m.Graph.Nodes) != 1 {
			continue
		}
		r := rng.New(3, "ops/mutate/"+c.name)
		frozen := freeze(m, sets[0].in, func(i int, t *ir.Tensor) bool { return i > 0 && t.Len() < 1000 })
		for range 60 {
			x := frozen.Clone()
			for range 1 + r.IntN(3) {
				mutate(r.Rand, x)
			}
			if _, _, err := exercise(x); err != nil {
				t.Errorf("%s: %v\n%s", c, err, describe(x))
				break
			}
		}
	}
}

func mutate(r *rand.Rand, m *ir.Model) {
	g, n := m.Graph, m.Graph.Nodes[0]
	odd := []int64{0, 1, -1, 2, -2, 3, 7, 100, -100, 1 << 31, -1 << 31, 1 << 40, 1<<63 - 1, -1 << 63}
	switch r.IntN(9) {
	case 0:
		m.Opsets[0].Version = int64(1 + r.IntN(24))
	case 1:
		if len(n.Inputs) > 0 {
			n.Inputs[r.IntN(len(n.Inputs))] = ""
		}
	case 2:
		if len(n.Inputs) > 0 {
			n.Inputs = n.Inputs[:r.IntN(len(n.Inputs))]
		}
	case 3:
		if len(n.Inputs) > 1 {
			i, j := r.IntN(len(n.Inputs)), r.IntN(len(n.Inputs))
			n.Inputs[i] = n.Inputs[j]
		}
	case 4:
		if len(g.Inputs) > 0 {
			v := &g.Inputs[r.IntN(len(g.Inputs))]
			switch s := v.Type.Shape; {
			case len(s) == 0 || r.IntN(6) == 0:
				v.Type.Shape = append(slices.Clone(s), ir.Dim{Size: r.IntN(4)})
			case r.IntN(4) == 0:
				v.Type.Shape = s[:len(s)-1]
			default:
				s[r.IntN(len(s))].Size = []int{0, 1, 2, 3, 5, -1, 1 << 20}[r.IntN(7)]
			}
		}
	case 5, 6:
		if len(n.Attrs) > 0 {
			a := &n.Attrs[r.IntN(len(n.Attrs))]
			switch {
			case a.Kind == ir.AttrInt:
				a.I = odd[r.IntN(len(odd))]
			case a.Kind == ir.AttrInts && len(a.Ints) > 0 && r.IntN(3) > 0:
				a.Ints[r.IntN(len(a.Ints))] = odd[r.IntN(len(odd))]
			case a.Kind == ir.AttrInts && len(a.Ints) > 0:
				a.Ints = a.Ints[1:]
			case a.Kind == ir.AttrFloat:
				a.F = float32(odd[r.IntN(len(odd))])
			case r.IntN(2) == 0:
				n.Attrs = slices.Delete(n.Attrs, 0, 1)
			}
		}
	case 7, 8:
		if len(g.Inits) == 0 {
			return
		}
		t := g.Inits[r.IntN(len(g.Inits))].Clone()
		if v, err := t.Int64s(); err == nil && len(v) > 0 && r.IntN(3) > 0 {
			v[r.IntN(len(v))] = odd[r.IntN(len(odd))]
			if x, err := ir.NewInts(t.Name, t.DType, t.Dims, v); err == nil {
				t = x
			}
		} else if len(t.Dims) > 0 && t.Dims[0] > 1 && len(t.Raw)%t.Dims[0] == 0 {
			t.Raw = t.Raw[:len(t.Raw)/t.Dims[0]]
			t.Dims[0] = 1
		}
		for i := range g.Inits {
			if g.Inits[i].Name == t.Name {
				g.Inits[i] = t
			}
		}
	}
}
