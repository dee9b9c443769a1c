package cpu

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// chooseGather takes Gather of every dtype and ScatterAdd of float32.
func chooseGather(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	switch p := p.(type) {
	case prim.Gather:
		shape := in[0].Shape
		g := slab{outer: prim.Prod(shape[:p.Axis]), size: shape[p.Axis], inner: prim.Prod(shape[p.Axis+1:]), n: in[1].Len()}
		return kernel{name: "gather", run: func(x *executable, out view, in []view) error {
			index := in[1].i64()
			if err := g.check("gather", index); err != nil {
				return err
			}
			switch out.typ.DType {
			case prim.F32:
				gather(x, g, out.f32(), in[0].f32(), index)
			case prim.Bool:
				gather(x, g, out.bools(), in[0].bools(), index)
			default:
				gather(x, g, out.i64(), in[0].i64(), index)
			}
			return nil
		}}, true
	case prim.ScatterAdd:
		if out.DType != prim.F32 {
			return kernel{}, false
		}
		shape := out.Shape
		g := slab{outer: prim.Prod(shape[:p.Axis]), size: p.Size, inner: prim.Prod(shape[p.Axis+1:]), n: in[0].Len()}
		return kernel{name: "scatter_add", run: func(x *executable, out view, in []view) error {
			index := in[0].i64()
			if err := g.check("scatter_add", index); err != nil {
				return err
			}
			scatterAdd(x, g, out.f32(), in[1].f32(), index)
			return nil
		}}, true
	}
	return kernel{}, false
}

// slab is the geometry of indexed slices: data [outer, size, inner], n indices.
type slab struct{ outer, size, inner, n int }

func (g slab) check(name string, index []int64) error {
	for j, i := range index {
		if i < 0 || i >= int64(g.size) {
			return fmt.Errorf("%s: index %d: want 0 ≤ index < %d, got %d", name, j, g.size, i)
		}
	}
	return nil
}

func gather[T any](x *executable, g slab, out, data []T, index []int64) {
	rows := g.outer * g.n
	pieces := x.team.pieces(rows*g.inner, mapGrain, rows)
	x.team.run(pieces, func(_ *worker, piece int) {
		lo, hi := split(rows, 1, pieces, piece)
		for r := lo; r < hi; r++ {
			from := (r/g.n*g.size + int(index[r%g.n])) * g.inner
			if g.inner == 1 {
				out[r] = data[from]
				continue
			}
			copy(out[r*g.inner:(r+1)*g.inner], data[from:])
		}
	})
}

// scatterAdd adds slices in the order of the index; pieces take columns of the slices.
func scatterAdd(x *executable, g slab, out, updates []float32, index []int64) {
	clear(out)
	if len(updates) == 0 {
		return
	}
	columns := (g.inner + 7) / 8
	pieces := x.team.pieces(len(updates), mapGrain, g.outer*columns)
	add := x.k.binary[prim.Add]
	x.team.run(pieces, func(_ *worker, piece int) {
		lo, hi := split(g.outer*columns, 1, pieces, piece)
		for lo < hi {
			o, c := lo/columns, lo%columns
			end := min(columns, c+hi-lo)
			first, last := 8*c, min(8*end, g.inner)
			for j, i := range index {
				dst := (o*g.size + int(i)) * g.inner
				src := (o*g.n + j) * g.inner
				if last-first < 8 {
					for k := first; k < last; k++ {
						out[dst+k] += updates[src+k]
					}
					continue
				}
				d := &out[dst+first]
				add(last-first, d, d, &updates[src+first], 32, 32)
			}
			lo += end - c
		}
	})
}
