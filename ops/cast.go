package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opCast converts to the element type of attribute "to". Floats become integers
// toward zero and wrap to the width; float16 and bfloat16 keep the computing precision.
func opCast() *Op {
	return castOp("Cast", 6, "y = x converted to type \"to\"; versions 6, 9, 13, 19, 21, 23, 24",
		func(s *Site) ir.DType { return ir.DType(s.Node.Int("to", 0)) })
}

// opCastLike converts to the element type of its second input.
func opCastLike() *Op {
	return castOp("CastLike", 15, "y = x converted to the type of the second input; versions 15, 19, 21, 23, 24",
		func(s *Site) ir.DType { return s.elem(1) })
}

func castOp(name string, since int, doc string, to func(s *Site) ir.DType) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc, Moves: 1,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, -1); err != nil {
				return nil, err
			}
			d := to(s)
			if !d.Valid() {
				return nil, s.Errorf("infer", "target type: want an ONNX element type, got %s", d)
			}
			return []Fact{tensorFact(d, s.In[0].Type.Shape)}, nil
		},
		Axes: func(s *Site, a *Axes) {
			carryAxes(s, a)
			for i := 1; i < len(s.In); i++ {
				for n := range s.In[i].Type.Shape {
					a.free(In(i, n))
				}
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			from, d := l.elem(0), to(l.Site)
			for _, t := range []ir.DType{from, d} {
				if !t.IsFloat() && !t.IsInt() && t != ir.Bool {
					return nil, l.Errorf("lower", "types: want floats, integers or bool, got %s to %s", from, d)
				}
			}
			if d.IsInt() && d.Bits() < 64 && from != ir.Bool && from != d {
				return one(l.B.MapAs(prim.I64, prim.I64, wrap(d, prim.A(0)), l.In[0])), nil
			}
			return one(l.B.Cast(l.In[0], l.DType(d))), nil
		},
	}
}
