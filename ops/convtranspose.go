package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opConvTranspose is the adjoint of a convolution: x [N, C, S…] with
// w [C, M/group, K…] gives [N, M, O…],
// O = stride·(S-1) + output_padding + dilation·(K-1) + 1 - pads.
func opConvTranspose() *Op {
	return &Op{
		Name: "ConvTranspose", Since: 1, Params: []int{1, 2}, Doc: "transposed convolution with group, strides, dilations, pads, auto_pad, output_padding, output_shape and optional bias; versions 1, 11, 22",
		Infer: func(s *Site) ([]Fact, error) {
			w, err := transposeWindow(s)
			if err != nil {
				return nil, err
			}
			x, k := s.In[0].Type, s.In[1].Type
			m := ir.Dim{Size: -1}
			if k.Shape[1].Known() {
				m.Size = k.Shape[1].Size * s.group()
			}
			return []Fact{tensorFact(x.Elem, w.dims(plain(x.Shape[0]), m))}, nil
		},
		Lower: lowerConvTranspose,
		Axes:  axesConvTranspose,
		Cost: func(s *Site) Cost {
			x, w := s.In[0].Shape(), s.In[1].Shape()
			return macs(append(slices.Clone(x), w[1:]...)...)
		},
		Cut: cutConvTranspose,
	}
}

// transposeWindow checks the operands; pads in the result may be negative (the output grows).
func transposeWindow(s *Site) (window, error) {
	if err := s.inputs("infer", 2, -1); err != nil {
		return window{}, err
	}
	if err := s.oneElem(0); err != nil {
		return window{}, err
	}
	x, k := s.In[0].Shape(), s.In[1].Shape()
	if len(x) < 3 || len(k) != len(x) {
		return window{}, s.Errorf("infer", "operands: want data and weight of one rank ≥ 3, got %v and %v", x, k)
	}
	g := s.group()
	if g < 1 || (k[0] >= 0 && k[0]%g != 0) {
		return window{}, s.Errorf("infer", "attribute \"group\": want a divisor of %d, got %d", k[0], g)
	}
	if x[1] >= 0 && k[0] >= 0 && x[1] != k[0] {
		return window{}, s.Errorf("infer", "weight %q: want %d along axis 0 like the input's channels, got %v", s.Node.Input(1), x[1], k)
	}
	if b := s.Input(2); b.Present() {
		if sh := b.Shape(); len(sh) != 1 || (sh[0] >= 0 && k[1] >= 0 && sh[0] != k[1]*g) {
			return window{}, s.Errorf("infer", "bias %q: want [%d], got %v", s.Node.Input(2), k[1]*g, sh)
		}
	}
	n := len(x) - 2
	w := window{kernel: k[2:], lo: make([]int, n), hi: make([]int, n), out: make([]int, n)}
	var extra, pads []int
	for _, a := range []struct {
		name              string
		count, def, least int
		to                *[]int
	}{{"strides", n, 1, 1, &w.strides}, {"dilations", n, 1, 1, &w.dilations}, {"output_padding", n, 0, 0, &extra}, {"pads", 2 * n, 0, 0, &pads}} {
		v := s.Node.Ints(a.name, nil)
		if len(v) == 0 {
			v = slices.Repeat([]int{a.def}, a.count)
		}
		if len(v) != a.count || slices.Min(v) < a.least || slices.Max(v) > maxWindow {
			return w, s.Errorf("infer", "attribute %q: want %d entries from %d to %d, got %v", a.name, a.count, a.least, maxWindow, v)
		}
		*a.to = v
	}
	shape := s.Node.Ints("output_shape", nil)
	if len(shape) == n+2 {
		shape = shape[2:]
	}
	if len(shape) != 0 && (len(shape) != n || slices.Max(shape) > 1<<31) {
		return w, s.Errorf("infer", "attribute \"output_shape\": want %d sizes, got %v", n, shape)
	}
	auto := s.Node.Str("auto_pad", "NOTSET")
	for i := range n {
		if x[i+2] < 0 || k[i+2] < 0 {
			if w.out[i] = -1; len(shape) != 0 {
				w.out[i] = shape[i]
			}
			continue
		}
		full := w.strides[i]*(x[i+2]-1) + extra[i] + w.dilations[i]*(k[i+2]-1) + 1
		same := auto == "SAME_UPPER" || auto == "SAME_LOWER"
		switch {
		case len(shape) != 0:
			w.out[i] = shape[i]
		case same:
			w.out[i] = x[i+2] * w.strides[i]
		case auto == "VALID":
			w.out[i] = full
		case auto == "NOTSET" || auto == "":
			w.lo[i], w.hi[i] = pads[i], pads[n+i]
			w.out[i] = full - w.lo[i] - w.hi[i]
		default:
			return w, s.Errorf("infer", "attribute \"auto_pad\": want NOTSET, SAME_UPPER, SAME_LOWER or VALID, got %q", auto)
		}
		if len(shape) != 0 || same {
			total := full - w.out[i]
			half := floorDiv(total, 2)
			w.lo[i], w.hi[i] = total-half, half
			if auto == "SAME_UPPER" {
				w.lo[i], w.hi[i] = half, total-half
			}
		}
		if w.out[i] < 1 {
			return w, s.Errorf("infer", "spatial axis %d: want an output size ≥ 1, got %d", i, w.out[i])
		}
	}
	return w, nil
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func lowerConvTranspose(l *Lowering) ([]prim.ID, error) {
	w, err := transposeWindow(l.Site)
	if err != nil {
		return nil, err
	}
	b := l.B
	x := b.Shape(l.In[0])
	n := len(w.out)
	c := prim.Conv{Window: prim.Window{Strides: w.strides, Dilations: w.dilations, PadLo: slices.Clone(w.lo), PadHi: slices.Clone(w.hi)}, Groups: l.group()}
	direct := true
	for i := range n {
		direct = direct && w.lo[i] >= 0 && w.hi[i] >= 0 && c.OutSize(i, w.out[i], w.kernel[i]) == x[i+2]
	}
	if direct {
		return one(addBias(l, b.Add(prim.ConvInputGrad{Conv: c, In: w.out}, l.In[0], l.In[1]))), nil
	}
	full := make([]int, n)
	for i := range n {
		c.PadLo[i], c.PadHi[i] = 0, 0
		full[i] = w.strides[i]*(x[i+2]-1) + w.dilations[i]*(w.kernel[i]-1) + 1
	}
	y := b.Add(prim.ConvInputGrad{Conv: c, In: full}, l.In[0], l.In[1])
	return one(addBias(l, crop(b, y, w.lo, w.out))), nil
}

// crop takes, along each axis from 2 on, size[i] positions of y from lo[i] on; positions outside y are 0.
func crop(b *prim.Builder, y prim.ID, lo, size []int) prim.ID {
	shape := b.Shape(y)
	if len(shape) < 2 {
		return y
	}
	r := len(shape)
	pad := prim.Pad{Lo: make([]int, r), Hi: make([]int, r), Interior: make([]int, r)}
	cut := prim.Slice{Start: make([]int, r), Size: slices.Clone(shape), Step: slices.Repeat([]int{1}, r)}
	for i := range lo {
		pad.Lo[i+2] = max(-lo[i], 0)
		pad.Hi[i+2] = max(lo[i]+size[i]-shape[i+2], 0)
		cut.Start[i+2], cut.Size[i+2] = max(lo[i], 0), size[i]
	}
	return b.Add(cut, b.Add(pad, y))
}

func axesConvTranspose(s *Site, a *Axes) {
	x, k := s.In[0].Shape(), s.In[1].Shape()
	a.Tie(Carried, In(0, 0), Out(0, 0))
	a.Tie(Contracted, In(0, 1), In(1, 0))
	if s.Input(2).Present() {
		a.Tie(Carried, In(2, 0), Out(0, 1))
	}
	g, channels := s.group(), max(x[1], k[0])
	switch {
	case g == 1:
		a.Tie(Born, In(1, 1), Out(0, 1))
	case channels < 0 || k[1] < 0:
		return
	case g == channels:
		owner, position := repeatEach(channels, k[1])
		a.TiePairs(Carried, In(1, 0), Out(0, 1), owner, position)
		if k[1] > 1 {
			a.Fix(In(1, 1), "outputs per channel of a depthwise convolution")
		}
	default:
		tieGroups(a, In(0, 1), channels, g)
		tieWithin(a, Born, Out(0, 1), In(1, 1), k[1]*g, k[1])
	}
	kernelAxes(a, len(k), "the kernel of a transposed convolution keeps its size")
	w, err := transposeWindow(s)
	for i := range w.kernel {
		if err == nil && w.trivial(i) && w.out[i] == x[i+2] {
			a.Tie(Carried, In(0, i+2), Out(0, i+2))
			continue
		}
		a.Fix(In(0, i+2), "spatial axis under a window")
		a.Fix(Out(0, i+2), "spatial axis under a window")
	}
}

// cutConvTranspose sets group for depthwise convolutions and checks the groups of the others.
func cutConvTranspose(c *Cut) error {
	x, k := c.In[0].Shape(), c.In[1].Shape()
	nx, nk := c.kept(0).Shape(x), c.kept(1).Shape(k)
	was := c.group()
	g := was
	if g > 1 && g == x[1] {
		g = nx[1]
		c.Node.SetAttr(ir.IntAttr("group", g))
	}
	if nx[1] != nk[0] || nx[1] < 1 || nk[1] < 1 || nx[1]%g != 0 {
		return c.Errorf("cut", "channels: want equal numbers, a multiple of %d groups, in data and weight, got %d and %v", g, nx[1], nk)
	}
	if !slices.Equal(nk[2:], k[2:]) {
		return c.Errorf("cut", "kernel: want %v kept whole, got %v", k[2:], nk[2:])
	}
	return evenGroups(c, c.kept(0), 1, x[1], was, g)
}
