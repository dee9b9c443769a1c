package cpu

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// spread is Σ (x - mean)² over all axes but the second, whose mean is that of its elements.
type spread struct{}

// Name names it.
func (spread) Name() string { return "spread" }

// Infer keeps the second axis.
func (spread) Infer(in []prim.Type) (prim.Type, error) {
	if len(in) != 1 || len(in[0].Shape) < 2 {
		return prim.Type{}, fmt.Errorf("spread: want one operand of two axes or more, got %d operands", len(in))
	}
	out := prim.Type{DType: in[0].DType, Shape: make([]int, len(in[0].Shape))}
	for k := range out.Shape {
		out.Shape[k] = 1
	}
	out.Shape[1] = in[0].Shape[1]
	return out, nil
}

// Eval computes it in float64.
func (spread) Eval(in []*prim.Tensor, out prim.Type) (*prim.Tensor, error) {
	shape := in[0].Shape
	inner := prim.Prod(shape[2:])
	y := prim.NewTensor(prim.Type{DType: prim.F64, Shape: out.Shape})
	for c := range shape[1] {
		var m moments
		for n := range shape[0] {
			for i := range inner {
				m.join(moments{1, in[0].Float((n*shape[1]+c)*inner + i), 0})
			}
		}
		y.F64[c] = m.square
	}
	return y.Cast(out.DType), nil
}

// VJP is never asked for: programs are differentiated before they are compiled.
func (spread) VJP(*prim.Builder, []prim.ID, prim.ID, prim.ID) ([]prim.ID, error) {
	panic("BUG: cpu: gradient of a spread")
}

// moments is a number of values, their mean and the sum of their squared distances from it.
type moments struct{ count, mean, square float64 }

// join adds the values of b.
func (m *moments) join(b moments) {
	if b.count == 0 {
		return
	}
	n := m.count + b.count
	d := b.mean - m.mean
	m.square += b.square + d*d*m.count*b.count/n
	m.mean += d * b.count / n
	m.count = n
}

// momentsOf returns those of a slice, read in whole vectors; tmp holds as many elements.
func (k *kernels) momentsOf(x, tmp []float32, about *[8]float32) moments {
	n, whole := float64(len(x)), len(x)&^7
	sum := float64(k.sum(whole, first(x)))
	for _, v := range x[whole:] {
		sum += float64(v)
	}
	mean := sum / n
	fillSlice(about[:], float32(mean))
	k.binary[prim.Sub](len(x), &tmp[0], &x[0], &about[0], 32, 0)
	square := float64(k.dot(whole, &tmp[0], &tmp[0]))
	for _, v := range tmp[whole:len(x)] {
		square += float64(v) * float64(v)
	}
	d := mean - float64(about[0])
	return moments{n, mean, square - n*d*d}
}

// chooseSpread takes spreads that no product computes.
func chooseSpread(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	if _, ok := p.(spread); !ok || out.DType != prim.F32 {
		return kernel{}, false
	}
	shape := in[0].Shape
	inner := prim.Prod(shape[2:])
	return kernel{name: "spread", flops: float64(3 * in[0].Len()), run: func(x *executable, out view, in []view) error {
		src, dst := in[0].f32(), out.f32()
		pieces := x.team.pieces(len(src), mapGrain, shape[1])
		x.team.run(pieces, func(w *worker, piece int) {
			tmp := w.scratch(scratchTile, inner)
			about := (*[8]float32)(w.scratch(scratchArgs, 8))
			lo, hi := split(shape[1], 1, pieces, piece)
			for c := lo; c < hi; c++ {
				var m moments
				for n := range shape[0] {
					if inner > 0 {
						m.join(x.k.momentsOf(src[(n*shape[1]+c)*inner:][:inner], tmp, about))
					}
				}
				dst[c] = float32(m.square)
			}
		})
		return nil
	}}, true
}

// centre makes the sum of squared distances of a convolution's results from a value per
// channel, Σ(x-m)² = Σ(x-mean)² + N·(mean-m)², out of their sum and their spread, which
// the convolution can compute on its way.
func centre(p *prim.Program) *prim.Program {
	live := p.Live()
	inserted := make([][]insertion, len(p.Nodes))
	replaced := map[int]prim.Node{}
	parts := 0
	for i, n := range p.Nodes {
		r, ok := n.Prim.(prim.Reduce)
		if !ok || !live[i] || len(n.In) != 2 || !isSquaredDistance(r.Expr) || !overChannels(r) {
			continue
		}
		x, m := n.In[r.Expr[0].Index], n.In[r.Expr[1].Index]
		if !computesChannels(p.Nodes[x].Prim) || !slices.Equal(p.Nodes[x].Type.Shape, r.Shape) || !p.Nodes[m].Type.Equal(n.Type) {
			continue
		}
		sum := slices.IndexFunc(p.Nodes[:i], func(o prim.Node) bool {
			s, ok := o.Prim.(prim.Reduce)
			return ok && s.Op == prim.ReduceSum && s.Compute == prim.F32 && len(s.Expr) == 1 && s.Expr[0].Code == prim.Arg && o.In[0] == x && domainKey(s) == domainKey(r)
		})
		if sum < 0 {
			continue
		}
		count := float64(prim.Prod(r.Shape) / n.Type.Len())
		inserted[sum] = append(inserted[sum], insertion{prim.Node{Prim: spread{}, In: []prim.ID{x}, Type: n.Type}, parts})
		d := prim.Op(prim.Sub, prim.Op(prim.Mul, prim.A(1), prim.L(1/count)), prim.A(2))
		e := prim.E(prim.Op(prim.Add, prim.A(0), prim.Op(prim.Mul, prim.Op(prim.Mul, d, d), prim.L(count))))
		replaced[i] = prim.Node{
			Prim: prim.Map{Expr: e, Compute: prim.F32, Out: prim.F32, Shape: n.Type.Shape},
			In:   []prim.ID{prim.ID(-2 - parts), prim.ID(sum), m}, Type: n.Type,
		}
		parts++
	}
	if parts == 0 {
		return p
	}
	return renumber(p, inserted, replaced, parts)
}

// isSquaredDistance reports whether e is (a - b)² of its two operands.
func isSquaredDistance(e prim.Expr) bool {
	return len(e) == 4 && e[0].Code == prim.Arg && e[1].Code == prim.Arg && e[0].Index != e[1].Index &&
		e[2].Code == prim.Sub && e[2].A == 0 && e[2].B == 1 && e[3].Code == prim.Mul && e[3].A == 2 && e[3].B == 2
}

// overChannels reports whether r sums float32 values over all axes but the second.
func overChannels(r prim.Reduce) bool {
	if r.Op != prim.ReduceSum || r.Compute != prim.F32 || len(r.Shape) < 3 || len(r.Axes) != len(r.Shape)-1 {
		return false
	}
	return !slices.Contains(r.Axes, 1)
}

// computesChannels reports whether p is a convolution, its gradient or one of them with
// a Map behind it.
func computesChannels(p prim.Prim) bool {
	if f, ok := p.(fused); ok {
		p = f.Prim
	}
	switch p.(type) {
	case prim.Conv, prim.ConvInputGrad:
		return true
	}
	return false
}
