package cpu

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// choosePool takes the float32 pools of one or two spatial axes.
func choosePool(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	if len(in) == 0 || in[0].DType != prim.F32 || len(out.Shape) > 4 || len(out.Shape) < 3 || out.Len() == 0 {
		return kernel{}, false
	}
	k := kernel{name: p.Name()}
	switch p := p.(type) {
	case prim.MaxPool:
		g := poolOf(p.Pool, in[0].Shape, out.Shape)
		k.run = func(x *executable, out view, in []view) error {
			src, dst := in[0].f32(), out.f32()
			g.planes(x, func(n int, at []int) {
				from := src[n*g.h*g.w:]
				g.maxima(from, at)
				for o, i := range at {
					if i < 0 {
						dst[n*len(at)+o] = float32(math.Inf(-1))
					} else {
						dst[n*len(at)+o] = from[i]
					}
				}
			})
			return nil
		}
	case prim.MaxPoolIndex:
		g := poolOf(p.Pool, in[0].Shape, out.Shape)
		k.run = func(x *executable, out view, in []view) error {
			src, dst := in[0].f32(), out.i64()
			g.planes(x, func(n int, at []int) {
				g.maxima(src[n*g.h*g.w:], at)
				for o, i := range at {
					dst[n*len(at)+o] = int64(i)
				}
			})
			return nil
		}
	case prim.MaxPoolGrad:
		g := poolOf(p.Pool, in[0].Shape, in[1].Shape)
		k.run = func(x *executable, out view, in []view) error {
			src, grad, dst := in[0].f32(), in[1].f32(), out.f32()
			g.planes(x, func(n int, at []int) {
				g.maxima(src[n*g.h*g.w:], at)
				to := dst[n*g.h*g.w:][:g.h*g.w]
				clear(to)
				for o, i := range at {
					if i >= 0 {
						to[i] += grad[n*len(at)+o]
					}
				}
			})
			return nil
		}
	case prim.SumPool:
		g := poolOf(p.Pool, in[0].Shape, out.Shape)
		k.run = func(x *executable, out view, in []view) error {
			src, dst := in[0].f32(), out.f32()
			g.planes(x, func(n int, _ []int) {
				from, to := src[n*g.h*g.w:], dst[n*g.oh*g.ow:][:g.oh*g.ow]
				if g.whole {
					to[0] = 0
					for _, v := range from[:g.h*g.w] {
						to[0] += v
					}
					return
				}
				clear(to)
				g.visit(func(o, i, count int) {
					for j := range count {
						to[o+j] += from[i+j*g.sx]
					}
				})
			})
			return nil
		}
	case prim.SumPoolGrad:
		g := poolOf(p.Pool, out.Shape, in[0].Shape)
		k.run = func(x *executable, out view, in []view) error {
			grad, dst := in[0].f32(), out.f32()
			g.planes(x, func(n int, _ []int) {
				from, to := grad[n*g.oh*g.ow:], dst[n*g.h*g.w:][:g.h*g.w]
				if g.whole {
					fillSlice(to, from[0])
					return
				}
				clear(to)
				g.visit(func(o, i, count int) {
					for j := range count {
						to[i+j*g.sx] += from[o+j]
					}
				})
			})
			return nil
		}
	default:
		return kernel{}, false
	}
	return k, true
}

// pool is a pooling geometry over planes of h × w.
type pool struct {
	h, w, oh, ow, sy, sx, count int
	taps                        []tap
	whole                       bool // the one window is the plane
}

func poolOf(p prim.Pool, x, o []int) pool {
	g := planeOf(p.Window, x, append([]int{0, 0}, p.Kernel...), o)
	out := pool{h: g.h, w: g.w, oh: g.oh, ow: g.ow, sy: g.strideY, sx: g.strideX, count: x[0] * x[1]}
	for y := range g.kh {
		for x := range g.kw {
			out.taps = append(out.taps, tap{y*g.dilY - g.padY, x*g.dilX - g.padX})
		}
	}
	out.whole = g.oh*g.ow == 1 && g.kh == g.h && g.kw == g.w && g.padY == 0 && g.padX == 0 && g.dilY == 1 && g.dilX == 1
	return out
}

// planes calls f for every plane with room for one position per output.
func (g *pool) planes(x *executable, f func(n int, at []int)) {
	pieces := x.team.pieces(g.count*g.oh*g.ow*len(g.taps), mapGrain, g.count)
	x.team.run(pieces, func(_ *worker, piece int) {
		at := make([]int, g.oh*g.ow)
		lo, hi := split(g.count, 1, pieces, piece)
		for n := lo; n < hi; n++ {
			f(n, at)
		}
	})
}

// visit calls f for every tap and row of outputs: outputs o, o+1, … read elements i, i+sx, ….
func (g *pool) visit(f func(o, i, count int)) {
	for _, t := range g.taps {
		x0 := 0
		if t.dx < 0 {
			x0 = (-t.dx + g.sx - 1) / g.sx
		}
		x1 := min(g.ow, (g.w-1-t.dx+g.sx)/g.sx)
		if g.w-1-t.dx < 0 || x0 >= x1 {
			continue
		}
		for oy := range g.oh {
			if y := oy*g.sy + t.dy; y >= 0 && y < g.h {
				f(oy*g.ow+x0, y*g.w+x0*g.sx+t.dx, x1-x0)
			}
		}
	}
}

// maxima sets at to the position of each window's first maximum, a NaN counting
// as one, -1 for windows of padding.
func (g *pool) maxima(src []float32, at []int) {
	for i := range at {
		at[i] = -1
	}
	g.visit(func(o, i, count int) {
		for j := range count {
			v := src[i]
			if b := at[o+j]; b < 0 || v > src[b] || v != v && src[b] == src[b] {
				at[o+j] = i
			}
			i += g.sx
		}
	})
}
