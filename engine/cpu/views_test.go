package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	oracle "github.com/entangle-nas/entangle/engine/ref"
)

// viewCases are programs over x f32[6 5 3 4 32] and y f32[6 5 128], with the number of
// matrix products that read through views.
var viewCases = []struct {
	name  string
	views int
	build func(b *prim.Builder, x, y prim.ID)
}{
	{"attention", 2, func(b *prim.Builder, x, y prim.ID) {
		z := b.Transpose(x, 2, 0, 3, 1, 4)
		part := func(i int) prim.ID { return b.Squeeze(b.SliceAxis(z, 0, i, i+1), 0) }
		a := b.Softmax(b.MatMul(part(0), part(1), false, true), 3)
		b.Output("o", b.Transpose(b.MatMul(a, part(2), false, false), 0, 2, 1, 3))
	}},
	{"heads and batch as one axis", 0, func(b *prim.Builder, x, y prim.ID) {
		q := b.Reshape(b.Transpose(b.Reshape(y, 6, 5, 4, 32), 0, 2, 1, 3), 24, 5, 32)
		b.Output("o", b.MatMul(q, q, true, false))
	}},
	{"every second row", 1, func(b *prim.Builder, x, y prim.ID) {
		s := b.Slice(y, []int{1, 0, 7}, []int{3, 3, 64}, []int{2, 2, 1})
		b.Output("o", b.MatMul(s, b.Reshape(x, 1, 180, 64), false, true))
	}},
	{"a reshape that needs a copy", 0, func(b *prim.Builder, x, y prim.ID) {
		q := b.Reshape(b.Transpose(y, 1, 0, 2), 15, 256)
		b.Output("o", b.MatMul(q, q, false, true))
	}},
	{"neither rows nor columns stay consecutive", 0, func(b *prim.Builder, x, y prim.ID) {
		q := b.Transpose(y, 2, 0, 1)
		b.Output("o", b.MatMul(q, q, true, false))
	}},
	{"also read by a sum", 0, func(b *prim.Builder, x, y prim.ID) {
		q := b.Transpose(b.Reshape(y, 6, 5, 4, 32), 0, 2, 1, 3)
		b.Output("o", b.MatMul(q, q, false, true))
		b.Output("s", b.Sum(q, 1))
	}},
	{"an output", 0, func(b *prim.Builder, x, y prim.ID) {
		q := b.Transpose(b.Reshape(y, 6, 5, 4, 32), 0, 2, 1, 3)
		b.Output("o", b.MatMul(q, q, false, true))
		b.Output("q", q)
	}},
	{"one matrix for the batch", 1, func(b *prim.Builder, x, y prim.ID) {
		w := b.Slice(b.Reshape(x, 1, 45, 256), []int{0, 2, 16}, []int{1, 32, 100}, []int{1, 1, 1})
		b.Output("o", b.MatMul(b.Reshape(y, 15, 8, 32), w, false, false))
	}},
	{"no depth", 0, func(b *prim.Builder, x, y prim.ID) {
		s := b.Transpose(b.Slice(y, []int{0, 0, 0}, []int{6, 5, 0}, []int{1, 1, 1}), 1, 0, 2)
		b.Output("o", b.MatMul(s, s, false, true))
	}},
}

func TestViewsAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	feed := map[string]*prim.Tensor{"x": randomTensor(r, 6, 5, 3, 4, 32), "y": randomTensor(r, 6, 5, 128)}
	for _, c := range viewCases {
		t.Run(c.name, func(t *testing.T) {
			b := prim.NewBuilder()
			c.build(b, b.Input("x", feed["x"].Type), b.Input("y", feed["y"].Type))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			simple, err := engine.Simplify(p)
			if err != nil {
				t.Fatal(err)
			}
			views := 0
			for _, n := range absorb(simple).Nodes {
				if _, ok := n.Prim.(viewed); ok {
					views++
				}
			}
			if views != c.views {
				t.Errorf("want %d products of views, got %d", c.views, views)
			}
			want, err := engine.RunHost(oracle.New(), p, feed)
			if err != nil {
				t.Fatal(err)
			}
			backends(func(name string, be *Backend) {
				got, err := engine.RunHost(be, p, feed)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range p.Outputs {
					wide := make([]float64, want[o.Name].Len())
					for i := range wide {
						wide[i] = want[o.Name].Float(i)
					}
					checkClose(t, name+": "+o.Name, got[o.Name].F32, wide, 2e-4)
				}
			})
		})
	}
}

// TestPlainProductOfViews: the oracle's form of a product of views equals the kernel's.
func TestPlainProductOfViews(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	x := randomTensor(r, 5, 7, 12)
	v := viewed{MatMul: prim.MatMul{TransB: true}}
	v.views[0] = access{[]int{2, 3, 6}, []int{84, 12, 1}, 24}
	v.views[1] = access{[]int{1, 2, 6}, []int{0, 24, 2}, 13}
	checkPlain(t, v, x, x)
}
