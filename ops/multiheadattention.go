package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// multiHeadShape is what the operands of MultiHeadAttention say, all layouts brought to one.
type multiHeadShape struct {
	packed               int // of q, k, v, how many input 0 holds, or input 1 of k and v; 0: none
	heads                int
	batch, t, s          ir.Dim
	width, values, q, kv ir.Dim // of a query or key head, of a value head; of all query heads, of all value heads
}

// readMultiHead reads inputs 0 to 2: q [B,T,H·D] with k and v of rank 3, or of rank 4
// ([B,H,S,D], as cross attention keeps them); q with k and v packed as [B,S,H,2,D]; all
// packed as [B,T,H,3,D].
func readMultiHead(s *Site) (multiHeadShape, error) {
	var a multiHeadShape
	if err := s.inputs("infer", 1, -1); err != nil {
		return a, err
	}
	open, d := ir.Dim{Size: -1}, s.In[0].Type.Shape
	part := func(x ir.Dim) ir.Dim {
		if x.Known() {
			x.Size /= a.heads
		}
		return x
	}
	all := func(x ir.Dim) ir.Dim {
		if x.Known() {
			x.Size *= a.heads
		}
		return x
	}
	var err error
	k, v := s.Input(1), s.Input(2)
	switch {
	case len(d) == 5 && !k.Present() && !v.Present():
		a.packed, a.batch, a.t, a.s, a.width = 3, d[0], d[1], d[1], d[4]
		if a.heads, err = s.packedHeads(0, 3); err != nil {
			return a, err
		}
		a.values, a.q = a.width, all(a.width)
	case len(d) == 3 && k.Type.Rank() == 5 && !v.Present():
		if a.heads, err = s.packedHeads(1, 2); err != nil {
			return a, err
		}
		if _, err = s.headCount("num_heads", d[2]); err != nil {
			return a, err
		}
		a.packed, a.batch, a.t, a.s, a.q, a.width = 2, d[0], d[1], s.dim(1, 1), d[2], part(d[2])
		a.values = s.dim(1, 4)
		if err := firstError(s.agree("batch", a.batch, s.dim(1, 0)), s.agree("width of a head", a.width, a.values)); err != nil {
			return a, err
		}
	case len(d) == 3 && k.Present() && v.Present() && k.Type.Rank() == v.Type.Rank() && (k.Type.Rank() == 3 || k.Type.Rank() == 4):
		if a.heads, err = s.headCount("num_heads", d[2]); err != nil {
			return a, err
		}
		a.batch, a.t, a.s, a.q, a.width = d[0], d[1], s.dim(1, 1), d[2], part(d[2])
		if err := s.agree("batch", a.batch, s.dim(1, 0), s.dim(2, 0)); err != nil {
			return a, err
		}
		if k.Type.Rank() == 4 {
			a.s, a.values = s.dim(1, 2), s.dim(2, 3)
			if err := firstError(s.agree("heads", ir.Dim{Size: a.heads}, s.dim(1, 1), s.dim(2, 1)), s.agree("width of a head", a.width, s.dim(1, 3))); err != nil {
				return a, err
			}
			break
		}
		if _, err = s.headCount("num_heads", s.dim(2, 2)); err != nil {
			return a, err
		}
		if err := s.agree("width of queries and keys", d[2], s.dim(1, 2)); err != nil {
			return a, err
		}
		a.values = part(s.dim(2, 2))
	default:
		return a, s.Errorf("infer", "inputs: want a query of rank 3 with key and value of rank 3 or 4, or with both packed in one of rank 5, or all packed in one, got %v, %s and %s", d, k.Type, v.Type)
	}
	if a.kv = open; a.values.Known() {
		a.kv = all(a.values)
	}
	return a, nil
}

// packedHeads reads the head count of input i, which holds parts of them: [B,T,H,parts,D].
func (s *Site) packedHeads(i, parts int) (int, error) {
	h := s.Node.Int("num_heads", 0)
	if h < 1 {
		return 0, s.Errorf("infer", "attribute \"num_heads\": want 1 or more, got %d", h)
	}
	return h, firstError(s.agree("heads", ir.Dim{Size: h}, s.dim(i, 2)), s.agree("packed parts", ir.Dim{Size: parts}, s.dim(i, 3)))
}

// opMultiHeadAttention is ONNX Runtime's attention over projected q, k, v (see readMultiHead).
func opMultiHeadAttention() *Op {
	return &Op{
		Name: "MultiHeadAttention", Domain: microsoft, Since: 1, Heads: true, Caches: []int{6, 7}, Params: []int{3},
		Doc: "y = softmax(scale·q·kᵀ + masks)·v over heads; inputs apart or packed, bias, padding mask, attention bias, past keys; of ONNX Runtime",
		Infer: func(s *Site) ([]Fact, error) {
			a, err := readMultiHead(s)
			if err != nil {
				return nil, err
			}
			if f := s.Input(3); f.Present() && (f.Type.Rank() != 1 || f.Shape()[0] >= 0 && a.q.Known() && f.Shape()[0] <= 2*a.q.Size) {
				return nil, s.Errorf("infer", "input 3 %q: want a vector over query, key and value, got %s", s.Node.Input(3), f.Type)
			}
			if err := firstError(
				s.agree("batch", a.batch, s.dim(6, 0), s.dim(7, 0)),
				s.agree("heads", ir.Dim{Size: a.heads}, s.dim(6, 1), s.dim(7, 1)),
			); err != nil {
				return nil, err
			}
			for i := 6; i < 8; i++ {
				if f := s.Input(i); f.Present() && f.Type.Rank() != 4 {
					return nil, s.Errorf("infer", "input %d %q: want rank 4, got %s", i, s.Node.Input(i), f.Type)
				}
			}
			all := a.s
			if p := s.Input(6); p.Present() {
				all = joined(p.Type.Shape[2], a.s)
			}
			elem := s.In[0].Type.Elem
			heads := []ir.Dim{a.batch, {Size: a.heads}, all}
			return []Fact{
				tensorFact(elem, []ir.Dim{a.batch, a.t, a.kv}),
				tensorFact(elem, append(heads[:3:3], a.width)),
				tensorFact(elem, append(heads[:3:3], a.values)),
			}[:max(1, min(3, len(s.Node.Outputs)))], nil
		},
		Axes: axesMultiHead,
		Cut:  func(c *Cut) error { return cutHeads(c, "num_heads", c.Keep[0], 2, c.In[0].Shape()[2]) },
		Cost: func(s *Site) Cost {
			q, o := s.In[0].Shape(), s.Out[0].Shape()
			wide, length := q[len(q)-1], q[1]
			if len(q) == 5 {
				wide *= q[2]
			}
			if k := s.Input(1); k.Present() {
				if length = k.Shape()[1]; k.Type.Rank() == 4 {
					length = k.Shape()[2]
				}
			}
			if p := s.Input(6); p.Present() {
				length += p.Shape()[2]
			}
			return attentionCost(q[0], q[1], length, wide+o[2])
		},
		Lower: lowerMultiHead,
	}
}

func axesMultiHead(s *Site, a *Axes) {
	h := s.Node.Int("num_heads", 0)
	out := s.Out[0].Shape()[2]
	tie := func(x AxisRef, n int) { tieHeads(a, x, Out(0, 2), n, out, h) }
	a.Tie(Carried, In(0, 1), Out(0, 1))
	for i := range 3 {
		if !s.Input(i).Present() {
			continue
		}
		d, keys := s.In[i].Shape(), 1
		a.Tie(Carried, In(i, 0), Out(0, 0))
		switch len(d) {
		case 3:
			tie(In(i, 2), d[2])
		case 4:
			keys = 2
			tie(In(i, 1), d[1])
			a.Fix(In(i, 3), "the width of a head")
		case 5:
			tie(In(i, 2), d[2])
			a.Fix(In(i, 3), "queries, keys and values")
			a.Fix(In(i, 4), "the width of a head")
		}
		if i > 0 {
			a.Fix(In(i, keys), "softmax over the keys")
		}
	}
	if f := s.Input(3); f.Present() {
		tieProjections(s, a, In(3, 0), biasSizes(s, f.Shape()[0]), h)
	}
	tieMasks(s, a, 4, 5, 2, h)
	for i := 6; i < 8; i++ {
		if s.Input(i).Present() {
			a.Tie(Carried, In(i, 0), Out(0, 0))
			tie(In(i, 1), s.Input(i).Shape()[1])
			a.Fix(In(i, 2), "softmax over the keys")
		}
	}
	for k := 1; k < len(s.Out); k++ {
		if s.Out[k].Present() {
			a.Tie(Carried, Out(0, 0), Out(k, 0))
			tie(Out(k, 1), s.Out[k].Shape()[1])
		}
	}
}

// biasSizes splits a bias over q, k and v of n numbers in all.
func biasSizes(s *Site, n int) [3]int {
	a, err := readMultiHead(s)
	if err != nil {
		return [3]int{}
	}
	return [3]int{a.q.Size, a.q.Size, n - 2*a.q.Size}
}

// tieProjections ties the heads of the q, k and v parts of one axis to those of output 0.
func tieProjections(s *Site, a *Axes, x AxisRef, sizes [3]int, h int) {
	off := 0
	for _, n := range sizes {
		tieShares(a, x, Out(0, 2), off, n, s.Out[0].Shape()[2], h)
		off += n
	}
}

// tieMasks declares a padding mask and an attention bias [B,H,T,S] of output 0 [B,T,H·D].
func tieMasks(s *Site, a *Axes, mask, bias, axis, h int) {
	if f := s.Input(mask); f.Present() {
		for n := range f.Type.Shape {
			if n == 0 && sameDim(f.Type.Shape[0], s.Out[0].Type.Shape[0]) {
				a.Tie(Carried, In(mask, 0), Out(0, 0))
			} else {
				a.Fix(In(mask, n), "a mask of the keys")
			}
		}
	}
	f := s.Input(bias)
	for n, d := range f.Type.Shape {
		k := n + 4 - f.Type.Rank()
		switch {
		case k == 0 && sameDim(d, s.Out[0].Type.Shape[0]):
			a.Tie(Carried, In(bias, n), Out(0, 0))
		case k == 1 && d.Size == h && h > 1:
			tieHeads(a, In(bias, n), Out(0, axis), h, s.Out[0].Shape()[axis], h)
		case k == 2 && sameDim(d, s.Out[0].Type.Shape[1]):
			a.Tie(Carried, In(bias, n), Out(0, 1))
		case d.Size != 1:
			a.Fix(In(bias, n), "softmax over the keys")
		}
	}
}

func lowerMultiHead(l *Lowering) ([]prim.ID, error) {
	for i := 8; i < len(l.Node.Inputs); i++ {
		if l.Input(i).Present() {
			return nil, l.Errorf("lower", "input %d %q: shared caches are not supported", i, l.Node.Input(i))
		}
	}
	b, heads := l.B, l.Node.Int("num_heads", 1)
	d, err := readMultiHead(l.Site)
	if err != nil {
		return nil, err
	}
	in := [3]prim.ID{l.In[0], l.optional(1), l.optional(2)}
	switch d.packed {
	case 3:
		for i := range in {
			in[i] = packedPart(b, l.In[0], i)
		}
	case 2:
		in[1], in[2] = packedPart(b, l.In[1], 0), packedPart(b, l.In[1], 1)
	}
	if l.Input(3).Present() {
		off := 0
		for i, n := range biasSizes(l.Site, b.Shape(l.In[3])[0]) {
			part := b.SliceAxis(l.In[3], 0, off, off+n)
			if off += n; len(b.Shape(in[i])) == 3 {
				in[i] = b.Plus(in[i], part)
			}
		}
	}
	for i := range in {
		if len(b.Shape(in[i])) == 3 {
			in[i] = splitHeads(b, in[i], heads)
		}
	}
	y, k, v, err := maskedHeads(l, in, 4, 5, l.optional(6), l.optional(7))
	return l.padOutputs(y, k, v), err
}

// packedPart returns part i of x [B,T,H,parts,D] as [B,T,H·D].
func packedPart(b *prim.Builder, x prim.ID, i int) prim.ID {
	d := ofRank(b, x, 5)
	if d == nil {
		return x
	}
	return b.Reshape(b.SliceAxis(x, 3, i, i+1), d[0], d[1], d[2]*d[4])
}

// maskedHeads lowers ONNX Runtime's attention over heads: a padding mask at input mask ([B,S] or
// [B,T,S] of 0 and 1, or [B] of lengths), a bias of the scores, unidirectional.
func maskedHeads(l *Lowering, in [3]prim.ID, mask, bias int, pastKey, pastValue prim.ID) (y, k, v prim.ID, err error) {
	b := l.B
	if b.Err() != nil {
		return y, k, v, b.Err()
	}
	q := b.Shape(in[0])
	h := headAttention{q: in[0], scale: l.defaultScale(q[3]), causal: l.Node.Int("unidirectional", 0) != 0, low: -3.4028234663852886e38}
	h.k, h.offset = grow(b, pastKey, in[1])
	h.v, _ = grow(b, pastValue, in[2])
	if b.Err() != nil {
		return y, k, v, b.Err()
	}
	keys := b.Shape(h.k)[2]
	low := l.Node.Float("mask_filter_value", -10000)
	if m := l.optional(mask); m != prim.Invalid {
		d := b.Shape(m)
		switch {
		case len(d) == 1 && d[0] == q[0]:
			at := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{1, keys}})
			for i := range at.I64 {
				at.I64[i] = int64(i)
			}
			m = b.MapAs(prim.I64, prim.I64, prim.Op(prim.Lt, prim.A(1), prim.A(0)), b.Reshape(m, d[0], 1), b.Const(at))
			m = b.Reshape(m, d[0], 1, 1, keys)
		case len(d) == 2 && d[1] == keys:
			m = b.Reshape(m, d[0], 1, 1, keys)
		case len(d) == 3 && d[2] == keys:
			m = b.Reshape(m, d[0], 1, d[1], keys)
		default:
			return y, k, v, l.Errorf("lower", "input %d %q: want a mask [%d], [%d,%d] or [%d,%d,%d], got %v", mask, l.Node.Input(mask), q[0], q[0], keys, q[0], q[2], keys, d)
		}
		h.add = append(h.add, b.Cast(b.MapAs(prim.F64, prim.F64, prim.Op(prim.Select, prim.A(0), prim.L(0), prim.L(low)), b.Cast(m, prim.F64)), b.Type(h.q).DType))
	}
	if m := l.optional(bias); m != prim.Invalid {
		h.add = append(h.add, m)
	}
	y, _ = h.lower(b)
	return joinHeads(b, y), h.k, h.v, nil
}

// opMicrosoftAttention projects its input by one weight [E, q+k+v] and attends over heads.
func opMicrosoftAttention() *Op {
	return &Op{
		Name: "Attention", Domain: microsoft, Since: 1, Heads: true, Caches: []int{4}, Params: []int{1, 2},
		Doc: "q, k, v = x·weights + bias; softmax(scale·q·kᵀ + masks)·v over heads; of ONNX Runtime",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 7); err != nil {
				return nil, err
			}
			x, w := s.In[0].Type.Shape, s.In[1].Type.Shape
			if len(x) != 3 || len(w) != 2 || !w[1].Known() {
				return nil, s.Errorf("infer", "inputs: want [B,T,E] and weights [E,N] of known size, got %v and %v", x, w)
			}
			sizes, err := qkvSizes(s)
			if err != nil {
				return nil, err
			}
			if f := s.Input(2); f.Present() && (f.Type.Rank() != 1 || f.Shape()[0] >= 0 && f.Shape()[0] != w[1].Size) {
				return nil, s.Errorf("infer", "input 2 %q: want [%d], got %s", s.Node.Input(2), w[1].Size, f.Type)
			}
			h := s.Node.Int("num_heads", 1)
			elem := s.In[0].Type.Elem
			all := x[1]
			if p := s.Input(4); p.Present() {
				if p.Type.Rank() != 5 {
					return nil, s.Errorf("infer", "input 4 %q: want rank 5, got %s", s.Node.Input(4), p.Type)
				}
				if err := firstError(s.agree("batch", x[0], p.Type.Shape[1]), s.agree("heads", ir.Dim{Size: s.Node.Int("num_heads", 1)}, p.Type.Shape[2])); err != nil {
					return nil, err
				}
				all = joined(p.Type.Shape[3], x[1])
			}
			if err := s.agree("input width and rows of weights", x[2], w[0]); err != nil {
				return nil, err
			}
			return []Fact{
				tensorFact(elem, []ir.Dim{x[0], x[1], {Size: sizes[2]}}),
				tensorFact(elem, []ir.Dim{{Size: 2}, x[0], {Size: h}, all, {Size: sizes[1] / h}}),
			}[:max(1, min(2, len(s.Node.Outputs)))], nil
		},
		Axes: func(s *Site, a *Axes) {
			sizes, err := qkvSizes(s)
			if err != nil {
				return
			}
			h := s.Node.Int("num_heads", 1)
			a.Tie(Carried, In(0, 0), Out(0, 0))
			a.Tie(Carried, In(0, 1), Out(0, 1))
			a.Tie(Contracted, In(0, 2), In(1, 0))
			tieProjections(s, a, In(1, 1), sizes, h)
			a.Links[len(a.Links)-1].Role = Born
			if s.Input(2).Present() {
				tieProjections(s, a, In(2, 0), sizes, h)
			}
			tieMasks(s, a, 3, 5, 2, h)
			if p := s.Input(4); p.Present() {
				a.Tie(Carried, In(4, 1), Out(0, 0))
				tieHeads(a, In(4, 2), Out(0, 2), h, sizes[2], h)
			}
			if len(s.Out) > 1 && s.Out[1].Present() {
				a.Tie(Carried, Out(1, 1), Out(0, 0))
				tieHeads(a, Out(1, 2), Out(0, 2), h, sizes[2], h)
			}
		},
		Cut: func(c *Cut) error {
			sizes, err := qkvSizes(c.Site)
			if err != nil {
				return err
			}
			h, left := c.Node.Int("num_heads", 1), c.KeepO[0].Len(2, sizes[2])
			if c.Node.Attr("qkv_hidden_sizes") != nil {
				c.Node.SetAttr(ir.IntsAttr("qkv_hidden_sizes", sizes[0]*left/sizes[2], sizes[1]*left/sizes[2], left))
			}
			if left*h%sizes[2] != 0 {
				return c.Errorf("cut", "attribute \"num_heads\": want whole heads of %d positions, got %d positions", sizes[2]/h, left)
			}
			c.Node.SetAttr(ir.IntAttr("num_heads", left*h/sizes[2]))
			return nil
		},
		Cost: func(s *Site) Cost {
			x, w, out := s.In[0].Shape(), s.In[1].Shape()[1], s.Out[0].Shape()[2]
			length := x[1]
			if p := s.Input(4); p.Present() {
				length += p.Shape()[3]
			}
			return Cost{MACs: attentionCost(x[0], x[1], length, (w-out)/2+out).MACs + macs(x[0], x[1], x[2], w).MACs}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			sizes, err := qkvSizes(l.Site)
			if err != nil {
				return nil, err
			}
			if l.Node.Int("do_rotary", 0) != 0 || l.Input(6).Present() {
				return nil, l.Errorf("lower", "rotary positions and shared caches are not supported")
			}
			b := l.B
			d := b.Shape(l.In[0])
			y := b.Reshape(b.MatMul(b.Reshape(l.In[0], d[0]*d[1], d[2]), l.In[1], false, false), d[0], d[1], sizes[0]+sizes[1]+sizes[2])
			if l.Input(2).Present() {
				y = b.Plus(y, l.In[2])
			}
			var in [3]prim.ID
			off := 0
			for i, n := range sizes {
				in[i] = splitHeads(b, b.SliceAxis(y, 2, off, off+n), l.Node.Int("num_heads", 1))
				off += n
			}
			pastKey, pastValue := prim.Invalid, prim.Invalid
			if p := l.optional(4); p != prim.Invalid {
				s := b.Shape(p)
				pastKey, pastValue = b.Reshape(b.SliceAxis(p, 0, 0, 1), s[1:]...), b.Reshape(b.SliceAxis(p, 0, 1, 2), s[1:]...)
			}
			out, k, v, err := maskedHeads(l, in, 3, 5, pastKey, pastValue)
			present := prim.Invalid
			if err == nil && len(l.Node.Outputs) > 1 {
				one := append([]int{1}, b.Shape(k)...)
				present = b.Concat(0, b.Reshape(k, one...), b.Reshape(v, one...))
			}
			return l.padOutputs(out, present), err
		},
	}
}

// qkvSizes returns the columns of q, k and v in the weights of ONNX Runtime's Attention.
func qkvSizes(s *Site) ([3]int, error) {
	n, h := s.In[1].Type.Shape[1].Size, s.Node.Int("num_heads", 0)
	list := s.Node.Ints("qkv_hidden_sizes", []int{n / 3, n / 3, n / 3})
	if len(list) != 3 || h < 1 || list[0]+list[1]+list[2] != n || list[0] != list[1] || list[0] < h || list[2] < h || list[0]%h != 0 || list[2]%h != 0 {
		return [3]int{}, s.Errorf("ops", "attributes \"num_heads\" and \"qkv_hidden_sizes\": want whole heads of %d columns in all, got %d and %v", n, h, list)
	}
	return [3]int(list), nil
}
