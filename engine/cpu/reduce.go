package cpu

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

// chooseReduce takes the folds of float32 expressions.
func chooseReduce(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	r, ok := p.(prim.Reduce)
	if !ok || r.Compute != prim.F32 || prim.Prod(r.Shape) == 0 {
		return kernel{}, false
	}
	g := newReduction(r, in)
	return kernel{
		name:  "reduce " + r.Op.String() + " " + label(r.Expr),
		flops: float64(len(r.Expr) * prim.Prod(r.Shape)),
		run: func(x *executable, out view, in []view) error {
			g.run(x, out.f32(), in)
			return nil
		},
	}, true
}

// reduction is a Reduce over collapsed axes: the last axis is read in tiles, the
// others one index at a time.
type reduction struct {
	op      prim.ReduceOp
	expr    prim.Expr
	args    int
	product bool // the expression is a product, folded by a dot product
	kept    []axis
	outer   []axis // reduced axes but the last of the domain
	inner   axis
	vm      *vm
	of      *kernels
}

func newReduction(r prim.Reduce, in []prim.Type) *reduction {
	g := &reduction{op: r.Op, expr: r.Expr, args: len(in)}
	axes := collapse(r.Shape, in, r.Axes)
	last := len(axes) - 1
	g.inner = axes[last]
	for _, a := range axes[:last] {
		if a.reduced {
			g.outer = append(g.outer, a)
		} else {
			g.kept = append(g.kept, a)
		}
	}
	e := r.Expr
	g.product = r.Op == prim.ReduceSum && g.inner.reduced && e[len(e)-1].Code == prim.Mul
	return g
}

func (g *reduction) run(x *executable, out []float32, in []view) {
	if g.of != x.k {
		g.vm, g.of = x.k.compileExpr(g.expr), x.k
	}
	src := make([]source, len(in))
	for i, v := range in {
		src[i] = sourceOf(v)
	}
	if g.inner.reduced {
		g.rows(x, out, src)
	} else {
		g.columns(x, out, src)
	}
}

// rows folds the last axis: every result is a fold over rows of it. Large folds
// with few results are cut into chunks, whose number depends on the threads only.
func (g *reduction) rows(x *executable, out []float32, src []source) {
	results, rows := len(out), count(g.outer)
	tile := min(g.vm.tileFor(g.args), (g.inner.size+7)&^7)
	perRow := (g.inner.size + tile - 1) / tile
	work := rows * g.inner.size
	chunks := 1
	if results < 2*len(x.team.workers) && work*results > 2*mapGrain {
		chunks = max(1, min(4*len(x.team.workers), rows*perRow, work/mapGrain))
	}
	partial := make([]float64, results*chunks)
	pieces := x.team.pieces(work*results, mapGrain, results)
	if chunks > 1 {
		pieces = results * chunks
	}
	x.team.run(pieces, func(w *worker, piece int) {
		m := g.vm.machine(w, tile, len(src))
		buf := w.scratch(scratchArgs, len(src)*(tile+24))
		base, off := make([]int, len(src)), make([]int, len(src))
		lo, hi := split(results*chunks, 1, pieces, piece)
		for item := lo; item < hi; item++ {
			walk(g.kept, item/chunks, base)
			t0, t1 := split(rows*perRow, 1, chunks, item%chunks)
			acc := identity(g.op)
			for t := t0; t < t1; t++ {
				walk(g.outer, t/perRow, off)
				from := t % perRow * tile
				n := min(tile, g.inner.size-from)
				for i := range src {
					off[i] += base[i]
				}
				g.bind(m, src, buf, tile+24, off, from, n)
				acc = fold(g.op, acc, g.foldTile(x.k, m, n))
			}
			partial[item] = acc
		}
	})
	for r := range out {
		acc := partial[r*chunks]
		for _, v := range partial[r*chunks+1 : (r+1)*chunks] {
			acc = fold(g.op, acc, v)
		}
		out[r] = float32(acc)
	}
}

// bind points the arguments at n elements of the last axis.
func (g *reduction) bind(m *machine, src []source, buf []float32, pad int, off []int, from, n int) {
	for i := range src {
		s, b := &src[i], buf[i*pad:]
		switch {
		case g.inner.stride[i] == 0:
			s.load(b, off[i], 0, 8)
			m.args[i] = operand{&b[0], 0}
		case s.f != nil:
			m.args[i] = operand{&s.f[off[i]+from], 32}
		default:
			s.load(b, off[i]+from, 1, n)
			m.args[i] = operand{&b[0], 32}
		}
	}
}

// foldTile folds the expression over n elements.
func (g *reduction) foldTile(k *kernels, m *machine, n int) float64 {
	whole := n &^ 7
	if g.product {
		last := len(m.ops) - 1
		op := &m.ops[last]
		m.prefix(last, n)
		a, b := m.read(op.in[0]), m.read(op.in[1])
		if a.step != 0 && b.step != 0 {
			acc := float64(k.dot(whole, a.p, b.p))
			x, y := slice(a.p, n), slice(b.p, n)
			for i := whole; i < n; i++ {
				acc += float64(x[i] * y[i])
			}
			return acc
		}
	}
	p := m.own()
	if len(g.expr) == 1 && g.expr[0].Code == prim.Arg && m.args[g.expr[0].Index].step != 0 {
		p = m.args[g.expr[0].Index].p
	} else {
		m.run(n, p)
	}
	tail := slice(p, n)[whole:]
	var acc float64
	switch g.op {
	case prim.ReduceSum:
		acc = float64(k.sum(whole, p))
	case prim.ReduceMax:
		acc = float64(k.max(whole, p))
	case prim.ReduceMin:
		acc = float64(k.min(whole, p))
	case prim.ReduceProd:
		acc, tail = 1, slice(p, n)
	}
	for _, v := range tail {
		acc = fold(g.op, acc, float64(v))
	}
	return acc
}

func fold(op prim.ReduceOp, a, b float64) float64 {
	switch op {
	case prim.ReduceProd:
		return a * b
	case prim.ReduceMax:
		return max(a, b)
	case prim.ReduceMin:
		return min(a, b)
	}
	return a + b
}

// flushRows is how many rows are added in float32 before a float64 total takes them.
const flushRows = 32

// columns keeps the last axis: tiles of it are folded over the reduced axes.
func (g *reduction) columns(x *executable, out []float32, src []source) {
	kept, rows, width := count(g.kept), count(g.outer), g.inner.size
	tile := min(g.vm.tileFor(g.args+1), (width+7)&^7)
	perRow := (width + tile - 1) / tile
	items := kept * perRow
	work := rows * width * kept
	chunks := 1
	if items < 2*len(x.team.workers) && work > 2*mapGrain {
		chunks = max(1, min(2*len(x.team.workers), rows/flushRows))
	}
	var partial []float64
	if chunks > 1 {
		partial = make([]float64, chunks*len(out))
	}
	pieces := x.team.pieces(work, mapGrain, items)
	if chunks > 1 {
		pieces = items * chunks
	}
	x.team.run(pieces, func(w *worker, piece int) {
		m := g.vm.machine(w, tile, len(src))
		buf := w.scratch(scratchArgs, len(src)*(tile+24))
		sum := w.scratch(scratchTile, tile+16)
		total := make([]float64, tile)
		base, off := make([]int, len(src)), make([]int, len(src))
		lo, hi := split(items*chunks, 1, pieces, piece)
		for it := lo; it < hi; it++ {
			item, chunk := it/chunks, it%chunks
			walk(g.kept, item/perRow, base)
			from := item % perRow * tile
			n := min(tile, width-from)
			r0, r1 := split(rows, 1, chunks, chunk)
			for i := range total {
				total[i] = identity(g.op)
			}
			g.column(x.k, m, src, buf, sum, total[:n], base, off, from, r0, r1, tile+24)
			if chunks > 1 {
				copy(partial[chunk*len(out)+item/perRow*width+from:], total[:n])
				continue
			}
			o := out[item/perRow*width+from:][:n]
			for i := range o {
				o[i] = float32(total[i])
			}
		}
	})
	if chunks == 1 {
		return
	}
	for i := range out {
		acc := partial[i]
		for c := 1; c < chunks; c++ {
			acc = fold(g.op, acc, partial[c*len(out)+i])
		}
		out[i] = float32(acc)
	}
}

// column folds rows [r0, r1) of one tile of columns into total.
func (g *reduction) column(k *kernels, m *machine, src []source, buf, sum []float32, total []float64, base, off []int, from, r0, r1, pad int) {
	n := len(total)
	var join op2
	switch g.op {
	case prim.ReduceSum:
		join = k.binary[prim.Add]
	case prim.ReduceMax:
		join = k.binary[prim.Max]
	case prim.ReduceMin:
		join = k.binary[prim.Min]
	default:
		join = k.binary[prim.Mul]
	}
	direct := len(g.expr) == 1 && g.expr[0].Code == prim.Arg
	held := 0
	for r := r0; r < r1; r++ {
		walk(g.outer, r, off)
		for i := range src {
			off[i] += base[i]
		}
		g.bind(m, src, buf, pad, off, from, n)
		switch {
		case held == 0:
			m.run(n, &sum[0])
		case direct:
			a := m.args[g.expr[0].Index]
			join(n, &sum[0], &sum[0], a.p, 32, a.step)
		default:
			m.run(n, m.own())
			join(n, &sum[0], &sum[0], m.own(), 32, 32)
		}
		held++
		if held == flushRows || r == r1-1 {
			for i, v := range sum[:n] {
				total[i] = fold(g.op, total[i], float64(v))
			}
			held = 0
		}
	}
}
