package cpu

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// chooseLayout takes the primitives that move elements, of every dtype.
func chooseLayout(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	k := kernel{name: p.Name()}
	switch p := p.(type) {
	case prim.Transpose:
		src := rowMajor(in[0].Shape)
		s := make([]int, len(src))
		for i, a := range p.Perm {
			s[i] = src[a]
		}
		k.run = moveKernel(newMove(out.Shape, rowMajor(out.Shape), s, 0, 0), nil)
	case prim.Slice:
		s, from := rowMajor(in[0].Shape), 0
		for i := range s {
			from += p.Start[i] * s[i]
			s[i] *= p.Step[i]
		}
		k.run = moveKernel(newMove(out.Shape, rowMajor(out.Shape), s, 0, from), nil)
	case prim.Reverse:
		s, from := rowMajor(in[0].Shape), 0
		for _, a := range p.Axes {
			if s[a] > 0 {
				from += (out.Shape[a] - 1) * s[a]
				s[a] = -s[a]
			}
		}
		k.run = moveKernel(newMove(out.Shape, rowMajor(out.Shape), s, 0, from), nil)
	case prim.Pad:
		d, to := rowMajor(out.Shape), 0
		for i := range d {
			to += p.Lo[i] * d[i]
			d[i] *= p.Interior[i] + 1
		}
		k.run = moveKernel(newMove(in[0].Shape, d, rowMajor(in[0].Shape), to, 0), &p.Value)
	case prim.Concat:
		var moves []move
		to := 0
		d := rowMajor(out.Shape)
		for _, t := range in {
			moves = append(moves, newMove(t.Shape, d, rowMajor(t.Shape), to, 0))
			to += t.Shape[p.Axis] * d[p.Axis]
		}
		k.run = func(x *executable, out view, in []view) error {
			for i := range moves {
				moves[i].run(x, out, in[i])
			}
			return nil
		}
	default:
		return kernel{}, false
	}
	return k, true
}

func rowMajor(shape []int) []int {
	out := make([]int, len(shape))
	s := 1
	for k := len(shape) - 1; k >= 0; k-- {
		out[k] = s
		s *= shape[k]
	}
	return out
}

// moveKernel fills the result with a value, when there is one, and moves the operand in.
func moveKernel(m move, value *float64) func(x *executable, out view, in []view) error {
	return func(x *executable, out view, in []view) error {
		if value != nil {
			fill(out, *value)
		}
		m.run(x, out, in[0])
		return nil
	}
}

func fill(out view, v float64) {
	switch out.typ.DType {
	case prim.F32:
		fillSlice(out.f32(), float32(v))
	case prim.F64:
		fillSlice(out.f64(), v)
	case prim.I64:
		fillSlice(out.i64(), int64(v))
	case prim.Bool:
		fillSlice(out.bools(), v != 0)
	}
}

func fillSlice[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// move copies a box of elements between strided layouts.
type move struct {
	axes     []moveAxis // the last is innermost; at least one
	to, from int
	across   int // an axis that is consecutive in the source while the last is not, -1 for none
}

type moveAxis struct{ size, dst, src int }

func newMove(shape, dst, src []int, to, from int) move {
	m := move{to: to, from: from, across: -1}
	for k, n := range shape {
		if n == 1 {
			continue
		}
		a := moveAxis{n, dst[k], src[k]}
		if l := len(m.axes) - 1; l >= 0 && m.axes[l].dst == a.dst*n && m.axes[l].src == a.src*n {
			a.size *= m.axes[l].size
			m.axes = m.axes[:l]
		}
		m.axes = append(m.axes, a)
	}
	if len(m.axes) == 0 {
		m.axes = []moveAxis{{1, 1, 1}}
	}
	l := len(m.axes) - 1
	if last := m.axes[l]; last.dst == 1 && last.src != 1 {
		for k, a := range m.axes[:l] {
			if a.src == 1 {
				m.across = k
			}
		}
	}
	return m
}

func (m *move) run(x *executable, out, in view) {
	total := 1
	for _, a := range m.axes {
		total *= a.size
	}
	if total == 0 {
		return
	}
	outer := m.axes[:len(m.axes)-1]
	if m.across >= 0 && out.typ.DType == prim.F32 {
		outer = append(append([]moveAxis{}, outer[:m.across]...), outer[m.across+1:]...)
	}
	n := 1
	for _, a := range outer {
		n *= a.size
	}
	last := m.axes[len(m.axes)-1]
	cut := 1 // pieces of the last axis, where the outer ones are few
	if n < 4*len(x.team.workers) && last.size >= 64 {
		cut = min(last.size/32, 4*len(x.team.workers))
	}
	pieces := x.team.pieces(total, mapGrain, n*cut)
	x.team.run(pieces, func(_ *worker, piece int) {
		lo, hi := split(n*cut, 1, pieces, piece)
		for i := lo; i < hi; i++ {
			to, from := m.to, m.from
			at := i / cut
			for k := len(outer) - 1; k >= 0; k-- {
				j := at % outer[k].size
				at /= outer[k].size
				to += j * outer[k].dst
				from += j * outer[k].src
			}
			l0, l1 := split(last.size, 8, cut, i%cut)
			to, from = to+l0*last.dst, from+l0*last.src
			row := moveAxis{l1 - l0, last.dst, last.src}
			switch d := out.typ.DType; {
			case d == prim.F32 && m.across >= 0:
				x.k.transposeTile(out.f32()[to:], in.f32()[from:], m.axes[m.across], row)
			case d == prim.F32:
				moveRow(out.f32(), in.f32(), to, from, row)
			case d == prim.Bool:
				moveRow(out.bools(), in.bools(), to, from, row)
			default:
				moveRow(out.i64(), in.i64(), to, from, row)
			}
		}
	})
}

func moveRow[T any](dst, src []T, to, from int, a moveAxis) {
	switch {
	case a.dst == 1 && a.src == 1:
		copy(dst[to:to+a.size], src[from:from+a.size])
	case a.dst == 1 && a.src == 2 && a.size > 0:
		s := src[from : from+2*a.size-1]
		for i := range dst[to : to+a.size] {
			dst[to+i] = s[2*i]
		}
	default:
		for range a.size {
			dst[to] = src[from]
			to += a.dst
			from += a.src
		}
	}
}

// transposeTile moves a.size × b.size elements, consecutive along b in dst and along a in src.
func (k *kernels) transposeTile(dst, src []float32, a, b moveAxis) {
	wholeA, wholeB := 0, 0
	if b.src > 0 && a.dst > 0 {
		wholeA, wholeB = a.size&^7, b.size&^7
	}
	if wholeA > 0 {
		for j := 0; j < wholeB; j += 8 {
			k.transpose8(wholeA/8, &dst[j], 4*a.dst, &src[j*b.src], 4*b.src)
		}
	} else {
		wholeB = 0
	}
	for i := range a.size {
		from := wholeB
		if i >= wholeA {
			from = 0
		}
		for j := from; j < b.size; j++ {
			dst[i*a.dst+j] = src[i+j*b.src]
		}
	}
}

// chooseArgReduce takes positions of extreme float32 elements.
func chooseArgReduce(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	r, ok := p.(prim.ArgReduce)
	if !ok || in[0].DType != prim.F32 {
		return kernel{}, false
	}
	size, inner := in[0].Shape[r.Axis], prim.Prod(in[0].Shape[r.Axis+1:])
	return kernel{name: "argreduce", run: func(x *executable, out view, in []view) error {
		src, dst := in[0].f32(), out.i64()
		pieces := x.team.pieces(len(src), mapGrain, len(dst))
		x.team.run(pieces, func(_ *worker, piece int) {
			lo, hi := split(len(dst), 1, pieces, piece)
			for i := lo; i < hi; i++ {
				at := i/inner*size*inner + i%inner
				best, pos := src[at], 0
				for j := 1; j < size; j++ {
					v := src[at+j*inner]
					better := false
					switch {
					case isNaN(best):
						better = r.Last && isNaN(v)
					case isNaN(v) || r.Last && v == best:
						better = true
					case r.Min:
						better = v < best
					default:
						better = v > best
					}
					if better {
						best, pos = v, j
					}
				}
				dst[i] = int64(pos)
			}
		})
		return nil
	}}, true
}

func isNaN(v float32) bool { return math.IsNaN(float64(v)) }
