package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

const (
	shortRow = 96       // rows below it share a tile
	mapGrain = 16 << 10 // elements of the smallest piece
)

// chooseMap takes the elementwise expressions that compute in float32.
func chooseMap(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	m, ok := p.(prim.Map)
	if !ok {
		return kernel{}, false
	}
	cast := len(m.Expr) == 1 && m.Expr[0].Code == prim.Arg && out.DType == prim.F32 &&
		(in[m.Expr[0].Index].DType == m.Compute || in[m.Expr[0].Index].DType == prim.Bool)
	if m.Compute != prim.F32 && !cast {
		return kernel{}, false
	}
	k := kernel{name: "map " + label(m.Expr), flops: float64(len(m.Expr) * out.Len())}
	if m.Compute == prim.F32 && (out.DType == prim.F32 || out.DType.Half()) {
		for i, t := range in {
			if t.DType == out.DType && slices.Equal(t.Shape, out.Shape) {
				k.reuse = append(k.reuse, i)
			}
		}
	}
	g := &mapping{axes: collapse(m.Shape, in, nil), expr: m.Expr, args: len(in)}
	k.run = func(x *executable, out view, in []view) error {
		if out.typ.Len() > 0 {
			g.run(x, out, in)
		}
		return nil
	}
	return k, true
}

// label names the last operation of an expression and its length.
func label(e prim.Expr) string {
	s := e[len(e)-1].Code.String()
	for i := len(e) - 2; i >= 0 && len(s) < 40; i-- {
		if e[i].Code > prim.Lit {
			s += "," + e[i].Code.String()
		}
	}
	return s
}

// mapping is a Map over collapsed axes.
type mapping struct {
	axes []axis
	expr prim.Expr
	args int
	vm   *vm
	of   *kernels
}

func (g *mapping) run(x *executable, out view, in []view) {
	if g.of != x.k {
		g.vm, g.of = x.k.compileMap(g.expr), x.k
	}
	src := make([]source, len(in))
	for i, v := range in {
		src[i] = sourceOf(v)
		src[i].k = x.k
		src[i].full = v.typ.DType == prim.F32 && v.typ.Len() == out.typ.Len()
	}
	g = g.widened(x, src)
	outer, inner := g.axes[:len(g.axes)-1], g.axes[len(g.axes)-1]
	rows := count(outer)
	tile := g.vm.tileFor(g.args)
	perTile := 1
	if inner.size < shortRow && len(outer) > 0 {
		perTile = max(1, tile/inner.size)
		tile = perTile * inner.size
	} else {
		tile = min(tile, (inner.size+7)&^7)
	}
	perRow := (inner.size + tile - 1) / tile
	tiles := perRow * ((rows + perTile - 1) / perTile)
	pieces := x.team.pieces(out.typ.Len(), mapGrain, tiles)
	x.team.run(pieces, func(w *worker, piece int) {
		t0, t1 := split(tiles, 1, pieces, piece)
		g.tiles(x, w, out, src, tile, perTile, perRow, rows, t0, t1)
	})
}

// widenLimit bounds the elements that widened writes out, widenRows is how often
// they are read at least.
const (
	widenLimit = 64 << 10
	widenRows  = 4
)

// widened returns g with its two last axes as one where rows are short: operands that do
// not have both, and none of the others, are written out over them.
func (g *mapping) widened(x *executable, src []source) *mapping {
	n := len(g.axes) - 2
	if n < 0 || g.axes[n+1].size >= shortRow {
		return g
	}
	outer, near, inner := g.axes[:n], g.axes[n], g.axes[n+1]
	size := near.size * inner.size
	wide := axis{size: size, stride: make([]int, len(src))}
	copies := 0
	for i := range src {
		switch {
		case near.stride[i] == 0 && inner.stride[i] == 0:
		case inner.stride[i] == 1 && near.stride[i] == inner.size:
			wide.stride[i] = 1
		case fixed(outer, i) && src[i].f != nil:
			wide.stride[i] = 1
			copies++
		default:
			return g
		}
	}
	if copies*size > widenLimit || count(outer) < widenRows {
		return g
	}
	buf := x.scratch(copies * (size + 16))
	for i := range src {
		if wide.stride[i] == 0 || inner.stride[i] == 1 && near.stride[i] == inner.size {
			continue
		}
		for r := range near.size {
			src[i].load(buf[r*inner.size:], r*near.stride[i], inner.stride[i], inner.size)
		}
		src[i].f, buf = buf[:size+16], buf[size+16:]
	}
	h := *g
	h.axes = append(slices.Clone(outer), wide)
	return &h
}

// tiles evaluates tiles [t0, t1).
func (g *mapping) tiles(x *executable, w *worker, out view, src []source, tile, perTile, perRow, rows, t0, t1 int) {
	outer, inner := g.axes[:len(g.axes)-1], g.axes[len(g.axes)-1]
	m := g.vm.machine(w, tile, len(src))
	pad := (tile+7)&^7 + 16
	buf := w.scratch(scratchArgs, len(src)*pad)
	off := make([]int, len(src))
	held := make([]int, len(src)) // offset of the row whose copy buf holds, -1 for none
	for i := range held {
		held[i] = -1
	}
	var dst []float32
	if out.typ.DType == prim.F32 {
		dst = out.f32()
	}
	for t := t0; t < t1; t++ {
		row, from := t/perRow*perTile, t%perRow*tile
		n := min(tile, inner.size-from)
		start := row*inner.size + from
		if perTile > 1 {
			count := min(perTile, rows-row)
			n = count * inner.size
			loadRows(g.axes, m, src, buf, pad, off, held, row, count)
		} else {
			walk(outer, row, off)
			for i := range src {
				s, b := &src[i], buf[i*pad:]
				switch {
				case inner.stride[i] == 0:
					if held[i] != off[i] {
						s.load(b, off[i], 0, 8)
						held[i] = off[i]
					}
					m.args[i] = operand{&b[0], 0}
				case s.f != nil:
					m.args[i] = operand{&s.f[off[i]+from], 32}
				default:
					s.load(b, off[i]+from, 1, n)
					m.args[i] = operand{&b[0], 32}
				}
			}
		}
		if dst != nil {
			m.run(n, &dst[start])
			continue
		}
		m.run(n, m.own())
		x.k.store(out, start, slice(m.own(), n))
	}
}

// loadRows points the arguments at rows [row, row+n) of axes, copying those that are not
// consecutive in memory. held[i] is how many rows of an operand that is equal in all
// rows lie in buf, -1 for none.
func loadRows(axes []axis, m *machine, src []source, buf []float32, pad int, off, held []int, row, n int) {
	outer, inner := axes[:len(axes)-1], axes[len(axes)-1]
	copied := false
	for i := range src {
		switch s := &src[i]; {
		case s.full:
			m.args[i] = operand{&s.f[row*inner.size], 32}
		case fixed(outer, i) && held[i] >= n:
			m.args[i] = operand{&buf[i*pad], 32}
		default:
			copied = true
			m.args[i] = operand{&buf[i*pad], 32}
			held[i] = -2
		}
	}
	if !copied {
		return
	}
	for r := range n {
		walk(outer, row+r, off)
		for i := range src {
			if held[i] == -2 {
				src[i].load(buf[i*pad+r*inner.size:], off[i], inner.stride[i], inner.size)
			}
		}
	}
	for i := range held {
		if held[i] == -2 {
			held[i] = n
		}
	}
}

// fixed reports whether operand i is the same for every index of axes.
func fixed(axes []axis, i int) bool {
	for _, a := range axes {
		if a.stride[i] != 0 {
			return false
		}
	}
	return true
}

// store converts values to out's dtype from element at on.
func (k *kernels) store(out view, at int, values []float32) {
	switch out.typ.DType {
	case prim.F32:
		copy(out.f32()[at:], values)
	case prim.F64:
		d := out.f64()[at:]
		for i, v := range values {
			d[i] = float64(v)
		}
	case prim.I64:
		d := out.i64()[at:]
		for i, v := range values {
			d[i] = int64(v)
		}
	case prim.Bool:
		d := out.bools()[at:]
		for i, v := range values {
			d[i] = v != 0
		}
	case prim.F16, prim.BF16:
		k.narrow(out.u16()[at:], values, out.typ.DType)
	}
}
