package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// tinyRow is the size of the last axis below which folds go element by element.
const tinyRow = 48

// tinyRows evaluates the expression over tiles of many rows of a tiny last axis
// and folds the elements one by one. Chunks of rows have results of their own,
// which are folded in order at the end.
func (g *reduction) tinyRows(x *executable, out [][]float32, src []source) {
	outer, width := g.axes[:len(g.axes)-1], g.inner.size
	rows, results, folds := count(outer), len(out[0]), len(out)
	for i := range src {
		src[i].full = src[i].f != nil && src[i].v.typ.Len() == rows*width
	}
	// The distance in the result of one step along every axis.
	steps := make([]axis, len(g.axes))
	at := 1
	for k := len(g.axes) - 1; k >= 0; k-- {
		steps[k] = axis{size: g.axes[k].size, stride: []int{0}}
		if !g.axes[k].reduced {
			steps[k].stride[0] = at
			at *= g.axes[k].size
		}
	}
	per := max(1, g.vm.tileFor(g.args)/width)
	tiles := (rows + per - 1) / per
	chunks := 1
	if rows*width > 2*mapGrain && len(x.team.workers) > 1 {
		chunks = max(1, min(2*len(x.team.workers), tiles, rows*width/max(results, mapGrain)))
	}
	partial := make([]float64, chunks*folds*results)
	x.team.run(chunks, func(w *worker, chunk int) {
		m := g.vm.machine(w, per*width, len(src))
		pad := per*width + 24
		buf := w.scratch(scratchArgs, len(src)*pad)
		off, held := make([]int, len(src)), make([]int, len(src))
		for i := range held {
			held[i] = -1
		}
		total := make([][]float64, folds)
		for f := range total {
			total[f] = partial[(chunk*folds+f)*results:][:results]
			for i := range total[f] {
				total[f][i] = identity(g.ops[f])
			}
		}
		to := make([]int, 1)
		t0, t1 := split(tiles, 1, chunks, chunk)
		for t := t0; t < t1; t++ {
			first := t * per
			n := min(per, rows-first)
			loadRows(g.axes, m, src, buf, pad, off, held, first, n)
			m.run(n*width, nil)
			for f, op := range g.ops {
				values := slice(m.value(x.k, m.roots[f], n*width), n*width)
				for r := range n {
					walk(steps[:len(outer)], first+r, to)
					foldRow(op, total[f][to[0]:], values[r*width:(r+1)*width], steps[len(outer)].stride[0])
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

// foldRow folds values into elements of total that are step apart, 0 or 1.
func foldRow(op prim.ReduceOp, total []float64, values []float32, step int) {
	switch {
	case op == prim.ReduceSum && step == 0:
		s := total[0]
		for _, v := range values {
			s += float64(v)
		}
		total[0] = s
	case op == prim.ReduceSum:
		for i, v := range values {
			total[i] += float64(v)
		}
	default:
		for i, v := range values {
			total[i*step] = fold(op, total[i*step], float64(v))
		}
	}
}
