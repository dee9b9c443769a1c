package ops

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// attentionShape is what the operands of Attention say, both layouts brought to one.
type attentionShape struct {
	flat              bool   // operands are [B,T,H·D]
	q, kv             int    // heads
	batch, t, s, past ir.Dim // s: keys of this call, past: keys before
	width, values     ir.Dim // of a query or key head, of a value head
	headAxis          int
}

func readAttention(s *Site) (attentionShape, error) {
	var a attentionShape
	if err := s.inputs("infer", 3, 7); err != nil {
		return a, err
	}
	var d [3][]ir.Dim
	for i := range d {
		d[i] = s.In[i].Type.Shape
		if len(d[i]) != len(d[0]) || len(d[i]) != 3 && len(d[i]) != 4 {
			return a, s.Errorf("infer", "input %d %q: want rank 3 or 4 like input 0, got %v", i, s.Node.Input(i), d[i])
		}
	}
	a.batch = d[0][0]
	if len(d[0]) == 3 {
		a.flat, a.headAxis = true, 2
		var err error
		if a.q, err = s.headCount("q_num_heads", d[0][2]); err != nil {
			return a, err
		}
		if a.kv, err = s.headCount("kv_num_heads", d[1][2]); err != nil {
			return a, err
		}
		if _, err = s.headCount("kv_num_heads", d[2][2]); err != nil {
			return a, err
		}
		part := func(x ir.Dim, n int) ir.Dim {
			if x.Known() {
				return ir.Dim{Size: x.Size / n}
			}
			return ir.Dim{Size: -1}
		}
		a.t, a.s, a.width, a.values = d[0][1], d[1][1], part(d[0][2], a.q), part(d[2][2], a.kv)
	} else {
		a.headAxis = 1
		a.q, a.kv = d[0][1].Size, d[1][1].Size
		a.t, a.s, a.width, a.values = d[0][2], d[1][2], d[0][3], d[2][3]
	}
	if a.q < 1 || a.kv < 1 || a.q%a.kv != 0 {
		return a, s.Errorf("infer", "heads: want as many of queries as a multiple of those of keys, got %d and %d", a.q, a.kv)
	}
	for i := 4; i < 6; i++ {
		if f := s.Input(i); f.Present() && f.Type.Rank() != 4 {
			return a, s.Errorf("infer", "input %d %q: want rank 4, got %s", i, s.Node.Input(i), f.Type)
		}
	}
	if f := s.Input(6); f.Present() && f.Type.Rank() != 1 {
		return a, s.Errorf("infer", "input 6 %q: want a number of keys per sample, got %s", s.Node.Input(6), f.Type)
	}
	for _, side := range []string{"left_window_size", "right_window_size"} {
		if s.Node.Int(side, -1) >= 0 {
			return a, s.Errorf("infer", "attribute %q: windows of keys are not supported", side)
		}
	}
	if f := s.Input(4); f.Present() {
		a.past = f.Type.Shape[2]
	}
	err := s.agree("batch", d[0][0], d[1][0], d[2][0], s.dim(4, 0), s.dim(5, 0))
	err = firstError(err, s.agree("key heads", ir.Dim{Size: a.kv}, s.dim(4, 1), s.dim(5, 1)))
	if !a.flat {
		err = firstError(err, s.agree("key heads", d[1][1], d[2][1]), s.agree("width of a head", d[0][3], d[1][3]), s.agree("width of a value head", d[2][3], s.dim(5, 3)))
	}
	return a, err
}

// opAttention is the standard's Attention of versions 23 and 24: softmax(cap(scale·q·kᵀ) + mask)·v over
// heads, grouped key heads, a cache of past keys and values inside or outside of it. Scores are capped
// before they are masked, as the standard's text says since ONNX 1.22; before, it had them the other
// way round, and so does ONNX Runtime 1.24.
func opAttention() *Op {
	return &Op{
		Name: "Attention", Since: 23, Heads: true, Caches: []int{4, 5},
		Doc: "y = softmax(cap(scale·q·kᵀ) + mask)·v over heads, rank 3 or 4, grouped key heads, past keys or numbers of keys, causal or not; versions 23, 24",
		Infer: func(s *Site) ([]Fact, error) {
			a, err := readAttention(s)
			if err != nil {
				return nil, err
			}
			elem := s.In[0].Type.Elem
			all := joined(a.past, a.s)
			heads := func(n int, d ...ir.Dim) Fact {
				return tensorFact(elem, append([]ir.Dim{a.batch, {Size: n}}, d...))
			}
			y := heads(a.q, a.t, a.values)
			if a.flat {
				out := ir.Dim{Size: -1}
				if a.values.Known() {
					out.Size = a.q * a.values.Size
				}
				y = tensorFact(elem, []ir.Dim{a.batch, a.t, out})
			}
			list := []Fact{y, heads(a.kv, all, a.width), heads(a.kv, all, a.values), heads(a.q, a.t, all)}
			return list[:max(1, min(len(s.Node.Outputs), 4))], nil
		},
		Axes: axesAttention,
		Cut: func(c *Cut) error {
			if c.In[0].Type.Rank() != 3 {
				return nil
			}
			if err := cutHeads(c, "q_num_heads", c.Keep[0], 2, c.In[0].Shape()[2]); err != nil {
				return err
			}
			return cutHeads(c, "kv_num_heads", c.Keep[1], 2, c.In[1].Shape()[2])
		},
		Cost: func(s *Site) Cost {
			q, k, y := s.In[0].Shape(), s.In[1].Shape(), s.Out[0].Shape()
			seq, wide := 1, q[2]+y[2]
			if len(q) == 4 {
				seq, wide = 2, q[1]*q[3]+y[1]*y[3]
			}
			length := k[seq]
			if p := s.Input(4); p.Present() {
				length += p.Shape()[2]
			}
			return attentionCost(q[0], q[seq], length, wide)
		},
		Lower: lowerAttention,
	}
}

// axesAttention ties whole key heads with the query heads that they serve.
func axesAttention(s *Site, a *Axes) {
	d, err := readAttention(s)
	if err != nil {
		return
	}
	for i := range 3 {
		a.Tie(Carried, In(i, 0), Out(0, 0))
	}
	size := func(f Fact, axis int) int { return f.Type.Shape[axis].Size }
	tie := func(x AxisRef, n int) {
		tieHeads(a, x, Out(0, d.headAxis), n, size(s.Out[0], d.headAxis), d.kv)
	}
	for i := range 3 {
		tie(In(i, d.headAxis), size(s.In[i], d.headAxis))
	}
	seq := 3 - d.headAxis
	a.Tie(Carried, In(0, seq), Out(0, seq))
	for i := 1; i < 3; i++ {
		a.Fix(In(i, seq), "softmax over the keys")
	}
	if !d.flat {
		a.Fix(In(0, 3), "the scale depends on it")
		a.Fix(In(1, 3), "the scale depends on it")
		a.Tie(Carried, In(2, 3), Out(0, 3))
		if s.Input(5).Present() {
			a.Tie(Carried, In(5, 3), Out(0, 3))
		}
		if len(s.Out) > 2 && s.Out[2].Present() {
			a.Tie(Carried, Out(2, 3), Out(0, 3))
		}
	}
	if f := s.Input(3); f.Present() {
		full := []AxisRef{Out(0, 0), Out(0, d.headAxis), Out(0, seq)}
		sizes := []int{d.batch.Size, d.q, d.t.Size}
		r := f.Type.Rank()
		for n, x := range f.Type.Shape {
			k := n + 4 - r
			switch {
			case k == 1 && x.Size == d.q && d.q > 1:
				tie(In(3, n), d.q)
			case k >= 0 && k < 3 && k != 1 && x.Size == sizes[k] && x.Size > 1:
				a.Tie(Carried, In(3, n), full[k])
			case x.Size != 1:
				a.Fix(In(3, n), "softmax over the keys")
			}
		}
	}
	if s.Input(6).Present() {
		a.Tie(Carried, In(6, 0), Out(0, 0))
	}
	for i := 4; i < 6; i++ {
		if s.Input(i).Present() {
			a.Tie(Carried, In(i, 0), Out(0, 0))
			tie(In(i, 1), d.kv)
			a.Fix(In(i, 2), "softmax over the keys")
		}
	}
	for k := 1; k < len(s.Out) && k < 4; k++ {
		if !s.Out[k].Present() {
			continue
		}
		a.Tie(Carried, Out(0, 0), Out(k, 0))
		tie(Out(k, 1), size(s.Out[k], 1))
		if k == 3 {
			a.Tie(Carried, Out(0, seq), Out(3, 2))
		}
	}
}

func lowerAttention(l *Lowering) ([]prim.ID, error) {
	d, err := readAttention(l.Site)
	if err != nil {
		return nil, err
	}
	b := l.B
	in := [3]prim.ID{l.In[0], l.In[1], l.In[2]}
	if d.flat {
		for i, h := range []int{d.q, d.kv, d.kv} {
			in[i] = splitHeads(b, in[i], h)
		}
	}
	h := headAttention{q: in[0], low: math.Inf(-1), causal: l.Node.Int("is_causal", 0) != 0, softcap: l.Node.Float("softcap", 0), scale: l.defaultScale(d.width.Size)}
	h.k, h.offset = grow(b, l.optional(4), in[1])
	h.v, _ = grow(b, l.optional(5), in[2])
	if b.Err() != nil {
		return nil, b.Err()
	}
	if m := l.optional(3); m != prim.Invalid {
		h.mask(b, m)
	}
	if n := l.optional(6); n != prim.Invalid {
		if l.Input(4).Present() || l.Input(5).Present() {
			return nil, l.Errorf("lower", "input 6 %q: want numbers of keys or past keys, got both", l.Node.Input(6))
		}
		if len(b.Shape(n)) != 1 || b.Shape(n)[0] != d.batch.Size {
			return nil, l.Errorf("lower", "input 6 %q: want a number of keys for each of %d samples, got %v", l.Node.Input(6), d.batch.Size, b.Shape(n))
		}
		h.count(b, n)
	}
	mode := l.Node.Int("qk_matmul_output_mode", 0)
	if mode < 0 || mode > 3 {
		return nil, l.Errorf("lower", "attribute \"qk_matmul_output_mode\": want 0, 1, 2 or 3, got %d", mode)
	}
	y, stages := h.lower(b)
	if d.flat {
		y = joinHeads(b, y)
	}
	return l.padOutputs(y, h.k, h.v, stages[mode]), nil
}

// mask adds input 3; keys behind a shorter mask's last axis are hidden.
func (h *headAttention) mask(b *prim.Builder, m prim.ID) {
	h.blind = true
	shape := b.Shape(m)
	if r, keys := len(shape), b.Shape(h.k)[2]; r > 0 && shape[r-1] > 1 && shape[r-1] < keys {
		hi := make([]int, r)
		hi[r-1] = keys - shape[r-1]
		hidden := math.Inf(-1)
		if b.Type(m).DType == prim.Bool {
			hidden = 0
		}
		m = b.Pad(m, make([]int, r), hi, hidden)
	}
	if b.Type(m).DType == prim.Bool {
		h.keep = append(h.keep, m)
	} else {
		h.add = append(h.add, m)
	}
}

// count hides the keys behind the first n [B] of every sample. The queries are its last
// ones: where they are causal, query t sees the keys up to t+n−T.
func (h *headAttention) count(b *prim.Builder, n prim.ID) {
	h.blind = true
	t, keys := b.Shape(h.q)[2], b.Shape(h.k)[2]
	see, query := prim.Op(prim.Lt, prim.A(0), prim.A(1)), prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{1, 1}})
	if h.causal {
		h.causal, query = false, counted(t)
		see = prim.Op(prim.Le, prim.A(0), prim.Op(prim.Add, prim.A(2), prim.Op(prim.Sub, prim.A(1), prim.L(float64(t)))))
	}
	seen := b.MapAs(prim.I64, prim.I64, see, b.Const(counted(keys)), b.Reshape(n, b.Shape(n)[0], 1, 1, 1), b.Reshape(b.Const(query), prim.Prod(query.Type.Shape), 1))
	h.keep = append(h.keep, b.Cast(seen, prim.Bool))
}
