package cpu

import (
	"github.com/entangle-nas/entangle/engine/prim"
)

// chooseConv takes the float32 convolutions of one or two spatial axes.
func chooseConv(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	if out.DType != prim.F32 || len(out.Shape) > 4 || out.Len() == 0 {
		return kernel{}, false
	}
	if k, ok := pointConv(p, in, out); ok {
		return k, true
	}
	name := p.Name()
	p, in, then := epilogueOf(p, in, out)
	switch p := p.(type) {
	case prim.Conv:
		k := convKernel(forwardConv(p, in[0].Shape, in[1].Shape, out.Shape), then)
		k.name = name
		return k, true
	case prim.ConvInputGrad:
		parts := inputGradConvs(p, out.Shape, in[1].Shape, in[0].Shape)
		return inputGradKernel(name, parts, then), true
	case prim.ConvWeightGrad:
		c := forwardConv(p.Conv, in[0].Shape, out.Shape, in[1].Shape)
		return kernel{name: "conv_weight_grad", flops: c.flops(), run: func(x *executable, out view, in []view) error {
			c := c
			if c.channels == 1 && c.groups > 1 {
				c.depthwiseWeightGrad(x, out.f32(), in[0].f32(), in[1].f32())
				return nil
			}
			if c.isTiled() {
				c.tileGrad(x, out.f32(), in[0].f32(), in[1].f32())
				return nil
			}
			c.cut(len(x.team.workers), gradBytes)
			c.weightGrad(x, out.f32(), in[0].f32(), in[1].f32())
			return nil
		}}, true
	}
	return kernel{}, false
}

// hosting completes a kernel by what runs it, with folds over its result or without.
func (k kernel) hosting(host func(x *executable, out view, in []view, folds *folding) error) kernel {
	k.host = host
	k.run = func(x *executable, out view, in []view) error { return host(x, out, in, nil) }
	return k
}

// inputGradKernel runs the parts of a gradient and the Map behind it.
func inputGradKernel(name string, parts []windowConv, then *epilogue) kernel {
	k := kernel{name: name}
	for i := range parts {
		k.flops += parts[i].flops()
	}
	joined := residuesOf(parts)
	switch {
	case parts[0].channels == 1 && parts[0].groups > 1:
		return k.hosting(func(x *executable, out view, in []view, folds *folding) error {
			depthwiseConv(x, parts, then.on(x, out, in[2:]), folds, out.f32(), in[0].f32(), in[1].f32())
			return nil
		})
	case joined != nil:
		return k.hosting(func(x *executable, out view, in []view, folds *folding) error {
			c := *joined
			c.run(x, then.on(x, out, in[2:]), folds, out.f32(), in[0].f32(), in[1].f32())
			return nil
		})
	case len(parts) == 1 && parts[0].outCol == 1 && parts[0].outRow == parts[0].cols:
		one := convKernel(parts[0], then)
		one.name, one.pack = name, nil
		return one
	}
	k.run = func(x *executable, out view, in []view) error {
		for _, c := range parts {
			c.cut(len(x.team.workers), unitBytes)
			c.run(x, nil, nil, out.f32(), in[0].f32(), c.packWeights(x, in[1].f32()))
		}
		then.on(x, out, in[2:]).whole(x)
		return nil
	}
	return k
}

// convKernel runs c and the Map behind it. Weights that are constant are packed once.
func convKernel(c windowConv, then *epilogue) kernel {
	k := kernel{flops: c.flops()}
	if c.channels == 1 && c.groups > 1 {
		return k.hosting(func(x *executable, out view, in []view, folds *folding) error {
			depthwiseConv(x, []windowConv{c}, then.on(x, out, in[2:]), folds, out.f32(), in[0].f32(), in[1].f32())
			return nil
		})
	}
	run := func(x *executable, out view, in []view, panel []float32, folds *folding) {
		c := c
		c.cut(len(x.team.workers), unitBytes)
		c.run(x, then.on(x, out, in[2:]), folds, out.f32(), in[0].f32(), panel)
	}
	pack := c.packWeights
	if c.isTiled() {
		run = func(x *executable, out view, in []view, panel []float32, folds *folding) {
			c.runTiles(x, then.on(x, out, in[2:]), folds, out.f32(), in[0].f32(), panel)
		}
		pack = c.packTiles
	}
	k = k.hosting(func(x *executable, out view, in []view, folds *folding) error {
		run(x, out, in, pack(x, in[1].f32()), folds)
		return nil
	})
	k.packs = 1
	k.pack = func(x *executable, weights view) runFunc {
		panel := keep(pack(x, weights.f32()))
		return func(x *executable, out view, in []view) error {
			run(x, out, in, panel, nil)
			return nil
		}
	}
	return k
}

// plane is the geometry of a convolution with one spatial axis promoted to two.
type plane struct {
	strideY, strideX, dilY, dilX, padY, padX int
	h, w, kh, kw, oh, ow                     int
}

func planeOf(p prim.Window, x, w, o []int) plane {
	if len(x) == 3 {
		return plane{1, p.Strides[0], 1, p.Dilations[0], 0, p.PadLo[0], 1, x[2], 1, w[2], 1, o[2]}
	}
	return plane{p.Strides[0], p.Strides[1], p.Dilations[0], p.Dilations[1], p.PadLo[0], p.PadLo[1], x[2], x[3], w[2], w[3], o[2], o[3]}
}

// forwardConv is the convolution of x with w giving o.
func forwardConv(p prim.Conv, x, w, o []int) windowConv {
	g := planeOf(p.Window, x, w, o)
	win := window{h: g.h, w: g.w, rows: g.oh, cols: g.ow, sy: g.strideY, sx: g.strideX}
	for y := range g.kh {
		for x := range g.kw {
			win.taps = append(win.taps, tap{y*g.dilY - g.padY, x*g.dilX - g.padX})
		}
	}
	if len(win.taps) == 1 && win.taps[0] == (tap{}) && win.sy == 1 && win.sx == 1 {
		win.rows, win.cols = refold(g.h*g.w, w[1]*p.Groups)
		win.h, win.w = win.rows, win.cols
	}
	m, c, taps := w[0]/p.Groups, w[1], g.kh*g.kw
	return windowConv{
		window: win.prepared(), images: x[0], groups: p.Groups, channels: c, filters: m,
		weights:  weightIndex{m * c * taps, c * taps, taps, seq(taps)},
		outPlane: g.oh * g.ow, outRow: win.cols, outCol: 1,
	}
}

// inputGradConvs returns the adjoint of a convolution in x, one convolution of the
// gradient per residue of the positions modulo the strides.
func inputGradConvs(p prim.ConvInputGrad, x, w, o []int) []windowConv {
	g := planeOf(p.Window, x, w, o)
	m, c, taps := w[0]/p.Groups, w[1], g.kh*g.kw
	var out []windowConv
	for a := range min(g.strideY, g.h) {
		for b := range min(g.strideX, g.w) {
			win := window{h: g.oh, w: g.ow, sy: 1, sx: 1, rows: (g.h - a + g.strideY - 1) / g.strideY, cols: (g.w - b + g.strideX - 1) / g.strideX}
			var index []int
			for y := range g.kh {
				for x := range g.kw {
					dy, dx := a+g.padY-y*g.dilY, b+g.padX-x*g.dilX
					if dy%g.strideY == 0 && dx%g.strideX == 0 {
						win.taps = append(win.taps, tap{dy / g.strideY, dx / g.strideX})
						index = append(index, y*g.kw+x)
					}
				}
			}
			v := windowConv{
				images: x[0], groups: p.Groups, channels: m, filters: c,
				weights:  weightIndex{m * c * taps, taps, c * taps, index},
				outPlane: g.h * g.w, outBase: a*g.w + b, outRow: g.strideY * g.w, outCol: g.strideX,
				paired: g.strideX == 2 && g.w > 1,
			}
			if len(win.taps) == 1 && win.taps[0] == (tap{}) && g.strideY == 1 && g.strideX == 1 && g.h == g.oh && g.w == g.ow {
				win.rows, win.cols = refold(g.h*g.w, w[0])
				win.h, win.w = win.rows, win.cols
				v.outRow = win.cols
			}
			v.window = win.prepared()
			out = append(out, v)
		}
	}
	return out
}

// wholePlanes is the size up to which the planes of an image are copied whole.
const wholePlanes = 768 << 10

// refold cuts a plane of n positions, whose rows do not matter, into one row, or
// into rows of whole vectors where it divides and the planes of an image are large.
func refold(n, channels int) (rows, cols int) {
	if 4*n*channels > wholePlanes {
		for cols := 256; cols >= 8; cols -= 8 {
			if n%cols == 0 {
				return n / cols, cols
			}
		}
	}
	return 1, n
}
