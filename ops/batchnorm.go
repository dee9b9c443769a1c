package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opBatchNormalization normalises each channel of x [N, C, …]:
// y = (x-mean)/√(var+epsilon)·scale + bias. Inference takes the running
// statistics; training takes the batch's (population variance), lets the gradient
// through them, and moves the running ones: running·momentum + batch·(1-momentum).
func opBatchNormalization() *Op {
	return &Op{
		Name: "BatchNormalization", Since: 6, Train: true, Params: []int{1, 2}, State: []int{3, 4},
		Doc:   "batch normalisation over axis 1, inference and training; versions 6, 7, 9, 14, 15",
		Infer: inferBatchNorm,
		Axes: func(s *Site, a *Axes) {
			carryAxes(s, a)
			if s.Node.Int("training_mode", 0) != 0 {
				for k := range s.In[0].Type.Shape {
					if k != 1 {
						a.Normalise(In(0, k), "statistics of the batch are taken over it")
					}
				}
			}
			for i := 1; i < 5; i++ {
				tieChannel(s, a, In(i, 0), s.Input(i))
			}
			for k := 1; k < len(s.Out); k++ {
				tieChannel(s, a, Out(k, 0), s.Out[k])
			}
		},
		Lower: lowerBatchNorm,
	}
}

// tieChannel ties a per-channel parameter to axis 1 of the data, further axes to those after it.
func tieChannel(s *Site, a *Axes, ref AxisRef, f Fact) {
	for n := range f.Type.Shape {
		if n+1 < len(s.In[0].Type.Shape) {
			ref.Axis = n
			a.Tie(Carried, ref, In(0, n+1))
		}
	}
}

func inferBatchNorm(s *Site) ([]Fact, error) {
	if err := s.inputs("infer", 5, -1); err != nil {
		return nil, err
	}
	if err := s.wantRank(0, 2); err != nil {
		return nil, err
	}
	x := s.In[0].Type
	for i := 1; i < 5; i++ {
		p := s.In[i].Type.Shape
		if len(p) < 1 || len(p) > len(x.Shape)-1 {
			return nil, s.Errorf("infer", "input %d %q: want one number per channel, got %v", i, s.Node.Input(i), p)
		}
		for n, d := range p {
			if c := x.Shape[n+1]; d.Known() && c.Known() && d.Size != c.Size {
				return nil, s.Errorf("infer", "input %d %q: want %d channels, got %v", i, s.Node.Input(i), c.Size, p)
			}
		}
	}
	out := []Fact{tensorFact(x.Elem, x.Shape)}
	for k := 1; k < len(s.Node.Outputs); k++ {
		out = append(out, tensorFact(s.In[3].Type.Elem, s.In[3].Type.Shape))
	}
	return out, nil
}

func lowerBatchNorm(l *Lowering) ([]prim.ID, error) {
	b, x := l.B, l.In[0]
	shape := b.Shape(x)
	if len(shape) < 2 {
		return nil, l.Errorf("lower", "input: want rank ≥ 2, got %v", shape)
	}
	param := func(v prim.ID) prim.ID {
		p := append([]int{1}, b.Shape(v)...)
		return b.Reshape(v, append(p, slices.Repeat([]int{1}, max(len(shape)-len(p), 0))...)...)
	}
	scale, bias, mean0, var0 := param(l.In[1]), param(l.In[2]), param(l.In[3]), param(l.In[4])
	eps := l.Node.Float("epsilon", 1e-5)
	if !l.Training && l.Node.Int("training_mode", 0) == 0 && (l.Opset >= 7 || l.Node.Int("is_test", 0) != 0) {
		k := b.Map(prim.Op(prim.Mul, prim.A(0), rsqrt(prim.A(1), eps)), scale, var0)
		shift := b.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.A(1), prim.A(2))), bias, mean0, k)
		y := b.Map(prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.A(1)), prim.A(2)), x, k, shift)
		return batchNormOutputs(l, y, l.In[3], l.In[4], l.In[3], l.In[4]), nil
	}
	axes := []int{0}
	for i := 1; i < len(shape); i++ {
		if b.Shape(mean0)[i] == 1 && shape[i] != 1 {
			axes = append(axes, i)
		}
	}
	stats := standardise(b, x, axes, eps)
	m, v := stats.mean, stats.variance
	y := stats.affine(b, x, scale, bias)
	momentum := l.Node.Float("momentum", 0.9)
	move := func(old, now prim.ID) prim.ID {
		e := prim.Op(prim.Add, prim.Op(prim.Mul, prim.A(0), prim.L(momentum)), prim.Op(prim.Mul, prim.A(1), prim.L(1-momentum)))
		return b.Map(e, old, b.Reshape(now, b.Shape(old)...))
	}
	running, spread := move(l.In[3], m), move(l.In[4], v)
	if l.Update != nil {
		l.Update(3, running)
		l.Update(4, spread)
	}
	return batchNormOutputs(l, y, running, spread, b.Reshape(m, b.Shape(l.In[3])...), b.Reshape(v, b.Shape(l.In[4])...)), nil
}

// batchNormOutputs orders the results: data, running statistics, and before version 14 the batch's.
func batchNormOutputs(l *Lowering, y prim.ID, rest ...prim.ID) []prim.ID {
	out := []prim.ID{y}
	for k := 1; k < len(l.Node.Outputs); k++ {
		id := prim.Invalid
		if l.Node.Outputs[k] != "" && k <= len(rest) {
			id = rest[k-1]
		}
		out = append(out, id)
	}
	return out
}

// rsqrt is 1/√(x+eps).
func rsqrt(x *prim.X, eps float64) *prim.X {
	return prim.Op(prim.Rsqrt, prim.Op(prim.Add, x, prim.L(eps)))
}

// statistics describes x over some axes, which keep size 1 in every part:
// (x-centre)·rate - drift is x normalised. The centre is the mean without
// gradient; drift is zero and carries the mean's gradient, so that the reverse
// pass needs two reductions and no more.
type statistics struct {
	mean, variance, centre, rate, drift prim.ID
}

// standardise measures x over axes; the variance is the population's.
func standardise(b *prim.Builder, x prim.ID, axes []int, eps float64) statistics {
	return standardised(b, x, axes, eps, plainWeighing(b.Shape(x), axes))
}

// standardised is standardise with weighted statistics.
func standardised(b *prim.Builder, x prim.ID, axes []int, eps float64, w weighing) statistics {
	var s statistics
	s.mean = w.mean(b, axes, prim.A(0), x)
	s.centre = b.Add(prim.StopGrad{}, s.mean)
	d := prim.Op(prim.Sub, prim.A(0), prim.A(1))
	s.variance = w.mean(b, axes, prim.Op(prim.Mul, d, d), x, s.centre)
	s.rate = b.Map(rsqrt(prim.A(0), eps), s.variance)
	s.drift = b.Map(prim.Op(prim.Mul, d, prim.A(2)), s.mean, s.centre, s.rate)
	return s
}

// affine returns x normalised, times scale plus bias.
func (s statistics) affine(b *prim.Builder, x, scale, bias prim.ID) prim.ID {
	k := b.Times(s.rate, scale)
	shift := b.Map(prim.Op(prim.Sub, prim.A(0), prim.Op(prim.Mul, prim.A(1), prim.A(2))), bias, s.drift, scale)
	e := prim.Op(prim.Add, prim.Op(prim.Mul, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.A(2)), prim.A(3))
	return b.Map(e, x, s.centre, k, shift)
}

// dropDims returns dims without the given axes.
func dropDims(dims []ir.Dim, axes []int) []ir.Dim {
	out := []ir.Dim{}
	for i, d := range dims {
		if !slices.Contains(axes, i) {
			out = append(out, d)
		}
	}
	return out
}
