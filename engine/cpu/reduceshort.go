package cpu

// shortReducedRow is the size of the last axis below which several rows share a tile.
const shortReducedRow = 256

// shortRows folds a short last axis and some outer axes, keeping the axis in
// between: tiles of several rows are folded over the outer axes element by
// element, and their rows at the end. Operands that do not change along the
// outer axes are laid out once.
func (g *reduction) shortRows(x *executable, out [][]float32, src []source) {
	last := len(g.kept) - 1
	near, far := g.kept[last], g.kept[:last]
	rows, width, folds := count(g.outer), g.inner.size, len(out)
	per := max(1, min(near.size, g.vm.tileFor(g.args+1)/width, (near.size+2*len(x.team.workers)-1)/(2*len(x.team.workers))))
	perNear := (near.size + per - 1) / per
	items := count(far) * perNear
	tile := per * width
	pieces := x.team.pieces(rows*width*near.size*count(far), mapGrain, items)
	x.team.run(pieces, func(w *worker, piece int) {
		m := g.vm.machine(w, tile, len(src))
		pad := tile + 24
		buf := w.scratch(scratchArgs, len(src)*pad)
		sums := w.scratch(scratchTile, folds*pad)
		total := make([]float64, folds*tile)
		base, off := make([]int, len(src)), make([]int, len(src))
		lo, hi := split(items, 1, pieces, piece)
		for item := lo; item < hi; item++ {
			first := item % perNear * per
			count := min(per, near.size-first)
			n := count * width
			walk(far, item/perNear, base)
			for i := range src {
				base[i] += first * near.stride[i]
			}
			for i := range total {
				total[i] = identity(g.ops[i/tile])
			}
			held := 0
			for r := range rows {
				walk(g.outer, r, off)
				for i := range src {
					s, b := &src[i], buf[i*pad:]
					at := base[i] + off[i]
					if s.f != nil && g.inner.stride[i] == 1 && near.stride[i] == width {
						m.args[i] = operand{&s.f[at], 32}
						continue
					}
					m.args[i] = operand{&b[0], 32}
					if r > 0 && fixed(g.outer, i) {
						continue
					}
					for c := range count {
						s.load(b[c*width:], at+c*near.stride[i], g.inner.stride[i], width)
					}
				}
				m.run(n, nil)
				held++
				flush := held == flushRows || r == rows-1
				for f, op := range g.ops {
					sum := sums[f*pad:]
					p := m.value(x.k, m.roots[f], n)
					if held == 1 {
						x.k.copy(n, &sum[0], p, 32)
					} else {
						x.k.binary[joiner[op]](n, &sum[0], &sum[0], p, 32, 32)
					}
					if flush {
						t := total[f*tile:]
						for i, v := range sum[:n] {
							t[i] = fold(op, t[i], float64(v))
						}
					}
				}
				if flush {
					held = 0
				}
			}
			for f, op := range g.ops {
				for c := range count {
					acc := identity(op)
					for _, v := range total[f*tile+c*width:][:width] {
						acc = fold(op, acc, v)
					}
					out[f][item/perNear*near.size+first+c] = float32(acc)
				}
			}
		}
	})
}
