package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// microsoft is the domain of ONNX Runtime's own operators.
const microsoft = "com.microsoft"

// opSimplifiedLayerNormalization is RMS normalisation as ONNX Runtime spells it in the default domain.
func opSimplifiedLayerNormalization() *Op {
	return &Op{
		Name: "SimplifiedLayerNormalization", Since: 1, Params: []int{1}, Doc: "x/√(mean(x²)+epsilon)·scale over all axes from axis on; of ONNX Runtime",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			axes, err := lastAxes(s)
			if err != nil {
				return nil, err
			}
			out, err := scaledInfer(s)
			if err == nil && len(s.Node.Outputs) > 1 {
				out = append(out, tensorFact(ir.Float32, foldedDims(s.In[0].Type.Shape, axes, true)))
			}
			return out, err
		},
		Axes: axesLayerNorm,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes, err := lastAxes(l.Site)
			if err != nil {
				return nil, err
			}
			y, rate := rmsNorm(l, l.In[0], l.In[1], axes, l.weighing(0, axes), 1e-5)
			return l.padOutputs(y, rate), nil
		},
	}
}

// rmsNorm returns x/√(mean(x²)+epsilon)·scale and the rate that x is multiplied by.
func rmsNorm(l *Lowering, x, scale prim.ID, axes []int, w weighing, eps float64) (y, rate prim.ID) {
	b := l.B
	square := w.mean(b, axes, prim.Op(prim.Mul, prim.A(0), prim.A(0)), x)
	rate = b.Map(rsqrt(prim.A(0), l.Node.Float("epsilon", eps)), square)
	return b.Map(prim.Op(prim.Mul, prim.Op(prim.Mul, prim.A(0), prim.A(1)), prim.A(2)), x, rate, scale), rate
}

// layerNorm returns (x-mean)/√(var+epsilon)·scale + bias, the mean and the rate; bias may be Invalid.
func layerNorm(l *Lowering, x, scale, bias prim.ID, axes []int, w weighing, eps float64) (y, mean, rate prim.ID) {
	b := l.B
	stats := standardised(b, x, axes, l.Node.Float("epsilon", eps), w)
	e := prim.Op(prim.Sub, prim.Op(prim.Mul, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.A(2)), prim.A(3))
	e = prim.Op(prim.Mul, e, prim.A(4))
	in := []prim.ID{x, stats.centre, stats.rate, stats.drift, scale}
	if bias != prim.Invalid {
		e, in = prim.Op(prim.Add, e, prim.A(5)), append(in, bias)
	}
	return b.Map(e, in...), stats.mean, stats.rate
}

// skipNorm is a norm over the last axis of the sum of input, skip and an optional
// bias. Outputs: the result, mean and rate (kept size 1), and the sum. The inputs after
// skip are gamma, beta (unless simplified) and bias.
func skipNorm(name, doc string, simplified bool) *Op {
	last := 4 // bias
	params := []int{2, 3, 4}
	if simplified {
		last, params = 3, []int{2, 3}
	}
	return &Op{
		Name: name, Domain: microsoft, Since: 1, Sums: true, Params: params, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 3, last+1); err != nil {
				return nil, err
			}
			if err := s.wantRank(0, 2); err != nil {
				return nil, err
			}
			out, err := scaledInfer(s)
			if err != nil {
				return nil, err
			}
			x := s.In[0].Type
			stats := foldedDims(x.Shape, []int{len(x.Shape) - 1}, true)
			for k := 1; k < len(s.Node.Outputs); k++ {
				if k == 3 {
					out = append(out, tensorFact(x.Elem, x.Shape))
				} else {
					out = append(out, tensorFact(ir.Float32, stats))
				}
			}
			return out, nil
		},
		Axes: func(s *Site, a *Axes) {
			end := s.In[0].Type.Rank() - 1
			weighAxes(s, a, []int{end})
			for i := 1; i < len(s.Node.Inputs); i++ {
				tieBroadcast(s, a, i, 0, Carried)
			}
			for k := 1; k < len(s.Out); k++ {
				for n := range s.Out[k].Type.Shape {
					if n < end || k == 3 {
						a.Tie(Carried, In(0, n), Out(k, n))
					}
				}
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.B
			sum := b.Plus(l.In[0], l.In[1])
			if l.Input(last).Present() {
				sum = b.Plus(sum, l.In[last])
			}
			axes := []int{len(b.Shape(sum)) - 1}
			w := l.weighing(0, axes)
			if simplified {
				y, rate := rmsNorm(l, sum, l.In[2], axes, w, 1e-12)
				return l.padOutputs(y, prim.Invalid, rate, sum), nil
			}
			beta := prim.Invalid
			if l.Input(3).Present() {
				beta = l.In[3]
			}
			y, mean, rate := layerNorm(l, sum, l.In[2], beta, axes, w, 1e-12)
			return l.padOutputs(y, mean, rate, sum), nil
		},
	}
}

// skipNorms lists SkipLayerNormalization and SkipSimplifiedLayerNormalization.
func skipNorms() []*Op {
	return []*Op{
		skipNorm("SkipLayerNormalization", "layer normalisation of input + skip + bias over the last axis; of ONNX Runtime", false),
		skipNorm("SkipSimplifiedLayerNormalization", "RMS normalisation of input + skip + bias over the last axis; of ONNX Runtime", true),
	}
}

// opEmbedLayerNormalization adds rows of word, position and segment tables and normalises
// them. Output 1 counts each row's mask, output 2 is the sum before the norm.
func opEmbedLayerNormalization() *Op {
	return &Op{
		Name: "EmbedLayerNormalization", Domain: microsoft, Since: 1, Params: []int{2, 3, 4, 5, 6},
		Doc: "layer normalisation of word + position + segment embeddings; of ONNX Runtime",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 9); err != nil {
				return nil, err
			}
			for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8} {
				want := 2
				if i == 5 || i == 6 {
					want = 1
				}
				if f := s.Input(i); f.Type.Rank() != want && (f.Present() || i != 1 && i != 4 && i < 7) {
					return nil, s.Errorf("infer", "input %d %q: want rank %d, got %s", i, s.Node.Input(i), want, f.Type)
				}
			}
			ids, table := s.In[0].Type.Shape, s.In[2].Type
			if err := firstError(
				s.agree("embedding width", s.dim(2, 1), s.dim(3, 1), s.dim(4, 1), s.dim(5, 0), s.dim(6, 0)),
				s.agree("sequence", s.dim(0, 1), s.dim(1, 1), s.dim(7, 1), s.dim(8, 1)),
			); err != nil {
				return nil, err
			}
			d := append(append([]ir.Dim{}, ids...), table.Shape[1])
			return []Fact{tensorFact(table.Elem, d), tensorFact(ir.Int32, ids[:1]), tensorFact(table.Elem, d)}[:max(1, min(3, len(s.Node.Outputs)))], nil
		},
		Axes: func(s *Site, a *Axes) {
			for n := range 2 {
				a.Tie(Carried, In(0, n), Out(0, n))
				for _, i := range []int{1, 7, 8} {
					if f := s.Input(i); f.Present() && f.Type.Rank() == 2 && sameDim(f.Type.Shape[n], s.In[0].Type.Shape[n]) {
						a.Tie(Carried, In(i, n), Out(0, n))
					}
				}
			}
			for _, i := range []int{2, 3, 4} {
				if s.Input(i).Present() {
					a.Fix(In(i, 0), "positions are chosen by an index")
					a.Tie(Born, In(i, 1), Out(0, 2))
				}
			}
			a.Tie(Carried, In(5, 0), Out(0, 2))
			a.Tie(Carried, In(6, 0), Out(0, 2))
			a.Weigh(Out(0, 2))
			if len(s.Out) > 1 && s.Out[1].Present() {
				a.Tie(Carried, In(0, 0), Out(1, 0))
			}
			if len(s.Out) > 2 && s.Out[2].Present() {
				a.tieOutputs(s, 2)
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b := l.B
			shape := b.Shape(l.In[0])
			index, err := l.index(0, b.Shape(l.In[2])[0])
			if err != nil {
				return nil, err
			}
			sum := b.Gather(l.In[2], index, 0)
			if l.Input(8).Present() {
				at, err := l.index(8, b.Shape(l.In[3])[0])
				if err != nil {
					return nil, err
				}
				sum = b.Plus(sum, b.Gather(l.In[3], at, 0))
			} else {
				if p := b.Shape(l.In[3]); p[0] < shape[1] {
					return nil, l.Errorf("lower", "input 3 %q: want at least %d positions, got %d", l.Node.Input(3), shape[1], p[0])
				}
				sum = b.Plus(sum, b.SliceAxis(l.In[3], 0, 0, shape[1]))
			}
			if l.Input(4).Present() {
				at := b.Const(prim.NewTensor(prim.Type{DType: prim.I64, Shape: shape}))
				if l.Input(1).Present() {
					if at, err = l.index(1, b.Shape(l.In[4])[0]); err != nil {
						return nil, err
					}
				}
				sum = b.Plus(sum, b.Gather(l.In[4], at, 0))
			}
			w := plainWeighing(b.Shape(sum), []int{2})
			if l.AxisMask != nil {
				w = l.weighingBy(l.AxisMask(2, 1), b.Shape(sum), 2)
			}
			y, _, _ := layerNorm(l, sum, l.In[5], l.In[6], []int{2}, w, 1e-12)
			count := b.Const(prim.NewTensor(prim.Type{DType: prim.I64, Shape: shape[:1]}))
			if l.Input(7).Present() {
				count = b.Reshape(b.Sum(l.In[7], 1), shape[0])
			}
			return l.padOutputs(y, count, sum), nil
		},
	}
}

// tieOutputs ties all axes of output 0 to those of output k.
func (a *Axes) tieOutputs(s *Site, k int) {
	for n := range s.Out[0].Type.Shape {
		a.Tie(Carried, Out(0, n), Out(k, n))
	}
}
