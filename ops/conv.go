package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opConv is the cross-correlation of x [N, C, S…] with w [M, C/group, K…] plus
// an optional bias [M], for any number of spatial axes.
func opConv() *Op {
	return &Op{
		Name: "Conv", Since: 1, Params: []int{1, 2}, Doc: "convolution with group, strides, dilations, pads, auto_pad and optional bias; versions 1, 11, 22",
		Infer: func(s *Site) ([]Fact, error) {
			w, err := convWindow(s)
			if err != nil {
				return nil, err
			}
			x, k := s.In[0].Type, s.In[1].Type
			return []Fact{tensorFact(x.Elem, w.dims(plain(x.Shape[0]), plain(k.Shape[0])))}, nil
		},
		Lower: lowerConv,
		Axes:  axesConv,
		Cost: func(s *Site) Cost {
			w, o := s.In[1].Shape(), s.Out[0].Shape()
			return macs(append(slices.Clone(w[1:]), o...)...)
		},
		Cut:    cutConv,
		Kernel: kernelOfConv,
		Linear: linearConv,
	}
}

// macs multiplies sizes; an unknown one makes the cost unknown, that is 0.
func macs(sizes ...int) Cost {
	c := 1.0
	for _, n := range sizes {
		c *= float64(max(n, 0))
	}
	return Cost{MACs: c}
}

func (s *Site) group() int { return s.Node.Int("group", 1) }

// convWindow checks a convolution's operands and returns its geometry.
func convWindow(s *Site) (window, error) {
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
	if g < 1 {
		return window{}, s.Errorf("infer", "attribute \"group\": want at least 1, got %d", g)
	}
	if x[1] >= 0 && k[1] >= 0 && x[1] != k[1]*g {
		return window{}, s.Errorf("infer", "weight %q: want %d channels × %d groups = the input's %d, got %v", s.Node.Input(1), k[1], g, x[1], k)
	}
	if k[0] >= 0 && k[0]%g != 0 {
		return window{}, s.Errorf("infer", "attribute \"group\": want a divisor of %d, got %d", k[0], g)
	}
	if b := s.Input(2); b.Present() {
		if sh := b.Shape(); len(sh) != 1 || (sh[0] >= 0 && k[0] >= 0 && sh[0] != k[0]) {
			return window{}, s.Errorf("infer", "bias %q: want [%d], got %v", s.Node.Input(2), k[0], sh)
		}
	}
	if ks := s.Node.Ints("kernel_shape", nil); ks != nil && !slices.Contains(k[2:], -1) && !slices.Equal(ks, k[2:]) {
		return window{}, s.Errorf("infer", "attribute \"kernel_shape\": want %v as the weight has it, got %v", k[2:], ks)
	}
	return s.window(x[2:], k[2:], false)
}

func lowerConv(l *Lowering) ([]prim.ID, error) {
	w, err := convWindow(l.Site)
	if err != nil {
		return nil, err
	}
	c := prim.Conv{Window: w.geometry(l.B.Shape(l.In[0])[2:]), Groups: l.group()}
	return one(addBias(l, l.B.Add(c, l.In[0], l.In[1]))), nil
}

// addBias adds input 2, when present, along axis 1.
func addBias(l *Lowering, y prim.ID) prim.ID {
	if !l.Input(2).Present() || y == prim.Invalid {
		return y
	}
	return l.B.Plus(y, channelwise(l.B, l.In[2], len(l.B.Shape(y))))
}

// channelwise reshapes a vector [C] to [1, C, 1…] of the given rank.
func channelwise(b *prim.Builder, v prim.ID, rank int) prim.ID {
	shape := slices.Repeat([]int{1}, rank)
	shape[1] = prim.Prod(b.Shape(v))
	return b.Reshape(v, shape...)
}

func axesConv(s *Site, a *Axes) {
	x, k := s.In[0].Shape(), s.In[1].Shape()
	a.Tie(Carried, In(0, 0), Out(0, 0))
	a.Tie(Born, In(1, 0), Out(0, 1))
	if s.Input(2).Present() {
		a.Tie(Carried, In(2, 0), Out(0, 1))
	}
	g, channels, filters := s.group(), x[1], k[0]
	if channels < 0 {
		channels = k[1] * g
	}
	switch {
	case g == 1:
		a.Tie(Contracted, In(0, 1), In(1, 1))
	case channels < 0 || filters < 0:
		return
	case g == channels:
		channelOf, filter := repeatEach(channels, filters/channels)
		a.TiePairs(Carried, In(0, 1), In(1, 0), channelOf, filter)
	default:
		tieWithin(a, Contracted, In(0, 1), In(1, 1), channels, channels/g)
		tieGroups(a, Out(0, 1), filters, g)
	}
	kernelAxes(a, len(k), kernelWhy(s))
	if w, err := convWindow(s); err == nil {
		w.axes(a)
	}
}

// kernelAxes pins the spatial axes of the weight.
func kernelAxes(a *Axes, rank int, why string) {
	for i := 2; i < rank; i++ {
		a.Fix(In(1, i), why)
	}
}

// kernelWhy says why the kernel of a convolution may not shrink, or that it may as a
// dimension of its own.
func kernelWhy(s *Site) string {
	w, err := convWindow(s)
	if err != nil {
		return "the kernel's window is not known"
	}
	side := 1
	for i, k := range w.kernel {
		switch half := w.dilations[i] * (k / 2); {
		case k == 1:
		case k%2 == 0:
			return "a kernel of an even size has no centre to shrink to"
		case w.lo[i] < half || w.hi[i] < half:
			return "the kernel is padded by less than half of its size, so that a smaller one would see other positions"
		case side > 1 && side != k:
			return "only a square kernel may shrink"
		}
		side = max(side, k)
	}
	return "the kernel shrinks as a dimension of its own"
}

// repeatEach returns i, i, … (times each) for i < n beside 0, 1, 2, ….
func repeatEach(n, times int) (owner, position []int) {
	for i := range n * times {
		owner, position = append(owner, i/times), append(position, i)
	}
	return owner, position
}

// tieWithin ties the n positions of x to their positions within groups of size per along y.
func tieWithin(a *Axes, role Role, x, y AxisRef, n, per int) {
	px, py := make([]int, n), make([]int, n)
	for i := range n {
		px[i], py[i] = i, i%per
	}
	a.TiePairs(role, x, y, px, py)
}

// tieGroups ties equal positions within g groups of an axis of n positions to each other.
func tieGroups(a *Axes, x AxisRef, n, g int) { tieWithin(a, Carried, x, x, n, n/g) }

// kernelOfConv names the spatial axes of the weight when every size above 1 is
// odd and padded by at least half of its extent, so that each centred kernel sees the same centres.
func kernelOfConv(s *Site) (input int, axes []int, ok bool) {
	w, err := convWindow(s)
	if err != nil {
		return 1, nil, false
	}
	for i, k := range w.kernel {
		if k == 1 {
			continue
		}
		half := w.dilations[i] * (k / 2)
		if k%2 == 0 || k < 0 || w.lo[i] < half || w.hi[i] < half {
			return 1, nil, false
		}
		axes = append(axes, i+2)
	}
	return 1, axes, len(axes) > 0
}

// cutConv sets group for depthwise convolutions, and kernel_shape and pads where the kernel shrinks.
func cutConv(c *Cut) error {
	x, k := c.In[0].Shape(), c.In[1].Shape()
	nx, nk := c.kept(0).Shape(x), c.kept(1).Shape(k)
	was := c.group()
	g := was
	if g > 1 && g == x[1] {
		g = nx[1]
		c.Node.SetAttr(ir.IntAttr("group", g))
	}
	if nx[1] < 1 || nk[0] < 1 {
		return c.Errorf("cut", "channels: want at least one channel and one filter left, got %d and %d", nx[1], nk[0])
	}
	if nx[1] != nk[1]*g {
		return c.Errorf("cut", "input channels: want %d groups × %d, got %d", g, nk[1], nx[1])
	}
	if nk[0]%g != 0 {
		return c.Errorf("cut", "filters: want a multiple of %d groups, got %d", g, nk[0])
	}
	if err := evenGroups(c, c.kept(0), 1, x[1], was, g); err != nil {
		return err
	}
	if err := evenGroups(c, c.kept(1), 0, k[0], was, g); err != nil {
		return err
	}
	return cutKernel(c, k[2:])
}

// kept returns the positions kept of input i.
func (c *Cut) kept(i int) Positions {
	if i < len(c.Keep) {
		return c.Keep[i]
	}
	return nil
}

// evenGroups checks that a cut leaves every group (g before, now after) equally many positions of an axis of size n.
func evenGroups(c *Cut, p Positions, axis, n, g, now int) error {
	if g == 1 || axis >= len(p) || p[axis] == nil {
		return nil
	}
	per, count := n/g, make([]int, g)
	for _, i := range p[axis] {
		count[i/per]++
	}
	want := p.Len(axis, n) / now
	for i, k := range count {
		if k != want && (now == g || k != 0) {
			return c.Errorf("cut", "group %d: want %d positions like the other groups, got %d", i, want, k)
		}
	}
	return nil
}

// cutKernel edits kernel_shape and pads when spatial positions of the weight go away.
func cutKernel(c *Cut, kernel []int) error {
	p := c.kept(1)
	now, changed := slices.Clone(kernel), false
	before, after := make([]int, len(kernel)), make([]int, len(kernel))
	for i, n := range kernel {
		if i+2 >= len(p) || p[i+2] == nil {
			continue
		}
		keep := p[i+2]
		if len(keep) == 0 || keep[len(keep)-1]-keep[0] != len(keep)-1 {
			return c.Errorf("cut", "kernel axis %d: want one run of positions, got %v", i, keep)
		}
		now[i], before[i], after[i] = len(keep), keep[0], n-1-keep[len(keep)-1]
		changed = changed || len(keep) != n
	}
	if !changed {
		return nil
	}
	if c.Node.Attr("kernel_shape") != nil {
		c.Node.SetAttr(ir.IntsAttr("kernel_shape", now...))
	}
	w, err := c.window(c.In[0].Shape()[2:], kernel, false)
	if err != nil {
		return err
	}
	n := len(kernel)
	if auto := c.Node.Str("auto_pad", "NOTSET"); auto == "SAME_UPPER" || auto == "SAME_LOWER" {
		for i := range n {
			if before[i] != after[i] || w.dilations[i]*before[i] > min(w.lo[i], w.hi[i]) {
				return c.Errorf("cut", "kernel axis %d: want a centred cut no larger than the padding %d and %d, got %d and %d positions off", i, w.lo[i], w.hi[i], before[i], after[i])
			}
		}
		return nil
	}
	pads := append(slices.Clone(w.lo), w.hi...)
	for i := range n {
		pads[i] -= w.dilations[i] * before[i]
		pads[n+i] -= w.dilations[i] * after[i]
		if pads[i] < 0 || pads[n+i] < 0 {
			return c.Errorf("cut", "kernel axis %d: want padding of at least %d and %d to take off, got %d and %d", i, w.dilations[i]*before[i], w.dilations[i]*after[i], w.lo[i], w.hi[i])
		}
	}
	c.Node.SetAttr(ir.IntsAttr("pads", pads...))
	return nil
}
