package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opDynamicQuantizeLinear is y = saturate(round(x/scale) + zero point) to uint8, where scale and
// zero point spread the range of x, which 0 belongs to, over 0…255. Halves round to even. A range of
// 0 alone has scale 1, as in ONNX Runtime.
func opDynamicQuantizeLinear() *Op {
	return &Op{
		Name: "DynamicQuantizeLinear", Since: 11, Doc: "to uint8 by the range of x, with its scale and zero point; version 11",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 1, 1); err != nil {
				return nil, err
			}
			scalar := []ir.Dim{}
			return []Fact{tensorFact(ir.Uint8, s.In[0].Type.Shape), tensorFact(s.elem(0), scalar), tensorFact(ir.Uint8, scalar)}, nil
		},
		Axes: func(s *Site, a *Axes) { carryAxes(s, a) },
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b, x := l.B, l.In[0]
			shape := b.Shape(x)
			if prim.Prod(shape) == 0 {
				return nil, l.Errorf("lower", "input 0 %q: want at least one element, got %v", l.Node.Input(0), shape)
			}
			flat := b.Reshape(x, prim.Prod(shape))
			end := func(op prim.ReduceOp, side prim.Code) prim.ID {
				return b.Map(prim.Op(side, prim.A(0), prim.L(0)), b.Reshape(b.Reduce(op, []int{0}, prim.A(0), flat)))
			}
			high, low := end(prim.ReduceMax, prim.Max), end(prim.ReduceMin, prim.Min)
			scale := b.Map(prim.Op(prim.Div, prim.Op(prim.Sub, prim.A(0), prim.A(1)), prim.L(255)), high, low)
			scale = b.Map(prim.Op(prim.Select, prim.Op(prim.Lt, prim.L(0), prim.A(0)), prim.A(0), prim.L(1)), scale)
			saturated := func(x *prim.X) *prim.X { return prim.Op(prim.Min, prim.Op(prim.Max, x, prim.L(0)), prim.L(255)) }
			zero := b.Map(prim.Op(prim.Round, saturated(prim.Op(prim.Neg, prim.A(0)))), b.Over(low, scale))
			y := saturated(prim.Op(prim.Add, prim.Op(prim.Round, prim.A(0)), prim.A(1)))
			return l.padOutputs(b.MapAs(l.Float, prim.I64, y, b.Over(x, scale), zero), scale, b.Cast(zero, prim.I64)), b.Err()
		},
	}
}
