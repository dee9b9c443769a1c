package ops

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// groupQueryShape is what the operands of GroupQueryAttention say.
type groupQueryShape struct {
	packed                bool // input 0 holds q, k and v
	heads, kv             int
	batch, t, past, total ir.Dim // t: new tokens, past: length of the past's buffer, total: keys with the new ones
	width                 ir.Dim // of a head
}

func readGroupQuery(s *Site) (groupQueryShape, error) {
	var a groupQueryShape
	for _, i := range []int{0, 5, 6} {
		if !s.Input(i).Present() {
			return a, s.Errorf("infer", "input %d: want the query (0), the lengths of the keys (5) and the longest of them (6), got none", i)
		}
	}
	q := s.In[0].Type.Shape
	if len(q) != 3 {
		return a, s.Errorf("infer", "input 0 %q: want rank 3, got %v", s.Node.Input(0), q)
	}
	a.batch, a.t, a.heads, a.kv = q[0], q[1], s.Node.Int("num_heads", 0), s.Node.Int("kv_num_heads", 0)
	if a.heads < 1 || a.kv < 1 || a.heads%a.kv != 0 {
		return a, s.Errorf("infer", "attributes \"num_heads\" and \"kv_num_heads\": want a multiple of the other, got %d and %d", a.heads, a.kv)
	}
	a.packed = !s.Input(1).Present()
	if a.packed == s.Input(2).Present() {
		return a, s.Errorf("infer", "inputs 1 and 2: want both or none of key and value")
	}
	all := a.heads
	if a.packed {
		all += 2 * a.kv
	}
	a.width, a.past, a.total = ir.Dim{Size: -1}, ir.Dim{}, ir.Dim{Size: -1}
	if q[2].Known() {
		if q[2].Size%all != 0 {
			return a, s.Errorf("infer", "input 0 %q: want whole heads, %d of one width, got %d positions", s.Node.Input(0), all, q[2].Size)
		}
		a.width.Size = q[2].Size / all
	}
	if !a.packed {
		wide := ir.Dim{Size: -1}
		if a.width.Known() {
			wide.Size = a.kv * a.width.Size
		}
		for i := 1; i < 3; i++ {
			if f := s.In[i]; f.Type.Rank() != 3 {
				return a, s.Errorf("infer", "input %d %q: want rank 3, got %s", i, s.Node.Input(i), f.Type)
			}
			if err := firstError(s.agree("batch", a.batch, s.dim(i, 0)), s.agree("new tokens", a.t, s.dim(i, 1)), s.agree("width of keys and values", wide, s.dim(i, 2))); err != nil {
				return a, err
			}
		}
	}
	for i := 3; i < 5; i++ {
		f := s.Input(i)
		if f.Present() != s.Input(3).Present() {
			return a, s.Errorf("infer", "inputs 3 and 4: want both or none of past keys and values")
		}
		if !f.Present() {
			continue
		}
		if f.Type.Rank() != 4 {
			return a, s.Errorf("infer", "input %d %q: want rank 4, got %s", i, s.Node.Input(i), f.Type)
		}
		if err := firstError(s.agree("batch", a.batch, s.dim(i, 0)), s.agree("key heads", ir.Dim{Size: a.kv}, s.dim(i, 1)), s.agree("length of the past", s.dim(3, 2), s.dim(i, 2)), s.agree("width of a head", a.width, s.dim(i, 3))); err != nil {
			return a, err
		}
		a.past = s.dim(3, 2)
	}
	if f := s.In[5]; f.Type.Rank() > 2 || f.Type.Rank() == 0 {
		return a, s.Errorf("infer", "input 5 %q: want a length per sample, got %s", s.Node.Input(5), f.Type)
	}
	if c := s.In[6].Const; c != nil {
		v, err := c.Int64s()
		if err != nil || len(v) != 1 || v[0] < 1 || v[0] > math.MaxInt32 {
			return a, s.Errorf("infer", "input 6 %q: want the number of keys, got %v", s.Node.Input(6), v)
		}
		a.total.Size = int(v[0])
	}
	if a.t.Known() && a.total.Known() && (a.total.Size < a.t.Size || a.past.Known() && a.total.Size > a.past.Size+a.t.Size) {
		return a, s.Errorf("infer", "input 6 %q: want at least the %d new tokens and at most as many more as the past holds, got %d", s.Node.Input(6), a.t.Size, a.total.Size)
	}
	return a, nil
}

// keys is the length of the present: the past's buffer when it is the longer one.
func (a groupQueryShape) keys() ir.Dim {
	if a.past.Known() && a.total.Known() {
		return ir.Dim{Size: max(a.past.Size, a.total.Size)}
	}
	return ir.Dim{Size: -1}
}

// groups is the number of units of heads: key heads with the query heads that they serve,
// or query heads where all share one key head.
func (a groupQueryShape) groups() int {
	if a.kv == 1 {
		return a.heads
	}
	return a.kv
}

// opGroupQueryAttention is ONNX Runtime's causal attention with grouped key heads: q, k, v
// [B,T,··D] apart or packed in one, a cache [B,K,P,D], rotary positions on request. Sample b has
// seqlens_k[b]+1 keys with the new ones, which follow each other from its past on.
func opGroupQueryAttention() *Op {
	return &Op{
		Name: "GroupQueryAttention", Domain: microsoft, Since: 1, Heads: true, Caches: []int{3, 4},
		Doc: "causal softmax(scale·q·kᵀ)·v over grouped heads, q, k, v apart or packed, past keys of a length per sample, rotary positions, local window; of ONNX Runtime",
		Infer: func(s *Site) ([]Fact, error) {
			a, err := readGroupQuery(s)
			if err != nil {
				return nil, err
			}
			out := ir.Dim{Size: -1}
			if a.width.Known() {
				out.Size = a.heads * a.width.Size
			}
			elem := s.In[0].Type.Elem
			present := tensorFact(elem, []ir.Dim{a.batch, {Size: a.kv}, a.keys(), a.width})
			return []Fact{tensorFact(elem, []ir.Dim{a.batch, a.t, out}), present, present}[:max(1, min(3, len(s.Node.Outputs)))], nil
		},
		Axes: axesGroupQuery,
		Cut: func(c *Cut) error {
			a, err := readGroupQuery(c.Site)
			if err != nil {
				return err
			}
			n := a.heads * a.width.Size
			if err := cutHeads(c, "num_heads", c.KeepO[0], 2, n); err != nil || a.kv == 1 {
				return err
			}
			return cutHeads(c, "kv_num_heads", c.KeepO[0], 2, n)
		},
		Cost: func(s *Site) Cost {
			y := s.Out[0].Shape()
			keys := y[1]
			if c := s.In[6].Const; c != nil {
				if v, err := c.Int64s(); err == nil && len(v) == 1 {
					keys = int(v[0])
				}
			}
			return attentionCost(y[0], y[1], keys, 2*y[2])
		},
		Lower: lowerGroupQuery,
	}
}

func axesGroupQuery(s *Site, a *Axes) {
	d, err := readGroupQuery(s)
	if err != nil {
		return
	}
	units, out := d.groups(), d.heads*d.width.Size
	a.Tie(Carried, In(0, 0), Out(0, 0))
	a.Tie(Carried, In(0, 1), Out(0, 1))
	// keys ties, or with one head for all fixes, n positions of key heads from off on.
	keys := func(x AxisRef, off, n int) {
		if d.kv > 1 || d.heads == 1 {
			tieShares(a, x, Out(0, 2), off, n, out, units)
		}
	}
	tieShares(a, In(0, 2), Out(0, 2), 0, out, out, units)
	wide := d.kv * d.width.Size
	if d.packed {
		keys(In(0, 2), out, wide)
		keys(In(0, 2), out+wide, wide)
		if d.kv == 1 && d.heads > 1 {
			a.Fix(In(0, 2), "all heads share its keys and values")
		}
	} else {
		for i := 1; i < 3; i++ {
			a.Tie(Carried, In(i, 0), Out(0, 0))
			a.Fix(In(i, 1), "softmax over the keys")
			keys(In(i, 2), 0, wide)
		}
	}
	for i := 3; i < 5; i++ {
		if s.Input(i).Present() {
			a.Tie(Carried, In(i, 0), Out(0, 0))
			keys(In(i, 1), 0, d.kv)
			a.Fix(In(i, 2), "softmax over the keys")
			a.Fix(In(i, 3), "the width of a head")
		}
	}
	for k := 1; k < len(s.Out); k++ {
		if s.Out[k].Present() {
			a.Tie(Carried, Out(0, 0), Out(k, 0))
			keys(Out(k, 1), 0, d.kv)
		}
	}
	for i := 5; i < 10; i++ {
		f := s.Input(i)
		for n, size := range f.Type.Shape {
			if n == 0 && (i == 5 || i == 9) && sameDim(size, d.batch) {
				a.Tie(Carried, In(i, 0), Out(0, 0))
			} else {
				a.Fix(In(i, n), "lengths and angles of positions")
			}
		}
	}
	for n, size := range s.Input(10).Type.Shape {
		switch {
		case n == 0 && sameDim(size, d.batch):
			a.Tie(Carried, In(10, 0), Out(0, 0))
		case n == 1 && size.Size == d.heads && d.heads > 1:
			tieHeads(a, In(10, 1), Out(0, 2), d.heads, out, units)
		case n == 2 && sameDim(size, d.t):
			a.Tie(Carried, In(10, 2), Out(0, 1))
		case size.Size != 1:
			a.Fix(In(10, n), "softmax over the keys")
		}
	}
}

func lowerGroupQuery(l *Lowering) ([]prim.ID, error) {
	d, err := readGroupQuery(l.Site)
	if err != nil {
		return nil, err
	}
	if !d.total.Known() {
		return nil, l.Errorf("lower", "input 6 %q: want a number of keys that sizes or constants give, got a computed one", l.Node.Input(6))
	}
	for i := 11; i < len(l.Node.Inputs); i++ {
		if l.Input(i).Present() {
			return nil, l.Errorf("lower", "input %d %q: sinks and scales of caches are not supported", i, l.Node.Input(i))
		}
	}
	if l.Node.Int("smooth_softmax", 0) > 0 || l.Node.Int("qk_output", 0) != 0 {
		return nil, l.Errorf("lower", "attributes \"smooth_softmax\" and \"qk_output\" are not supported")
	}
	b := l.B
	t, keys, past := d.t.Size, d.keys().Size, d.past.Size
	var in [3]prim.ID // [B,T,H,D]
	off := 0
	for i, heads := range []int{d.heads, d.kv, d.kv} {
		if in[i] = l.In[i]; d.packed {
			in[i] = b.SliceAxis(l.In[0], 2, off*d.width.Size, (off+heads)*d.width.Size)
			off += heads
		}
		in[i] = b.Reshape(in[i], d.batch.Size, t, heads, d.width.Size)
	}
	// A sample's first new token has the number begin; 0 for all where nothing came before.
	begin := b.Const(prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{1, 1}}))
	if t != d.total.Size {
		lens := l.In[5]
		if prim.Prod(b.Shape(lens)) != d.batch.Size {
			return nil, l.Errorf("lower", "input 5 %q: want a length for each of %d samples, got %v", l.Node.Input(5), d.batch.Size, b.Shape(lens))
		}
		room := prim.Op(prim.Sub, prim.A(0), prim.L(float64(t-1)))
		begin = b.Map(prim.Op(prim.Max, prim.L(0), prim.Op(prim.Min, prim.L(float64(keys-t)), room)), b.Reshape(lens, d.batch.Size, 1))
	}
	number := b.Plus(begin, b.Const(counted(t))) // [B or 1,T]
	if l.Node.Int("do_rotary", 0) != 0 {
		if err := l.turnGroups(&in, number, d.width.Size); err != nil {
			return nil, err
		}
	}
	for i := range in {
		in[i] = b.Transpose(in[i], 0, 2, 1, 3)
	}
	if b.Err() != nil {
		return nil, b.Err()
	}
	h := headAttention{q: in[0], k: in[1], v: in[2], scale: l.defaultScale(d.width.Size), low: math.Inf(-1), softcap: l.Node.Float("softcap", 0)}
	if past > 0 {
		at := presentRows(b, begin, d.batch.Size, past, t, keys)
		h.k, h.v = rowsOf(b, b.Concat(2, l.In[3], in[1]), at), rowsOf(b, b.Concat(2, l.In[4], in[2]), at)
	}
	if l.Input(10).Present() {
		h.add = append(h.add, l.In[10])
	}
	// Key j is seen from the token with number n when n−window < j ≤ n.
	n := b.Reshape(number, b.Shape(number)[0], 1, t, 1)
	see := prim.Op(prim.Le, prim.A(0), prim.A(1))
	if w := l.Node.Int("local_window_size", -1); w >= 0 {
		see = prim.Op(prim.Mul, see, prim.Op(prim.Lt, prim.A(1), prim.Op(prim.Add, prim.A(0), prim.L(float64(w)))))
	}
	h.keep = append(h.keep, b.Cast(b.MapAs(prim.I64, prim.I64, see, b.Const(counted(keys)), n), prim.Bool))
	y, _ := h.lower(b)
	return l.padOutputs(joinHeads(b, y), h.k, h.v), b.Err()
}

// turnGroups turns queries and keys by the angles of their numbers, or of input 9.
func (l *Lowering) turnGroups(in *[3]prim.ID, number prim.ID, width int) error {
	b := l.B
	if l.optional(7) == prim.Invalid || l.optional(8) == prim.Invalid {
		return l.Errorf("lower", "inputs 7 and 8: want the cosines and sines of the positions, got none")
	}
	if p := l.optional(9); p != prim.Invalid {
		number = p
	}
	var rows [2]prim.ID
	for i := range rows {
		w := b.Shape(l.In[7+i])
		if len(w) != 2 || w[0] < 1 || w[1] < 1 || 2*w[1] > width || len(b.Shape(number)) != 2 {
			return l.Errorf("lower", "input %d %q: want rows of at most %d angles, got %v", 7+i, l.Node.Input(7+i), width/2, w)
		}
		at := b.Map(prim.Op(prim.Max, prim.L(0), prim.Op(prim.Min, prim.L(float64(w[0]-1)), prim.A(0))), number)
		n := b.Shape(at)
		rows[i] = b.Reshape(b.Gather(l.In[7+i], at, 0), n[0], n[1], 1, w[1])
	}
	for i := range 2 {
		in[i] = turnHeads(b, in[i], rows[0], rows[1], l.Node.Int("rotary_interleaved", 0) != 0)
	}
	return nil
}

// counted is the vector 0 … n−1.
func counted(n int) *prim.Tensor {
	t := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{n}})
	for i := range t.I64 {
		t.I64[i] = int64(i)
	}
	return t
}

// presentRows returns, for every sample and row of the present, the row of past and new
// tokens joined that stands there, counted through all samples: [B,keys]. Rows behind the
// new tokens keep what the past's buffer holds.
func presentRows(b *prim.Builder, begin prim.ID, batch, past, t, keys int) prim.ID {
	before := prim.Op(prim.Lt, prim.A(0), prim.A(1))
	fresh := prim.Op(prim.Sub, prim.A(0), prim.A(1))
	row := prim.Op(prim.Select, before, prim.A(0),
		prim.Op(prim.Select, prim.Op(prim.Lt, fresh, prim.L(float64(t))), prim.Op(prim.Add, fresh, prim.L(float64(past))), prim.Op(prim.Min, prim.A(0), prim.L(float64(past-1)))))
	sample := counted(batch)
	for i := range sample.I64 {
		sample.I64[i] *= int64(past + t)
	}
	return b.Map(prim.Op(prim.Add, row, prim.A(2)), b.Reshape(b.Const(counted(keys)), 1, keys), begin, b.Reshape(b.Const(sample), batch, 1))
}

// rowsOf takes the rows at [B,N] of x [B,K,S,D] along S, counted through all samples: [B,K,N,D].
func rowsOf(b *prim.Builder, x, at prim.ID) prim.ID {
	d := ofRank(b, x, 4)
	if d == nil {
		return x
	}
	n := b.Shape(at)
	flat := b.Reshape(b.Transpose(x, 0, 2, 1, 3), d[0]*d[2], d[1]*d[3])
	return b.Transpose(b.Reshape(b.Gather(flat, at, 0), n[0], n[1], d[1], d[3]), 0, 2, 1, 3)
}
