package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// chooseReduce takes the folds of float32 expressions.
func chooseReduce(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	r, ok := p.(prim.Reduce)
	if !ok || r.Compute != prim.F32 || prim.Prod(r.Shape) == 0 {
		return kernel{}, false
	}
	g := newReduction([]prim.Reduce{r}, [][]int{seq(len(in))}, in)
	return kernel{
		folds: true,
		name:  "reduce " + r.Op.String() + " " + label(r.Expr),
		flops: float64(len(r.Expr) * prim.Prod(r.Shape)),
		run: func(x *executable, out view, in []view) error {
			g.run(x, [][]float32{out.f32()}, in)
			return nil
		},
	}, true
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// reduction is one or more Reduces over the same axes of the same domain, done in
// one pass. Axes are collapsed; the last one is read in tiles, the others one index at a time.
type reduction struct {
	ops   []prim.ReduceOp
	expr  prim.Expr
	wants []want
	args  int
	short bool   // rows are short and next to a kept axis: see shortRows
	axes  []axis // all of them, in order
	kept  []axis
	outer []axis // reduced axes but the last of the domain
	inner axis
	vm    *vm
	of    *kernels
}

// newReduction joins folds; args[i] maps the operands of folds[i] to positions in in.
func newReduction(folds []prim.Reduce, args [][]int, in []prim.Type) *reduction {
	g := &reduction{args: len(in)}
	axes := collapse(folds[0].Shape, in, folds[0].Axes)
	last := len(axes) - 1
	g.axes, g.inner = axes, axes[last]
	for _, a := range axes[:last] {
		if a.reduced {
			g.outer = append(g.outer, a)
		} else {
			g.kept = append(g.kept, a)
		}
	}
	if k := len(axes) - 2; k >= 0 && g.inner.reduced && g.inner.size < shortReducedRow {
		g.short = !axes[k].reduced && axes[k].size > 1 && len(g.outer) > 0 && count(g.outer) >= 4
	}
	for i, r := range folds {
		at := g.join(r.Expr, args[i])
		g.ops = append(g.ops, r.Op)
		g.wants = append(g.wants, want{at, r.Op == prim.ReduceSum && g.inner.reduced})
	}
	return g
}

// join appends e to the common expression, sharing equal instructions, and
// returns where its result is.
func (g *reduction) join(e prim.Expr, args []int) int {
	at := make([]int, len(e))
	for i, in := range e {
		switch in.Code.Arity() {
		case 3:
			in.C = at[in.C]
			fallthrough
		case 2:
			in.B = at[in.B]
			fallthrough
		case 1:
			in.A = at[in.A]
		}
		if in.Code == prim.Arg {
			in.Index = args[in.Index]
		}
		if at[i] = slices.Index(g.expr, in); at[i] < 0 {
			at[i] = len(g.expr)
			g.expr = append(g.expr, in)
		}
	}
	return at[len(e)-1]
}

// run writes one result per fold.
func (g *reduction) run(x *executable, out [][]float32, in []view) {
	if g.of != x.k {
		g.vm, g.of = x.k.compile(g.expr, g.wants), x.k
	}
	src := make([]source, len(in))
	for i, v := range in {
		src[i] = sourceOf(v)
		src[i].k = x.k
	}
	switch {
	case g.short:
		g.shortRows(x, out, src)
	case g.inner.size < tinyRow && len(g.axes) > 1:
		g.tinyRows(x, out, src)
	case g.inner.reduced:
		g.rows(x, out, src)
	default:
		g.columns(x, out, src)
	}
}

// rows folds the last axis: every result is a fold over rows of it. Large folds
// with few results are cut into chunks, whose number depends on the threads only.
func (g *reduction) rows(x *executable, out [][]float32, src []source) {
	results, rows, folds := len(out[0]), count(g.outer), len(out)
	tile := min(g.vm.tileFor(g.args), (g.inner.size+7)&^7)
	perRow := (g.inner.size + tile - 1) / tile
	work := rows * g.inner.size
	chunks := 1
	if results < 2*len(x.team.workers) && work*results > 2*mapGrain {
		chunks = max(1, min(4*len(x.team.workers), rows*perRow, work/mapGrain))
	}
	partial := make([]float64, results*chunks*folds)
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
			acc := partial[item*folds:][:folds]
			for f := range acc {
				acc[f] = identity(g.ops[f])
			}
			for t := t0; t < t1; t++ {
				walk(g.outer, t/perRow, off)
				from := t % perRow * tile
				n := min(tile, g.inner.size-from)
				for i := range src {
					off[i] += base[i]
				}
				g.bind(m, src, buf, tile+24, off, from, n)
				if t+1 < t1 {
					walk(g.outer, (t+1)/perRow, off)
					from := (t + 1) % perRow * tile
					for i := range src {
						if g.inner.stride[i] != 0 && src[i].f != nil {
							x.k.fetch(4*min(tile, g.inner.size-from), &src[i].f[off[i]+base[i]+from])
						}
					}
				}
				m.run(n, nil)
				for f, op := range g.ops {
					acc[f] = fold(op, acc[f], m.fold(x.k, op, m.roots[f], n))
				}
			}
		}
	})
	for f, o := range out {
		for r := range o {
			acc := partial[r*chunks*folds+f]
			for c := 1; c < chunks; c++ {
				acc = fold(g.ops[f], acc, partial[(r*chunks+c)*folds+f])
			}
			o[r] = float32(acc)
		}
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

// value returns consecutive elements of a root.
func (m *machine) value(k *kernels, r root, n int) *float32 {
	a := m.read(r.a)
	if r.dot {
		b := m.read(r.b)
		k.binary[prim.Mul](n, m.own(), a.p, b.p, a.step, b.step)
		return m.own()
	}
	if a.step == 0 {
		k.copy(n, m.own(), a.p, 0)
		return m.own()
	}
	return a.p
}

// fold folds n elements of a root.
func (m *machine) fold(k *kernels, op prim.ReduceOp, r root, n int) float64 {
	whole := n &^ 7
	if r.dot {
		a, b := m.read(r.a), m.read(r.b)
		if a.step != 0 && b.step != 0 {
			acc := float64(k.dot(whole, a.p, b.p))
			x, y := slice(a.p, n), slice(b.p, n)
			for i := whole; i < n; i++ {
				acc += float64(x[i] * y[i])
			}
			return acc
		}
	}
	p := m.value(k, r, n)
	tail := slice(p, n)[whole:]
	var acc float64
	switch op {
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
		acc = fold(op, acc, float64(v))
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

// joiner is the operation that folds vectors.
var joiner = map[prim.ReduceOp]prim.Code{
	prim.ReduceSum: prim.Add, prim.ReduceProd: prim.Mul, prim.ReduceMax: prim.Max, prim.ReduceMin: prim.Min,
}

// flushRows is how many rows are added in float32 before a float64 total takes them.
const flushRows = 32

// columns keeps the last axis: tiles of it are folded over the reduced axes.
func (g *reduction) columns(x *executable, out [][]float32, src []source) {
	kept, rows, width, folds := count(g.kept), count(g.outer), g.inner.size, len(out)
	results := len(out[0])
	tile := min(g.vm.tileFor(g.args+1), (width+7)&^7)
	perRow := (width + tile - 1) / tile
	items := kept * perRow
	work := rows * width * kept
	chunks := 1
	if items < 2*len(x.team.workers) && work > 2*mapGrain {
		chunks = max(1, min(2*len(x.team.workers), rows/flushRows))
	}
	partial := make([]float64, chunks*results*folds)
	pieces := x.team.pieces(work, mapGrain, items)
	if chunks > 1 {
		pieces = items * chunks
	}
	x.team.run(pieces, func(w *worker, piece int) {
		m := g.vm.machine(w, tile, len(src))
		buf := w.scratch(scratchArgs, len(src)*(tile+24))
		sums := w.scratch(scratchTile, folds*(tile+16))
		base, off := make([]int, len(src)), make([]int, len(src))
		total := make([][]float64, folds)
		lo, hi := split(items*chunks, 1, pieces, piece)
		for it := lo; it < hi; it++ {
			item, chunk := it/chunks, it%chunks
			walk(g.kept, item/perRow, base)
			from := item % perRow * tile
			n := min(tile, width-from)
			for f := range total {
				total[f] = partial[(chunk*folds+f)*results+item/perRow*width+from:][:n]
				for i := range total[f] {
					total[f][i] = identity(g.ops[f])
				}
			}
			r0, r1 := split(rows, 1, chunks, chunk)
			held := 0
			for r := r0; r < r1; r++ {
				walk(g.outer, r, off)
				for i := range src {
					off[i] += base[i]
				}
				g.bind(m, src, buf, tile+24, off, from, n)
				m.run(n, nil)
				held++
				flush := held == flushRows || r == r1-1
				for f, op := range g.ops {
					sum := sums[f*(tile+16):]
					p := m.value(x.k, m.roots[f], n)
					if held == 1 {
						x.k.copy(n, &sum[0], p, 32)
					} else {
						x.k.binary[joiner[op]](n, &sum[0], &sum[0], p, 32, 32)
					}
					if flush {
						t := total[f]
						for i, v := range sum[:n] {
							t[i] = fold(op, t[i], float64(v))
						}
					}
				}
				if flush {
					held = 0
				}
			}
		}
	})
	for f, o := range out {
		for i := range o {
			acc := partial[f*results+i]
			for c := 1; c < chunks; c++ {
				acc = fold(g.ops[f], acc, partial[(c*folds+f)*results+i])
			}
			o[i] = float32(acc)
		}
	}
}
