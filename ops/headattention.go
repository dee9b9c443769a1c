package ops

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// headAttention is softmax(cap(scale·q·kᵀ) + masks)·v over heads: q [B,H,T,D], k [B,K,S,D] and v
// [B,K,S,E], where every key head serves H/K query heads in a row. The result is [B,H,T,E].
type headAttention struct {
	q, k, v prim.ID
	scale   float64
	softcap float64   // scores x become softcap·tanh(x/softcap) before they are masked; 0: they do not
	add     []prim.ID // added to the scores, each broadcasts to [B,H,T,S]
	keep    []prim.ID // Bool, each broadcasts to [B,H,T,S]; scores elsewhere become low
	causal  bool      // position t sees keys up to t+offset
	offset  int
	low     float64 // what hidden scores become
	blind   bool    // masks may hide every key from a query, whose row is 0 then
}

// lower appends the attention. stages holds the scores as they are, capped, masked, and
// their softmax.
func (h headAttention) lower(b *prim.Builder) (y prim.ID, stages [4]prim.ID) {
	q, k := b.Shape(h.q), b.Shape(h.k)
	if b.Err() != nil || len(q) != 4 || len(k) != 4 {
		return prim.Invalid, stages
	}
	keys, values := repeatHeads(b, h.k, q[1]), repeatHeads(b, h.v, q[1])
	s := b.Scale(b.MatMul(h.q, keys, false, true), h.scale)
	stages[0] = s
	if h.softcap != 0 {
		s = b.Map(prim.Op(prim.Mul, prim.L(h.softcap), prim.Op(prim.Tanh, prim.Op(prim.Div, prim.A(0), prim.L(h.softcap)))), s)
	}
	stages[1] = s
	for _, m := range h.add {
		s = b.Plus(s, m)
	}
	keep := h.keep
	if h.causal {
		see := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{1, 1, q[2], k[2]}})
		for i := range see.I64 {
			if i%k[2] <= i/k[2]+h.offset {
				see.I64[i] = 1
			}
		}
		keep = append(keep, b.Cast(b.Const(see), prim.Bool))
	}
	for _, x := range keep {
		s = b.MapAs(b.Type(s).DType, b.Type(s).DType, prim.Op(prim.Select, prim.A(0), prim.A(1), prim.L(h.low)), x, s)
	}
	stages[2] = s
	if h.blind {
		stages[3] = blindSoftmax(b, s)
	} else {
		stages[3] = b.Softmax(s, 3)
	}
	return b.MatMul(stages[3], values, false, false), stages
}

// blindSoftmax is softmax along axis 3, and 0 in rows of −∞. The sum of any other row is at
// least 1, its largest element's share.
func blindSoftmax(b *prim.Builder, x prim.ID) prim.ID {
	top := b.StopGrad(b.Map(prim.Op(prim.Max, prim.A(0), prim.L(-math.MaxFloat32)), b.MaxOver(x, 3)))
	e := b.Map(prim.Op(prim.Exp, prim.Op(prim.Sub, prim.A(0), prim.A(1))), x, top)
	return b.Map(prim.Op(prim.Div, prim.A(0), prim.Op(prim.Max, prim.A(1), prim.L(0.5))), e, b.Sum(e, 3))
}

// ofRank returns the shape of x; nil, with the builder failed, unless it has the rank.
func ofRank(b *prim.Builder, x prim.ID, rank int) []int {
	if b.Err() != nil {
		return nil
	}
	d := b.Shape(x)
	if len(d) != rank {
		b.Fail(fmt.Errorf("attention: want rank %d, got %v", rank, d))
		return nil
	}
	return d
}

// repeatHeads gives each of x's heads [B,K,S,D] to n/K heads in a row.
func repeatHeads(b *prim.Builder, x prim.ID, n int) prim.ID {
	d := ofRank(b, x, 4)
	if d == nil {
		return x
	}
	if d[1] == n || d[1] == 0 {
		return x
	}
	wide := b.Broadcast(b.Reshape(x, d[0], d[1], 1, d[2], d[3]), d[0], d[1], n/d[1], d[2], d[3])
	return b.Reshape(wide, d[0], n, d[2], d[3])
}

// splitHeads reads [B,T,H·D] as [B,H,T,D].
func splitHeads(b *prim.Builder, x prim.ID, heads int) prim.ID {
	d := ofRank(b, x, 3)
	if d == nil {
		return x
	}
	return b.Transpose(b.Reshape(x, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
}

// joinHeads reads [B,H,T,D] as [B,T,H·D].
func joinHeads(b *prim.Builder, x prim.ID) prim.ID {
	d := ofRank(b, x, 4)
	if d == nil {
		return x
	}
	return b.Reshape(b.Transpose(x, 0, 2, 1, 3), d[0], d[2], d[1]*d[3])
}

// tieHeads ties equal shares of two axes of sizes n and m: all positions of share u of the one
// to all of share u of the other. Sizes that do not divide pin both axes.
func tieHeads(a *Axes, x, y AxisRef, n, m, shares int) {
	tieShares(a, x, y, 0, n, m, shares)
}

// tieShares is tieHeads for the n positions of x from off on.
func tieShares(a *Axes, x, y AxisRef, off, n, m, shares int) {
	if shares < 1 || n%shares != 0 || m%shares != 0 || n == 0 || m == 0 {
		a.Fix(x, "its size is no multiple of the heads")
		a.Fix(y, "its size is no multiple of the heads")
		return
	}
	var px, py []int
	for p := range n {
		px, py = append(px, off+p), append(py, p/(n/shares)*(m/shares))
	}
	for p := range m {
		px, py = append(px, off+p/(m/shares)*(n/shares)), append(py, p)
	}
	a.TiePairs(Carried, x, y, px, py)
}

// headCount reads a head count that must divide size (when that is known).
func (s *Site) headCount(attr string, size ir.Dim) (int, error) {
	h := s.Node.Int(attr, 0)
	if h < 1 || size.Known() && size.Size%h != 0 {
		return 0, s.Errorf("infer", "attribute %q: want a divisor of %d, got %d", attr, size.Size, h)
	}
	return h, nil
}

// cutHeads sets a head count to what is left of it when an axis of size n keeps some positions.
func cutHeads(c *Cut, attr string, keep Positions, axis, n int) error {
	h, left := c.Node.Int(attr, 0), keep.Len(axis, n)
	if h < 1 || left*h%n != 0 {
		return c.Errorf("cut", "attribute %q: want whole heads of %d positions, got %d positions", attr, n/max(h, 1), left)
	}
	c.Node.SetAttr(ir.IntAttr(attr, left*h/n))
	return nil
}

// defaultScale is 1/√d unless the attribute "scale" gives another.
func (l *Lowering) defaultScale(d int) float64 {
	if s := l.Node.Float("scale", 0); s != 0 {
		return s
	}
	return 1 / math.Sqrt(float64(d))
}

// grow returns past joined with now along the sequence, [B,H,S,D], and the length of the past.
func grow(b *prim.Builder, past, now prim.ID) (prim.ID, int) {
	if past == prim.Invalid {
		return now, 0
	}
	d := ofRank(b, past, 4)
	if d == nil {
		return now, 0
	}
	return b.Concat(2, past, now), d[2]
}

// optional returns input i, or prim.Invalid when the node omits it.
func (l *Lowering) optional(i int) prim.ID {
	if i < len(l.In) && l.Input(i).Present() {
		return l.In[i]
	}
	return prim.Invalid
}

// joined is the sum of two sizes.
func joined(x, y ir.Dim) ir.Dim {
	if x.Known() && y.Known() {
		return ir.Dim{Size: x.Size + y.Size}
	}
	return ir.Dim{Size: -1}
}

// attentionCost prices q·k and the mix: wide is the width of all query heads together plus
// that of the result's.
func attentionCost(batch, t, s, wide int) Cost { return macs(batch, t, s, wide) }

// agree returns an error when two of the sizes are known and differ.
func (s *Site) agree(what string, sizes ...ir.Dim) error {
	for _, d := range sizes {
		if d.Known() && sizes[0].Known() && d.Size != sizes[0].Size {
			return s.Errorf("infer", "%s: want one size, got %v", what, sizes)
		}
	}
	return nil
}

// dim returns a dimension of input i, an open one when the input has none.
func (s *Site) dim(i, axis int) ir.Dim {
	if d := s.Input(i).Type.Shape; axis < len(d) {
		return d[axis]
	}
	return ir.Dim{Size: -1}
}

// firstError returns the first of some errors.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
