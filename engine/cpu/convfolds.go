package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// hosted is a set of folds over the planes of a convolution's result.
type hosted struct {
	node, images, channels, plane int
	nodes, spreads                []int // Reduces, and spreads of the result
	in                            []int // operands of the Reduces
	joined                        *reduction
}

func newHosted(p *prim.Program, i int, nodes []int) *hosted {
	shape := p.Nodes[i].Type.Shape
	h := &hosted{node: i, images: shape[0], channels: shape[1], plane: prim.Prod(shape[2:])}
	var reduces []prim.Reduce
	var args [][]int
	var types []prim.Type
	for _, f := range nodes {
		n := p.Nodes[f]
		if _, ok := n.Prim.(spread); ok {
			h.spreads = append(h.spreads, f)
			continue
		}
		var a []int
		for _, id := range n.In {
			k := slices.Index(h.in, int(id))
			if k < 0 {
				k = len(h.in)
				h.in = append(h.in, int(id))
				types = append(types, p.Nodes[id].Type)
			}
			a = append(a, k)
		}
		h.nodes = append(h.nodes, f)
		reduces, args = append(reduces, n.Prim.(prim.Reduce)), append(args, a)
	}
	if len(reduces) > 0 {
		h.joined = newReduction(reduces, args, types)
	}
	return h
}

// folding is a hosted set at work on one result. A nil one does nothing.
type folding struct {
	*hosted
	x       *executable
	src     []planeSource
	result  []float32
	pieces  int
	sums    []float64 // [piece][channel][fold]
	moments []moments // [piece][channel]
}

// planeSource is an operand: whole planes, or a value per plane.
type planeSource struct {
	f              []float32
	image, channel int // strides
	full           bool
}

func (h *hosted) bind(x *executable) *folding {
	f := &folding{hosted: h, x: x, result: x.views[h.node].f32()}
	if h.joined != nil && h.joined.of != x.k {
		h.joined.vm, h.joined.of = x.k.compile(h.joined.expr, h.joined.wants), x.k
	}
	for _, id := range h.in {
		v := x.views[id]
		s := planeSource{f: v.f32(), full: v.typ.Len() == h.images*h.channels*h.plane}
		size := 1
		if s.full {
			size = h.plane
		}
		if v.typ.Shape[1] > 1 {
			s.channel = size
		}
		if v.typ.Shape[0] > 1 {
			s.image = size * v.typ.Shape[1]
		}
		f.src = append(f.src, s)
	}
	return f
}

// begin says how many pieces the result is computed in.
func (f *folding) begin(pieces int) {
	if f == nil {
		return
	}
	f.pieces = pieces
	f.sums = make([]float64, pieces*f.channels*len(f.nodes))
	if len(f.nodes) > 0 {
		for i := range f.sums {
			f.sums[i] = identity(f.joined.ops[i%len(f.nodes)])
		}
	}
	if len(f.spreads) > 0 {
		f.moments = make([]moments, pieces*f.channels)
	}
}

// folder is a folding at work on one worker.
type folder struct {
	*folding
	m     *machine
	tile  int
	buf   []float32
	tmp   []float32
	about *[8]float32
}

// start prepares worker w; nil for a nil folding.
func (f *folding) start(w *worker) *folder {
	if f == nil {
		return nil
	}
	t := &folder{folding: f, tile: min(1024, (f.plane+7)&^7)}
	t.buf = w.scratch(scratchFoldArgs, 8*(len(f.src)+1))
	t.about, t.buf = (*[8]float32)(t.buf), t.buf[8:]
	if f.joined != nil {
		v := f.joined.vm
		t.m = &machine{vm: v, tile: t.tile, slot: w.scratch(scratchFoldSlot, (v.slots+1)*(t.tile+16)), steps: make([]int, v.slots), args: make([]operand, len(f.src))}
	}
	if len(f.spreads) > 0 {
		t.tmp = w.scratch(scratchFoldTile, t.tile)
	}
	return t
}

// fetch asks for the operands of a part ahead of their use.
func (t *folder) fetch(image, channel, from, n int) {
	if t == nil {
		return
	}
	for i, id := range t.in {
		if s := &t.src[i]; s.full && id != t.node {
			t.x.k.fetch(4*n, &s.f[image*s.image+channel*s.channel+from])
		}
	}
}

// part folds elements [from, from+n) of a plane, in piece.
func (t *folder) part(piece, image, channel, from, n int) {
	if t == nil {
		return
	}
	for ; n > 0; from, n = from+t.tile, n-t.tile {
		t.tiled(piece, image, channel, from, min(n, t.tile))
	}
}

func (t *folder) tiled(piece, image, channel, from, n int) {
	at := piece*t.channels + channel
	if len(t.spreads) > 0 {
		x := t.result[(image*t.channels+channel)*t.plane+from:][:n]
		t.moments[at].join(t.x.k.momentsOf(x, t.tmp, t.about))
	}
	if t.m == nil {
		return
	}
	for i := range t.src {
		s := &t.src[i]
		off := image*s.image + channel*s.channel
		if s.full {
			t.m.args[i] = operand{&s.f[off+from], 32}
			continue
		}
		b := t.buf[8*i : 8*i+8]
		fillSlice(b, s.f[off])
		t.m.args[i] = operand{&b[0], 0}
	}
	t.m.run(n, nil)
	g := t.joined
	sums := t.sums[at*len(g.ops):][:len(g.ops)]
	for i, op := range g.ops {
		sums[i] = fold(op, sums[i], t.m.fold(t.x.k, op, t.m.roots[i], n))
	}
}

// finish writes the results, pieces in order.
func (f *folding) finish() {
	folds := len(f.nodes)
	for i, node := range f.nodes {
		out := f.x.views[node].f32()
		for c := range out {
			acc := f.sums[c*folds+i]
			for p := 1; p < f.pieces; p++ {
				acc = fold(f.joined.ops[i], acc, f.sums[(p*f.channels+c)*folds+i])
			}
			out[c] = float32(acc)
		}
	}
	for _, node := range f.spreads {
		out := f.x.views[node].f32()
		for c := range out {
			var m moments
			for p := range f.pieces {
				m.join(f.moments[p*f.channels+c])
			}
			out[c] = float32(m.square)
		}
	}
}
