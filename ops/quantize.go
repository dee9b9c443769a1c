package ops

import (
	"math"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// quantRange is the value range of an integer type of at most 16 bits.
func quantRange(d ir.DType) (low, high float64, ok bool) {
	bits := d.Bits()
	switch d {
	case ir.Uint8, ir.Uint16:
		return 0, math.Exp2(float64(bits)) - 1, true
	case ir.Int8, ir.Int16:
		return -math.Exp2(float64(bits - 1)), math.Exp2(float64(bits-1)) - 1, true
	}
	return 0, 0, false
}

// quantTarget is QuantizeLinear's result type: the zero point's, else output_dtype, else uint8.
func quantTarget(s *Site) ir.DType {
	if z := s.Input(2); z.Present() {
		return z.Type.Elem
	}
	if d := s.Node.Int("output_dtype", 0); d != 0 {
		return ir.DType(d)
	}
	return ir.Uint8
}

// checkQuant checks that scale and zero point are scalars, one per position of axis, or blocks along it.
func checkQuant(s *Site) error {
	if err := s.inputs("infer", 2, 3); err != nil {
		return err
	}
	sc := s.In[1].Type
	if z := s.Input(2); z.Present() && z.Type.Rank() != sc.Rank() && z.Type.Rank()+sc.Rank() != 1 {
		return s.Errorf("infer", "input 2 %q: want the scale's rank %d, got %d", s.Node.Input(2), sc.Rank(), z.Type.Rank())
	}
	if n := sc.Shape; len(n) == 1 && n[0].Size != 1 {
		axis, err := s.normAxis("infer", s.Node.Int("axis", 1), s.In[0].Type.Rank())
		if err != nil {
			return err
		}
		if d := s.In[0].Type.Shape[axis]; d.Known() && n[0].Known() && d.Size != n[0].Size {
			return s.Errorf("infer", "input 1 %q: want %d scales for axis %d, got %d", s.Node.Input(1), d.Size, axis, n[0].Size)
		}
	}
	return nil
}

func axesQuant(s *Site, a *Axes) {
	carryAxes(s, a)
	axis, err := s.normAxis("infer", s.Node.Int("axis", 1), s.In[0].Type.Rank())
	for i := 1; i < len(s.Node.Inputs); i++ {
		dims := s.In[i].Type.Shape
		switch {
		case len(dims) == 1 && err == nil && sameDim(dims[0], s.In[0].Type.Shape[axis]):
			a.Tie(Carried, In(i, 0), In(0, axis))
		case len(dims) > 1:
			a.fixAll(s.In[i], inRef(i), "scales by block")
			a.fixAll(s.In[0], inRef(0), "scales by block")
		}
	}
}

// alignQuant reshapes data, scale and zero point so that they broadcast.
func alignQuant(l *Lowering) (x prim.ID, rest []prim.ID, err error) {
	b := l.B
	x = l.In[0]
	shape, scale := b.Shape(x), b.Shape(l.In[1])
	axis := 0
	if len(scale) > 0 && prim.Prod(scale) != 1 {
		if axis, err = l.normAxis("lower", l.Node.Int("axis", 1), len(shape)); err != nil {
			return x, nil, err
		}
	}
	to := slices.Repeat([]int{1}, len(shape))
	switch {
	case prim.Prod(scale) == 1:
	case len(scale) == 1:
		to[axis] = scale[0]
	default:
		block := l.Node.Int("block_size", 0)
		if block < 1 || len(scale) != len(shape) || scale[axis]*block != shape[axis] {
			return x, nil, l.Errorf("lower", "attribute \"block_size\": want %d positions in whole blocks for scales %v, got %d", shape[axis], scale, block)
		}
		x = b.Reshape(x, slices.Concat(shape[:axis], []int{scale[axis], block}, shape[axis+1:])...)
		to = slices.Concat(scale[:axis+1], []int{1}, scale[axis+1:])
	}
	for i := 1; i < len(l.In); i++ {
		v := l.In[i]
		if v == prim.Invalid {
			continue
		}
		if prim.Prod(b.Shape(v)) == 1 {
			v = b.Reshape(v, slices.Repeat([]int{1}, len(to))...)
		} else {
			v = b.Reshape(v, to...)
		}
		rest = append(rest, v)
	}
	return x, rest, nil
}

// opQuantizeLinear is y = saturate(round(x/scale) + zero_point), rounding halves to even.
func opQuantizeLinear() *Op {
	return &Op{
		Name: "QuantizeLinear", Since: 10, Doc: "saturate(round(x/scale) + zero_point), per tensor, per axis or per block, to 8 and 16 bits; versions 10, 13, 19, 21, 23",
		Infer: func(s *Site) ([]Fact, error) {
			if err := checkQuant(s); err != nil {
				return nil, err
			}
			return []Fact{tensorFact(quantTarget(s), s.In[0].Type.Shape)}, nil
		},
		Axes: axesQuant,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			low, high, ok := quantRange(quantTarget(l.Site))
			if !ok {
				return nil, l.Errorf("lower", "result type: want an integer of 8 or 16 bits, got %s", quantTarget(l.Site))
			}
			x, rest, err := alignQuant(l)
			if err != nil {
				return nil, err
			}
			y := prim.Op(prim.Round, prim.Op(prim.Div, prim.A(0), prim.A(1)))
			if len(rest) > 1 {
				y = prim.Op(prim.Add, y, prim.A(2))
			}
			y = prim.Op(prim.Min, prim.Op(prim.Max, y, prim.L(low)), prim.L(high))
			id := l.B.MapAs(l.Float, prim.I64, y, append([]prim.ID{x}, rest...)...)
			return one(l.B.Reshape(id, l.Out[0].Shape()...)), nil
		},
	}
}

// opDequantizeLinear is y = (x - zero_point)·scale.
func opDequantizeLinear() *Op {
	return &Op{
		Name: "DequantizeLinear", Since: 10, Doc: "(x - zero_point)·scale, per tensor, per axis or per block, from 8, 16 and 32 bits; versions 10, 13, 19, 21, 23",
		Infer: func(s *Site) ([]Fact, error) {
			if err := checkQuant(s); err != nil {
				return nil, err
			}
			d := s.elem(1)
			if to := s.Node.Int("output_dtype", 0); to != 0 {
				d = ir.DType(to)
			}
			return []Fact{tensorFact(d, s.In[0].Type.Shape)}, nil
		},
		Axes: axesQuant,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			x, rest, err := alignQuant(l)
			if err != nil {
				return nil, err
			}
			y := prim.A(0)
			if len(rest) > 1 {
				y = prim.Op(prim.Sub, y, prim.A(2))
			}
			id := l.B.MapAs(l.Float, l.Float, prim.Op(prim.Mul, y, prim.A(1)), append([]prim.ID{x}, rest...)...)
			return one(l.B.Reshape(id, l.Out[0].Shape()...)), nil
		},
	}
}
