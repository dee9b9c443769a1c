package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// chooseMatMul takes float32 matrix products.
func chooseMatMul(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	name := p.Name()
	p, in, then := epilogueOf(p, in, out)
	var v viewed
	switch p := p.(type) {
	case prim.MatMul:
		v.MatMul = p
		for i, t := range in {
			v.views[i] = access{t.Shape, rowMajor(t.Shape), 0}
		}
	case viewed:
		v = p
	default:
		return kernel{}, false
	}
	if out.DType != prim.F32 {
		return kernel{}, false
	}
	r := len(out.Shape)
	a, b := v.views[0], v.views[1]
	g := &matmul{m: out.Shape[r-2], n: out.Shape[r-1], k: a.shape[r-1], offA: a.off, offB: b.off}
	g.rowA, g.colA, g.rowB, g.colB = a.step(2), a.step(1), b.step(2), b.step(1)
	if v.TransA {
		g.k, g.rowA, g.colA = a.shape[r-2], g.colA, g.rowA
	}
	if v.TransB {
		g.rowB, g.colB = g.colB, g.rowB
	}
	strides := make([][]int, 2)
	for i, x := range v.views {
		strides[i] = make([]int, r-2)
		for k := range strides[i] {
			if x.shape[k] != 1 {
				strides[i][k] = x.stride[k]
			}
		}
	}
	g.batch = collapseStrides(out.Shape[:r-2], strides, nil)
	return g.kernel(name, 0, 1, then), true
}

// kernel returns the kernel of the product of operands left and right and the Map behind
// it. A right operand that is constant and the same for the whole batch is packed once.
func (g *matmul) kernel(name string, left, right int, then *epilogue) kernel {
	run := func(x *executable, out view, in []view, packed []float32) {
		g.run(x, then.on(x, out, in[2:]), out.f32(), in[left].f32(), in[right].f32(), packed)
	}
	k := kernel{name: name, flops: 2 * float64(count(g.batch)) * float64(g.m*g.n) * float64(g.k), run: func(x *executable, out view, in []view) error {
		run(x, out, in, nil)
		return nil
	}}
	for _, a := range g.batch {
		if a.stride[1] != 0 {
			return k
		}
	}
	k.packs = right
	k.pack = func(x *executable, weights view) runFunc {
		if g.k == 0 || g.n == 0 {
			return nil
		}
		packed := x.k.packAll(matrix{weights.f32()[g.offB:], g.rowB, g.colB}, g.k, g.n)
		return func(x *executable, out view, in []view) error {
			run(x, out, in, packed)
			return nil
		}
	}
	return k
}

// matmul is a batched product of m × k by k × n matrices: those of batch index i lie at
// the offsets and strides of batch behind offA and offB.
type matmul struct {
	m, n, k                int
	rowA, colA, rowB, colB int // strides within a matrix
	offA, offB             int
	batch                  []axis
}

const (
	// productGrain is the multiplications of the smallest piece.
	productGrain = 1 << 17
	// sharedPanels is the most elements of a right operand that is packed once for all
	// workers, and stripRows the fewest rows of the pieces that then read it.
	sharedPanels = 1 << 20
	stripRows    = 96
)

// share is the packAll of the right operand, in storage that the next kernel overwrites.
func (g *matmul) share(x *executable, b []float32) []float32 {
	out := x.space.shared.scratch(scratchPanelB, g.k*wide(g.n))
	m := matrix{b[g.offB:], g.rowB, g.colB}
	pieces := x.team.pieces(g.k*g.n, 1<<14, wide(g.n)/tileN)
	x.team.run(pieces, func(_ *worker, i int) {
		lo, hi := split(g.n, tileN, pieces, i)
		x.k.packColumns(out, m, g.k, g.n, lo, hi)
	})
	return out
}

// run sets out to the products of a and b; with packed the matrices of b are equal
// and packed is their packAll, b is not read.
func (g *matmul) run(x *executable, then *finisher, out, a, b, packed []float32) {
	if len(out) == 0 {
		return
	}
	batch := count(g.batch)
	if batch > 1 && len(g.batch) == 1 && g.batch[0].stride[1] == 0 && g.batch[0].stride[0] == g.m*g.rowA {
		// One right operand for consecutive left ones: one tall product.
		t := *g
		t.m, t.batch = batch*g.m, []axis{{size: 1, stride: []int{0, 0}}}
		t.run(x, then, out, a, b, packed)
		return
	}
	work := batch * g.m * g.n * max(g.k, 1)
	pm, pn := 1, 1
	strips := 1
	if batch == 1 && len(x.team.workers) > 1 {
		strips = min(g.m/stripRows, 4*len(x.team.workers), work/productGrain)
	}
	if packed == nil && strips > 1 && g.k*g.n > smallOperands && g.k*wide(g.n) <= sharedPanels {
		packed = g.share(x, b)
	}
	if packed != nil && strips > 1 {
		pm = strips
	} else if want := min(2*len(x.team.workers), work/productGrain); batch < want && len(x.team.workers) > 1 {
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
		end := then.start(w)
		for piece := i * group; piece < min(pieces, (i+1)*group); piece++ {
			t := piece / (pm * pn)
			walk(g.batch, t, off)
			i0, i1 := split(g.m, tileM, pm, piece/pn%pm)
			j0, j1 := split(g.n, tileN, pn, piece%pn)
			if i0 == i1 || j0 == j1 {
				continue
			}
			to := (t*g.m+i0)*g.n + j0
			if g.k == 0 {
				for i := range i1 - i0 {
					clear(out[to+i*g.n:][:j1-j0])
					end.apply(to+i*g.n, j1-j0)
				}
				continue
			}
			q := product{m: i1 - i0, n: j1 - j0, k: g.k, a: matrix{a[g.offA+off[0]:], g.rowA, g.colA}.at(i0, 0), c: out, at: to, ldc: g.n, end: end}
			if packed != nil {
				q.packed, q.column, q.columns = packed, j0, g.n
			} else {
				q.b = matrix{b[g.offB+off[1]:], g.rowB, g.colB}.at(0, j0)
			}
			x.k.product(w, &q)
		}
	})
}
