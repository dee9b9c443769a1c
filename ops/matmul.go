package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opMatMul is NumPy's matrix product: [..., m, k] × [..., k, n], a vector
// standing for one row on the left and one column on the right.
func opMatMul() *Op {
	return &Op{
		Name: "MatMul", Since: 1, Params: []int{0, 1}, Doc: "matrix product with broadcast leading axes; versions 1, 9, 13",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 3); err != nil {
				return nil, err
			}
			if err := s.oneElem(0); err != nil {
				return nil, err
			}
			x, y := s.In[0].Type.Shape, s.In[1].Type.Shape
			if len(x) == 0 || len(y) == 0 {
				return nil, s.Errorf("infer", "operands: want rank ≥ 1, got %v and %v", x, y)
			}
			inner := y[max(len(y)-2, 0)]
			if k := x[len(x)-1]; k.Known() && inner.Known() && k.Size != inner.Size {
				return nil, s.Errorf("infer", "inner sizes: want equal, got %d and %d (%v × %v)", k.Size, inner.Size, x, y)
			}
			dims, err := broadcastDims(x[:max(len(x)-2, 0)], y[:max(len(y)-2, 0)])
			if err != nil {
				return nil, s.Errorf("infer", "leading axes: %w", err)
			}
			if len(x) > 1 {
				dims = append(dims, x[len(x)-2])
			}
			if len(y) > 1 {
				dims = append(dims, y[len(y)-1])
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, dims)}, nil
		},
		Axes:   axesMatMul,
		Linear: linearMatMul,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b, x, y := l.B, l.In[0], l.In[1]
			sx, sy := b.Shape(x), b.Shape(y)
			out := slices.Clone(l.Out[0].Shape())
			if len(sx) == 1 {
				sx = []int{1, sx[0]}
			}
			if len(sy) == 1 {
				sy = []int{sy[0], 1}
			}
			r := max(len(sx), len(sy))
			if len(sy) == 2 && r > 2 {
				x = b.Reshape(x, prim.Prod(sx[:len(sx)-1]), sx[len(sx)-1])
				return one(b.Reshape(wrapped(l, b.MatMul(x, b.Reshape(y, sy...), false, false)), out...)), nil
			}
			x = b.Reshape(x, append(slices.Repeat([]int{1}, r-len(sx)), sx...)...)
			y = b.Reshape(y, append(slices.Repeat([]int{1}, r-len(sy)), sy...)...)
			return one(b.Reshape(wrapped(l, b.MatMul(x, y, false, false)), out...)), nil
		},
		Cost: func(s *Site) Cost {
			x := s.In[0].Shape()
			return macs(append(slices.Clone(s.Out[0].Shape()), x[len(x)-1])...)
		},
	}
}

// wrapped reduces an integer result to the width of input 0's type.
func wrapped(l *Lowering, y prim.ID) prim.ID {
	if d := l.elem(0); d.IsInt() && d.Bits() < 64 {
		return l.B.Map(wrap(d, prim.A(0)), y)
	}
	return y
}

// operandRole is Born for weights, whose positions become the output's, and Carried for computed values.
func (s *Site) operandRole(i int) Role {
	if s.Input(i).Weight {
		return Born
	}
	return Carried
}

func axesMatMul(s *Site, a *Axes) {
	x, y, o := s.In[0].Type.Shape, s.In[1].Type.Shape, s.Out[0].Type.Shape
	a.Tie(Contracted, In(0, len(x)-1), In(1, max(len(y)-2, 0)))
	if len(x) > 1 {
		at := len(o) - 1
		if len(y) > 1 {
			at--
		}
		a.Tie(s.operandRole(0), In(0, len(x)-2), Out(0, at))
	}
	if len(y) > 1 {
		a.Tie(s.operandRole(1), In(1, len(y)-1), Out(0, len(o)-1))
	}
	lead := max(max(len(x), len(y))-2, 0)
	for i, dims := range [][]ir.Dim{x, y} {
		for n := range max(len(dims)-2, 0) {
			if m := n + lead - (len(dims) - 2); sameDim(dims[n], o[m]) {
				a.Tie(Carried, In(i, n), Out(0, m))
			}
		}
	}
}

// opGemm is alpha·A'·B' + beta·C, A' and B' transposed on request.
func opGemm() *Op {
	return &Op{
		Name: "Gemm", Since: 6, Params: []int{0, 1, 2}, Doc: "alpha·A'·B' + beta·C with transA, transB and C broadcast; versions 6, 7, 9, 11, 13",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 3); err != nil {
				return nil, err
			}
			if err := s.oneElem(0); err != nil {
				return nil, err
			}
			x, y := s.In[0].Type.Shape, s.In[1].Type.Shape
			if len(x) != 2 || len(y) != 2 {
				return nil, s.Errorf("infer", "operands: want matrices, got %v and %v", x, y)
			}
			am, ak, bk, bn := gemmAxes(s)
			if k, k2 := x[ak], y[bk]; k.Known() && k2.Known() && k.Size != k2.Size {
				return nil, s.Errorf("infer", "inner sizes: want equal, got %d and %d", k.Size, k2.Size)
			}
			dims := []ir.Dim{x[am], y[bn]}
			if c := s.Input(2); c.Present() {
				if !fits(dims, c.Type.Shape) {
					return nil, s.Errorf("infer", "input 2 %q: want a shape that broadcasts to %v, got %v", s.Node.Input(2), dims, c.Type.Shape)
				}
			}
			return []Fact{tensorFact(s.In[0].Type.Elem, dims)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			am, ak, bk, bn := gemmAxes(s)
			a.Tie(Contracted, In(0, ak), In(1, bk))
			a.Tie(s.operandRole(0), In(0, am), Out(0, 0))
			a.Tie(s.operandRole(1), In(1, bn), Out(0, 1))
			tieBroadcast(s, a, 2, 0, Carried)
		},
		Lower:  lowerGemm,
		Linear: linearGemm,
		Cost: func(s *Site) Cost {
			_, ak, _, _ := gemmAxes(s)
			return macs(append(slices.Clone(s.Out[0].Shape()), s.In[0].Shape()[ak])...)
		},
	}
}

// gemmAxes returns the outer and inner axis of A, then the inner and outer axis of B.
func gemmAxes(s *Site) (am, ak, bk, bn int) {
	am, ak, bk, bn = 0, 1, 0, 1
	if s.Node.Int("transA", 0) != 0 {
		am, ak = 1, 0
	}
	if s.Node.Int("transB", 0) != 0 {
		bk, bn = 1, 0
	}
	return am, ak, bk, bn
}

func lowerGemm(l *Lowering) ([]prim.ID, error) {
	alpha, beta := l.Node.Float("alpha", 1), l.Node.Float("beta", 1)
	if d := l.elem(0); !d.IsFloat() && (alpha != 1 || beta != 1) {
		return nil, l.Errorf("lower", "alpha and beta: want 1 for %s operands, got %g and %g", d, alpha, beta)
	}
	y := l.B.MatMul(l.In[0], l.In[1], l.Node.Int("transA", 0) != 0, l.Node.Int("transB", 0) != 0)
	scaled := func(x *prim.X, k float64) *prim.X {
		if k == 1 {
			return x
		}
		return prim.Op(prim.Mul, x, prim.L(k))
	}
	switch {
	case l.Input(2).Present() && beta != 0:
		e := prim.Op(prim.Add, scaled(prim.A(0), alpha), scaled(prim.A(1), beta))
		return one(l.B.Map(wrap(l.elem(0), e), y, l.In[2])), nil
	case alpha != 1:
		return one(l.B.Scale(y, alpha)), nil
	}
	return one(wrapped(l, y)), nil
}
