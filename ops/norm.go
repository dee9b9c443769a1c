package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opInstanceNormalization normalises each channel of each sample over the
// spatial axes: y = (x-mean)/√(var+epsilon)·scale + bias.
func opInstanceNormalization() *Op {
	return &Op{
		Name: "InstanceNormalization", Since: 6, Params: []int{1, 2}, Doc: "normalisation of each channel of each sample over its spatial axes; versions 6, 22",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 3, 3); err != nil {
				return nil, err
			}
			if err := s.channelParams(1, 2); err != nil {
				return nil, err
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			weighAxes(s, a, axesFrom(2, s.In[0].Type.Rank()))
			tieChannel(s, a, In(1, 0), s.In[1])
			tieChannel(s, a, In(2, 0), s.In[2])
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b, x := l.B, l.In[0]
			rank := len(b.Shape(x))
			axes := axesFrom(2, rank)
			stats := standardised(b, x, axes, l.Node.Float("epsilon", 1e-5), l.weighing(0, axes))
			return one(stats.affine(b, x, channelwise(b, l.In[1], rank), channelwise(b, l.In[2], rank))), nil
		},
	}
}

// channelParams checks that inputs are vectors with one number per channel of input 0.
func (s *Site) channelParams(inputs ...int) error {
	if err := s.wantRank(0, 2); err != nil {
		return err
	}
	c := s.In[0].Type.Shape[1]
	for _, i := range inputs {
		p := s.In[i].Type.Shape
		if len(p) != 1 || (p[0].Known() && c.Known() && p[0].Size != c.Size) {
			return s.Errorf("infer", "input %d %q: want [%d], one number per channel, got %v", i, s.Node.Input(i), c.Size, p)
		}
	}
	return nil
}

// opGroupNormalization normalises groups of channels of each sample. Scale and
// bias have one number per group in version 18, one per channel since 21.
func opGroupNormalization() *Op {
	return &Op{
		Name: "GroupNormalization", Since: 18, Params: []int{1, 2}, Doc: "normalisation of each of num_groups channel groups of each sample; versions 18, 21",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 3, 3); err != nil {
				return nil, err
			}
			if err := s.wantRank(0, 2); err != nil {
				return nil, err
			}
			g, c := s.Node.Int("num_groups", 0), s.In[0].Type.Shape[1]
			if g < 1 || (c.Known() && c.Size%g != 0) {
				return nil, s.Errorf("infer", "attribute \"num_groups\": want a divisor of %d channels, got %d", c.Size, g)
			}
			want := c.Size
			if s.Opset < 21 {
				want = g
			}
			for i := 1; i < 3; i++ {
				if p := s.In[i].Shape(); len(p) != 1 || (p[0] >= 0 && want >= 0 && p[0] != want) {
					return nil, s.Errorf("infer", "input %d %q: want [%d], got %v", i, s.Node.Input(i), want, p)
				}
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			g, c := s.Node.Int("num_groups", 1), s.In[0].Type.Shape[1].Size
			weighAxes(s, a, axesFrom(2, s.In[0].Type.Rank()))
			if g != c && c > 0 && g > 0 {
				tieGroups(a, In(0, 1), c, g)
				a.Weigh(In(0, 1))
			}
			for i := 1; i < 3; i++ {
				if s.Opset >= 21 || g == c {
					tieChannel(s, a, In(i, 0), s.In[i])
				} else {
					a.Fix(In(i, 0), "one number per group")
				}
			}
		},
		Cut: func(c *Cut) error {
			x := c.In[0].Shape()
			g, n := c.Node.Int("num_groups", 1), c.kept(0).Len(1, x[1])
			if g == x[1] {
				c.Node.SetAttr(ir.IntAttr("num_groups", n))
				return nil
			}
			return evenGroups(c, c.kept(0), 1, x[1], g, g)
		},
		Lower: lowerGroupNorm,
	}
}

func lowerGroupNorm(l *Lowering) ([]prim.ID, error) {
	b, x := l.B, l.In[0]
	shape, g := b.Shape(x), l.Node.Int("num_groups", 1)
	if len(shape) < 2 || g < 1 || shape[1]%g != 0 {
		return nil, l.Errorf("lower", "attribute \"num_groups\": want a divisor of the channels of %v, got %d", shape, g)
	}
	per := shape[1] / g
	axes := axesFrom(2, len(shape)+1)
	split := slices.Concat([]int{shape[0], g, per}, shape[2:])
	w := plainWeighing(split, axes)
	first := 1
	if per == 1 {
		first = 2 // every channel has statistics of its own
	}
	if m := l.weighing(0, axesFrom(first, len(shape))); m.mask != prim.Invalid {
		spread := b.Shape(m.mask)
		if spread[1] == 1 { // coefficients of spatial axes alone
			spread = append([]int{1, 1}, spread[1:]...)
		} else {
			spread = append([]int{1, g, per}, spread[2:]...)
		}
		w.mask = b.Reshape(m.mask, spread...)
		w.total = b.Scale(b.Sum(w.mask, axes...), float64(extent(split, axes))/float64(extent(spread, axes)))
	}
	x = b.Reshape(x, split...)
	stats := standardised(b, x, axes, l.Node.Float("epsilon", 1e-5), w)
	param := func(p prim.ID) prim.ID {
		along := slices.Repeat([]int{1}, len(split))
		if along[1] = g; prim.Prod(b.Shape(p)) != g || l.Opset >= 21 {
			along[2] = per
		}
		return b.Reshape(p, along...)
	}
	return one(b.Reshape(stats.affine(b, x, param(l.In[1]), param(l.In[2])), shape...)), nil
}

// lastAxes returns axis, rank-1 inclusive, for an "axis" attribute with a default of -1.
func lastAxes(s *Site) ([]int, error) {
	rank := s.In[0].Type.Rank()
	a, err := s.normAxis("infer", s.Node.Int("axis", -1), rank)
	return axesFrom(a, rank), err
}

// axesLayerNorm carries all axes, weighs the normalised ones and ties scale and bias.
func axesLayerNorm(s *Site, a *Axes) {
	axes, err := lastAxes(s)
	if err != nil {
		return
	}
	weighAxes(s, a, axes)
	for i := 1; i < len(s.Node.Inputs); i++ {
		tieBroadcast(s, a, i, 0, Carried)
	}
	for k := 1; k < len(s.Out); k++ {
		for n := range axes[0] {
			if s.Out[k].Present() {
				a.Tie(Carried, In(0, n), Out(k, n))
			}
		}
	}
}

// opLayerNormalization normalises over all axes from axis on; it can also give mean and 1/√(var+epsilon).
func opLayerNormalization() *Op {
	return &Op{
		Name: "LayerNormalization", Since: 17, Params: []int{1, 2}, Doc: "(x-mean)/√(var+epsilon)·scale + bias over all axes from axis on; version 17",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 3); err != nil {
				return nil, err
			}
			axes, err := lastAxes(s)
			if err != nil {
				return nil, err
			}
			out, err := scaledInfer(s)
			if err != nil {
				return nil, err
			}
			stats := foldedDims(s.In[0].Type.Shape, axes, true)
			for range max(len(s.Node.Outputs)-1, 0) {
				out = append(out, tensorFact(ir.DType(s.Node.Int("stash_type", int(ir.Float32))), stats))
			}
			return out, nil
		},
		Axes: axesLayerNorm,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := lastAxes(l.Site)
			if err != nil {
				return nil, err
			}
			bias := prim.Invalid
			if l.Input(2).Present() {
				bias = l.In[2]
			}
			y, mean, rate := layerNorm(l, l.In[0], l.In[1], bias, axes, l.weighing(0, axes), 1e-5)
			return l.padOutputs(y, mean, rate), nil
		},
	}
}

// scaledInfer gives output 0 the type of input 0, to which the other inputs must broadcast.
func scaledInfer(s *Site) ([]Fact, error) {
	x := s.In[0].Type.Shape
	for i := 1; i < len(s.Node.Inputs); i++ {
		if !s.In[i].Present() {
			continue
		}
		if !fits(x, s.In[i].Type.Shape) {
			return nil, s.Errorf("infer", "input %d %q: want a shape that broadcasts to %v, got %v", i, s.Node.Input(i), x, s.In[i].Type.Shape)
		}
	}
	return sameInfer(s)
}

// opRMSNormalization divides by the root of the mean square over all axes from axis on.
func opRMSNormalization() *Op {
	return &Op{
		Name: "RMSNormalization", Since: 23, Params: []int{1}, Doc: "x/√(mean(x²)+epsilon)·scale over all axes from axis on; version 23",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			if _, err := lastAxes(s); err != nil {
				return nil, err
			}
			return scaledInfer(s)
		},
		Axes: axesLayerNorm,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := lastAxes(l.Site)
			if err != nil {
				return nil, err
			}
			y, _ := rmsNorm(l, l.In[0], l.In[1], axes, l.weighing(0, axes), 1e-5)
			return one(y), nil
		},
	}
}

// opLpNormalization divides by the 1- or 2-norm along one axis; zero vectors stay zero.
func opLpNormalization() *Op {
	axis := func(s *Site) ([]int, error) {
		a, err := s.normAxis("infer", s.Node.Int("axis", -1), s.In[0].Type.Rank())
		return []int{a}, err
	}
	return &Op{
		Name: "LpNormalization", Since: 1, Doc: "x/(Σ|x|ᵖ)^(1/p) along axis, p 1 or 2; versions 1, 22",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			if p := s.Node.Int("p", 2); p != 1 && p != 2 {
				return nil, s.Errorf("infer", "attribute \"p\": want 1 or 2, got %d", p)
			}
			if _, err := axis(s); err != nil {
				return nil, err
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			if axes, err := axis(s); err == nil {
				weighAxes(s, a, axes)
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := axis(l.Site)
			if err != nil {
				return nil, err
			}
			p := float64(l.Node.Int("p", 2))
			sum := l.weighing(0, axes).sum(l.B, axes, absPower(prim.A(0), p), l.In[0])
			safe := prim.Op(prim.Select, prim.Op(prim.Eq, prim.A(1), prim.L(0)), prim.L(1), prim.A(1))
			return one(l.B.Map(prim.Op(prim.Div, prim.A(0), root(safe, p)), l.In[0], sum)), nil
		},
	}
}

// varianceAxes returns the axes that MeanVarianceNormalization works over.
func varianceAxes(s *Site) ([]int, error) {
	var axes []int
	rank := s.In[0].Type.Rank()
	for _, a := range s.Node.Ints("axes", []int{0, 2, 3}) {
		a, err := s.normAxis("infer", a, rank)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(axes, a) {
			axes = append(axes, a)
		}
	}
	return axes, nil
}

// opMeanVarianceNormalization subtracts the mean and divides by the standard deviation over axes.
func opMeanVarianceNormalization() *Op {
	return &Op{
		Name: "MeanVarianceNormalization", Since: 9, Doc: "(x-mean)/(√var+1e-9) over axes; versions 9, 13",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			if _, err := varianceAxes(s); err != nil {
				return nil, err
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			if axes, err := varianceAxes(s); err == nil {
				weighAxes(s, a, axes)
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := varianceAxes(l.Site)
			if err != nil {
				return nil, err
			}
			stats := standardised(l.B, l.In[0], axes, 0, l.weighing(0, axes))
			spread := prim.Op(prim.Add, prim.Op(prim.Sqrt, prim.A(2)), prim.L(1e-9))
			return one(l.B.Map(prim.Op(prim.Div, prim.Op(prim.Sub, prim.A(0), prim.A(1)), spread), l.In[0], stats.mean, stats.variance)), nil
		},
	}
}

// opLRN divides by a power of the local sum of squares across neighbouring channels:
// y = x/(bias + alpha/size·Σx²)^beta.
func opLRN() *Op {
	return &Op{
		Name: "LRN", Since: 1, Doc: "x/(bias + alpha/size·Σx² over size neighbouring channels)^beta; versions 1, 13",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			if err := s.wantRank(0, 3); err != nil {
				return nil, err
			}
			if n := s.Node.Int("size", 0); n < 1 {
				return nil, s.Errorf("infer", "attribute \"size\": want at least 1, got %d", n)
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) { normaliseAxes(s, a, []int{1}, "normalised over neighbouring channels") },
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b, x := l.B, l.In[0]
			shape, n := b.Shape(x), l.Node.Int("size", 1)
			flat := []int{shape[0], 1, shape[1], prim.Prod(shape[2:])}
			square := b.Map(prim.Op(prim.Mul, prim.A(0), prim.A(0)), b.Reshape(x, flat...))
			sum := b.Add(prim.SumPool{Pool: prim.Pool{
				Window: prim.Window{Strides: []int{1, 1}, Dilations: []int{1, 1}, PadLo: []int{(n - 1) / 2, 0}, PadHi: []int{n / 2, 0}},
				Kernel: []int{n, 1},
			}}, square)
			base := prim.Op(prim.Add, prim.L(l.Node.Float("bias", 1)), prim.Op(prim.Mul, prim.L(l.Node.Float("alpha", 1e-4)/float64(n)), prim.A(1)))
			return one(b.Map(prim.Op(prim.Mul, prim.A(0), power(base, -l.Node.Float("beta", 0.75))), x, b.Reshape(sum, shape...))), nil
		},
	}
}
