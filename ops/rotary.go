package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// rotary turns pairs of positions of each head by angles of their row. The operators of ONNX
// Runtime and of the standard differ in the order of their inputs and in the positions: ONNX
// Runtime's may be one offset for all.
func rotary(domain string, since int, doc string, positions, cos, sin int) *Op {
	return &Op{
		Name: "RotaryEmbedding", Domain: domain, Since: since, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 3, 4); err != nil {
				return nil, err
			}
			if r := s.In[0].Type.Rank(); r != 3 && r != 4 {
				return nil, s.Errorf("infer", "input 0: want rank 3 or 4, got %d", r)
			}
			return sameInfer(s)
		},
		Axes: func(s *Site, a *Axes) {
			rank := s.In[0].Type.Rank()
			carryAxes(s, a, rank-1)
			for _, i := range []int{positions, cos, sin} {
				a.fixAll(s.Input(i), inRef(i), "angles of positions")
			}
			if rank == 4 {
				a.Fix(In(0, 3), "its positions are turned in pairs")
				a.Fix(Out(0, 3), "its positions are turned in pairs")
				return
			}
			n := s.In[0].Shape()[2]
			heads, err := rotaryHeads(s, n, s.Input(cos).Shape())
			if err != nil {
				heads = 0
			}
			tieHeads(a, In(0, 2), Out(0, 2), n, n, heads)
		},
		Cut: func(c *Cut) error {
			if c.In[0].Type.Rank() == 4 || c.Node.Int("num_heads", 0) == 0 {
				return nil
			}
			return cutHeads(c, "num_heads", c.Keep[0], 2, c.In[0].Shape()[2])
		},
		Lower: func(l *Lowering) ([]prim.ID, error) { return lowerRotary(l, positions, cos, sin) },
	}
}

// rotaryHeads returns the number of heads in n positions; the tables' rows are half a head wide
// unless only a part of each head is turned.
func rotaryHeads(s *Site, n int, table []int) (int, error) {
	h := s.Node.Int("num_heads", 0)
	if h == 0 && s.Node.Int("rotary_embedding_dim", 0) == 0 && len(table) > 0 && table[len(table)-1] > 0 {
		h = n / (2 * table[len(table)-1])
	}
	if h < 1 || n%h != 0 {
		return 0, s.Errorf("ops", "attribute \"num_heads\": want a divisor of %d, got %d", n, h)
	}
	return h, nil
}

func lowerRotary(l *Lowering, positions, cos, sin int) ([]prim.ID, error) {
	b, x := l.B, l.In[0]
	shape := b.Shape(x)
	if len(shape) == 3 {
		h, err := rotaryHeads(l.Site, shape[2], b.Shape(l.In[cos]))
		if err != nil {
			return nil, err
		}
		x = b.Reshape(x, shape[0], shape[1], h, shape[2]/h)
	} else {
		x = b.Transpose(x, 0, 2, 1, 3)
	}
	if b.Err() != nil {
		return nil, b.Err()
	}
	d := b.Shape(x) // [B,T,H,D]
	turned := l.Node.Int("rotary_embedding_dim", 0)
	if turned == 0 {
		turned = d[3]
	}
	if turned%2 != 0 || turned > d[3] {
		return nil, l.Errorf("lower", "attribute \"rotary_embedding_dim\": want an even number up to %d, got %d", d[3], turned)
	}
	angles := func(i int) (prim.ID, error) {
		t := l.In[i]
		at := l.optional(positions)
		if at == prim.Invalid {
			if w := b.Shape(t); len(w) != 3 || w[1] != d[1] || w[2] != turned/2 {
				return t, l.Errorf("lower", "input %d %q: want [%d,%d,%d] without positions, got %v", i, l.Node.Input(i), d[0], d[1], turned/2, w)
			}
			return b.Reshape(t, b.Shape(t)[0], d[1], 1, turned/2), nil
		}
		if w := b.Shape(t); len(w) != 2 || w[1] != turned/2 {
			return t, l.Errorf("lower", "input %d %q: want rows of %d angles, got %v", i, l.Node.Input(i), turned/2, w)
		}
		if w := b.Shape(at); len(w) != 2 && !slices.Equal(w, []int{1}) {
			return t, l.Errorf("lower", "input %d %q: want one offset or a position per row, got %v", positions, l.Node.Input(positions), w)
		} else if len(w) == 1 {
			step := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{d[1]}})
			for k := range step.I64 {
				step.I64[k] = int64(k)
			}
			at = b.Reshape(b.Plus(at, b.Const(step)), 1, d[1])
		}
		row := b.Gather(t, at, 0)
		return b.Reshape(row, b.Shape(at)[0], d[1], 1, turned/2), nil
	}
	c, err := angles(cos)
	if err != nil {
		return nil, err
	}
	s, err := angles(sin)
	if err != nil {
		return nil, err
	}
	x = turnHeads(b, x, c, s, l.Node.Int("interleaved", 0) != 0)
	if len(shape) == 3 {
		return one(b.Reshape(x, shape...)), nil
	}
	return one(b.Transpose(x, 0, 2, 1, 3)), nil
}

// turnHeads turns the first positions of every head of x [B,T,H,D] by angles of which c and
// s, [·,T,1,turned/2], hold the cosines and sines: neighbours in pairs, or one half with the other.
func turnHeads(b *prim.Builder, x, c, s prim.ID, pairs bool) prim.ID {
	if b.Err() != nil {
		return x
	}
	d := b.Shape(x)
	turned := 2 * b.Shape(c)[3]
	part := b.SliceAxis(x, 3, 0, turned)
	var lo, hi prim.ID
	if pairs {
		two := b.Reshape(part, d[0], d[1], d[2], turned/2, 2)
		lo, hi = b.Reshape(b.SliceAxis(two, 4, 0, 1), d[0], d[1], d[2], turned/2), b.Reshape(b.SliceAxis(two, 4, 1, 2), d[0], d[1], d[2], turned/2)
	} else {
		lo, hi = b.SliceAxis(part, 3, 0, turned/2), b.SliceAxis(part, 3, turned/2, turned)
	}
	mix := func(op prim.Code, p, q prim.ID) prim.ID {
		return b.Map(prim.Op(op, prim.Op(prim.Mul, prim.A(0), prim.A(2)), prim.Op(prim.Mul, prim.A(1), prim.A(3))), lo, hi, p, q)
	}
	first, second := mix(prim.Sub, c, s), mix(prim.Add, s, c)
	if pairs {
		up := append(append([]int{}, d[:3]...), turned/2, 1)
		part = b.Reshape(b.Concat(4, b.Reshape(first, up...), b.Reshape(second, up...)), d[0], d[1], d[2], turned)
	} else {
		part = b.Concat(3, first, second)
	}
	if turned < d[3] {
		part = b.Concat(3, part, b.SliceAxis(x, 3, turned, d[3]))
	}
	return part
}

// rotaries lists RotaryEmbedding of the standard and of ONNX Runtime.
func rotaries() []*Op {
	return []*Op{
		rotary("", 23, "pairs of positions of each head turned by the angles of their row; version 23", 3, 1, 2),
		rotary(microsoft, 1, "pairs of positions of each head turned by the angles of their row; of ONNX Runtime", 1, 2, 3),
	}
}
