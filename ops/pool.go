package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// poolWindow reads a pool's geometry over input 0, [N, C, S…].
func poolWindow(s *Site) (window, error) {
	if err := s.inputs("infer", 1, -1); err != nil {
		return window{}, err
	}
	x := s.In[0].Shape()
	if len(x) < 3 {
		return window{}, s.Errorf("infer", "input: want rank ≥ 3, got %v", x)
	}
	kernel := s.Node.Ints("kernel_shape", nil)
	if len(kernel) == 0 || slices.Min(kernel) < 1 {
		return window{}, s.Errorf("infer", "attribute \"kernel_shape\": want %d sizes ≥ 1, got %v", len(x)-2, kernel)
	}
	return s.window(x[2:], kernel, s.Node.Int("ceil_mode", 0) != 0)
}

func poolInfer(s *Site) ([]Fact, error) {
	w, err := poolWindow(s)
	if err != nil {
		return nil, err
	}
	x := s.In[0].Type
	return []Fact{tensorFact(x.Elem, w.dims(plain(x.Shape[0]), plain(x.Shape[1])))}, nil
}

func poolAxes(s *Site, a *Axes) {
	a.Tie(Carried, In(0, 0), Out(0, 0))
	a.Tie(Carried, In(0, 1), Out(0, 1))
	if w, err := poolWindow(s); err == nil {
		w.axes(a)
	}
}

// pool builds an operator from a lowering that sees the resolved window.
func pool(name string, since int, doc string, lower func(l *Lowering, w window, p prim.Pool) []prim.ID) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: poolInfer,
		Axes:  poolAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			w, err := poolWindow(l.Site)
			if err != nil {
				return nil, err
			}
			p := prim.Pool{Window: w.geometry(l.B.Shape(l.In[0])[2:]), Kernel: w.kernel}
			return lower(l, w, p), nil
		},
	}
}

// opMaxPool also gives, when asked, the position of each maximum in the flattened input.
func opMaxPool() *Op {
	op := pool("MaxPool", 1, "largest element of each window, optionally with its position; versions 1, 8, 10, 11, 12, 22", lowerMaxPool)
	op.Infer = func(s *Site) ([]Fact, error) {
		out, err := poolInfer(s)
		if err == nil && s.Node.Output(1) != "" {
			out = append(out, tensorFact(ir.Int64, out[0].Type.Shape))
		}
		return out, err
	}
	op.Axes = func(s *Site, a *Axes) {
		poolAxes(s, a)
		if s.Node.Output(1) == "" {
			return
		}
		a.Tie(Carried, In(0, 0), Out(1, 0))
		a.Fix(In(0, 1), "positions of maxima count channels")
		for i := 1; i < len(s.In[0].Type.Shape); i++ {
			a.Fix(Out(1, i), "positions of maxima count channels")
		}
	}
	return op
}

func lowerMaxPool(l *Lowering, _ window, p prim.Pool) []prim.ID {
	b, x := l.B, l.In[0]
	y := b.Add(prim.MaxPool{Pool: p}, x)
	if l.Node.Output(1) == "" || y == prim.Invalid {
		return l.padOutputs(y)
	}
	shape := b.Shape(x)
	plane := prim.Prod(shape[2:])
	base := prim.NewTensor(prim.Type{DType: prim.I64, Shape: append(slices.Clone(shape[:2]), slices.Repeat([]int{1}, len(shape)-2)...)})
	for i := range base.I64 {
		base.I64[i] = int64(i * plane)
	}
	at := prim.A(0)
	if l.Node.Int("storage_order", 0) != 0 {
		at = columnMajor(shape[2:])
	}
	index := b.Add(prim.MaxPoolIndex{Pool: p}, x)
	return []prim.ID{y, b.Map(prim.Op(prim.Add, at, prim.A(1)), index, b.Const(base))}
}

// columnMajor turns a row-major position in operand 0 into the one that counts the first axis fastest.
func columnMajor(sizes []int) *prim.X {
	rest, sum := prim.A(0), prim.L(0)
	for i := len(sizes) - 1; i >= 0; i-- {
		n := prim.L(float64(sizes[i]))
		coordinate := prim.Op(prim.Mod, rest, n)
		rest = prim.Op(prim.Div, rest, n)
		sum = prim.Op(prim.Add, sum, prim.Op(prim.Mul, coordinate, prim.L(float64(prim.Prod(sizes[:i])))))
	}
	return sum
}

// opAveragePool divides each window's sum by the number of its elements.
func opAveragePool() *Op {
	return pool("AveragePool", 1, "mean of each window, padding counted when count_include_pad=1; versions 1, 7, 10, 11, 19, 22",
		func(l *Lowering, w window, p prim.Pool) []prim.ID {
			b, x := l.B, l.In[0]
			y := b.Add(prim.SumPool{Pool: p}, x)
			if y == prim.Invalid {
				return one(y)
			}
			shape, in := b.Shape(x), []prim.ID{y}
			n, count := 1.0, prim.L(1)
			for i := range w.kernel {
				c := w.counts(i, shape[i+2], l.Node.Int("count_include_pad", 0) != 0)
				if slices.Min(c) == slices.Max(c) {
					n *= c[0]
					continue
				}
				along := slices.Repeat([]int{1}, len(shape))
				along[i+2] = len(c)
				count = prim.Op(prim.Mul, count, prim.A(len(in)))
				in = append(in, b.Const(prim.F64Tensor(c, along...).Cast(b.Type(x).DType)))
			}
			return one(b.Map(prim.Op(prim.Div, prim.A(0), prim.Op(prim.Mul, count, prim.L(n))), in...))
		})
}

// opLpPool is the p-norm of each window.
func opLpPool() *Op {
	return pool("LpPool", 2, "(Σ|x|ᵖ)^(1/p) of each window; versions 2, 11, 18, 22",
		func(l *Lowering, _ window, p prim.Pool) []prim.ID {
			b, e := l.B, float64(max(l.Node.Int("p", 2), 1))
			y := b.Add(prim.SumPool{Pool: p}, b.Map(absPower(prim.A(0), e), l.In[0]))
			return one(b.Map(root(prim.A(0), e), y))
		})
}

// globalPool reduces every spatial axis to size 1.
func globalPool(name string, since int, doc string, lower func(l *Lowering, axes []int) prim.ID) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, -1); err != nil {
				return nil, err
			}
			if err := s.wantRank(0, 2); err != nil {
				return nil, err
			}
			x := s.In[0].Type
			dims := []ir.Dim{plain(x.Shape[0]), plain(x.Shape[1])}
			for range x.Shape[2:] {
				dims = append(dims, ir.Dim{Size: 1})
			}
			return []Fact{tensorFact(x.Elem, dims)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			a.Tie(Carried, In(0, 0), Out(0, 0))
			a.Tie(Carried, In(0, 1), Out(0, 1))
			for i := 2; i < len(s.In[0].Type.Shape); i++ {
				a.Normalise(In(0, i), "pooled over")
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			axes := axesFrom(2, len(l.B.Shape(l.In[0])))
			if len(axes) == 0 {
				return one(l.In[0]), nil
			}
			return one(lower(l, axes)), nil
		},
	}
}

// axesFrom returns first, first+1, …, rank-1.
func axesFrom(first, rank int) []int {
	var out []int
	for i := first; i < rank; i++ {
		out = append(out, i)
	}
	return out
}

// mean averages x over axes, keeping them with size 1.
func mean(b *prim.Builder, x prim.ID, axes []int) prim.ID {
	return b.Map(prim.Op(prim.Div, prim.A(0), prim.L(float64(extent(b.Shape(x), axes)))), b.Sum(x, axes...))
}

// extent is the number of positions along axes.
func extent(shape, axes []int) int {
	n := 1
	for _, a := range axes {
		if a < len(shape) {
			n *= shape[a]
		}
	}
	return n
}

// globalPools lists the pools over whole spatial planes.
func globalPools() []*Op {
	return []*Op{
		globalPool("GlobalAveragePool", 1, "mean over the spatial axes; versions 1, 22", func(l *Lowering, axes []int) prim.ID {
			return mean(l.B, l.In[0], axes)
		}),
		globalPool("GlobalMaxPool", 1, "maximum over the spatial axes; versions 1, 22", func(l *Lowering, axes []int) prim.ID {
			return l.B.Reduce(prim.ReduceMax, axes, prim.A(0), l.In[0])
		}),
		globalPool("GlobalLpPool", 2, "(Σ|x|ᵖ)^(1/p) over the spatial axes; versions 2, 22", func(l *Lowering, axes []int) prim.ID {
			p := float64(max(l.Node.Int("p", 2), 1))
			return l.B.Map(root(prim.A(0), p), l.B.Reduce(prim.ReduceSum, axes, absPower(prim.A(0), p), l.In[0]))
		}),
	}
}
