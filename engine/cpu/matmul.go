package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// chooseMatMul takes float32 matrix products.
func chooseMatMul(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	mm, ok := p.(prim.MatMul)
	if !ok || out.DType != prim.F32 {
		return kernel{}, false
	}
	r := len(out.Shape)
	g := &matmul{m: out.Shape[r-2], n: out.Shape[r-1], k: in[0].Shape[r-1], ta: mm.TransA, tb: mm.TransB}
	if mm.TransA {
		g.k = in[0].Shape[r-2]
	}
	lead := make([]prim.Type, 2)
	for i := range lead {
		lead[i].Shape = in[i].Shape[:r-2]
	}
	g.batch = collapse(out.Shape[:r-2], lead, nil)
	return kernel{name: "matmul", flops: 2 * float64(out.Len()) * float64(g.k), run: func(x *executable, out view, in []view) error {
		g.run(x, out.f32(), in[0].f32(), in[1].f32())
		return nil
	}}, true
}

// matmul is a batched product of m × k by k × n matrices.
type matmul struct {
	m, n, k int
	ta, tb  bool
	batch   []axis
}

// productGrain is the multiplications of the smallest piece.
const productGrain = 1 << 17

func (g *matmul) run(x *executable, out, a, b []float32) {
	if len(out) == 0 {
		return
	}
	batch := count(g.batch)
	if batch > 1 && len(g.batch) == 1 && g.batch[0].stride[1] == 0 && !g.ta {
		// One right operand for consecutive left ones: one tall product.
		t := *g
		t.m, t.batch = batch*g.m, []axis{{size: 1, stride: []int{0, 0}}}
		t.run(x, out, a, b)
		return
	}
	work := batch * g.m * g.n * max(g.k, 1)
	pm, pn := 1, 1
	if want := min(2*len(x.team.workers), work/productGrain); batch < want && len(x.team.workers) > 1 {
		want = (want + batch - 1) / batch
		if want > 2 {
			want = want / 2 * 2
		}
		if want = min(want, len(x.team.workers)); g.m >= g.n {
			pm = max(1, min(want, g.m/tileM))
		} else {
			pn = max(1, min(want, g.n/tileN))
		}
	}
	pieces := batch * pm * pn
	group := 1
	if work < productGrain*pieces {
		group = min(pieces, max(1, productGrain*pieces/max(work, 1)))
	}
	x.team.run((pieces+group-1)/group, func(w *worker, i int) {
		off := make([]int, 2)
		for piece := i * group; piece < min(pieces, (i+1)*group); piece++ {
			t := piece / (pm * pn)
			walk(g.batch, t, off)
			i0, i1 := split(g.m, tileM, pm, piece/pn%pm)
			j0, j1 := split(g.n, tileN, pn, piece%pn)
			if i0 == i1 || j0 == j1 {
				continue
			}
			left := matrix{a[off[0]*g.m*g.k:], g.k, 1}
			if g.ta {
				left.row, left.col = 1, g.m
			}
			right := matrix{b[off[1]*g.k*g.n:], g.n, 1}
			if g.tb {
				right.row, right.col = 1, g.k
			}
			if g.k == 0 {
				left, right = matrix{}, matrix{}
			}
			x.k.product(w, i1-i0, j1-j0, g.k, left.at(i0, 0), right.at(0, j0), out[(t*g.m+i0)*g.n+j0:], g.n)
		}
	})
}
