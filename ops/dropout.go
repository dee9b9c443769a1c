package ops

import (
	"hash/fnv"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// opDropout passes its input in inference. In training, with a seed, each
// element is kept with probability 1-ratio and divided by it. The second output
// is the mask: of the data's type before version 10, Bool since.
func opDropout() *Op {
	return &Op{
		Name: "Dropout", Since: 6, Train: true,
		Doc: "identity in inference; in training zeroes elements with probability ratio and scales the others by 1/(1-ratio); versions 6, 7, 10, 12, 13, 22",
		Infer: func(s *Site) ([]Fact, error) {
			out, err := sameInfer(s)
			if err == nil && len(s.Node.Outputs) > 1 {
				d := ir.Bool
				if s.Opset < 10 {
					d = s.elem(0)
				}
				out = append(out, tensorFact(d, s.In[0].Type.Shape))
			}
			return out, err
		},
		Axes: func(s *Site, a *Axes) {
			carryAxes(s, a)
			if len(s.Out) > 1 && s.Out[1].Present() {
				a.tieAll(s, 0, 1, Carried)
			}
		},
		Lower: func(l *Lowering) ([]prim.ID, error) {
			b, x := l.B, l.In[0]
			t := b.Type(x)
			ratio, err := dropoutRatio(l)
			if err != nil {
				return nil, err
			}
			y := x
			keep := func() prim.ID {
				return b.Add(prim.Map{Expr: prim.E(prim.L(1)), Compute: prim.I64, Out: prim.Bool, Shape: t.Shape})
			}
			if l.Training && l.Seed != prim.Invalid && ratio > 0 {
				r := b.Add(prim.Random{Shape: t.Shape, Out: t.DType}, ownSeed(l))
				chosen := prim.Op(prim.Le, prim.L(ratio), prim.A(1))
				y = b.Map(prim.Op(prim.Select, chosen, prim.Op(prim.Mul, prim.A(0), prim.L(1/(1-ratio))), prim.L(0)), x, r)
				keep = func() prim.ID {
					return b.MapAs(t.DType, prim.Bool, prim.Op(prim.Le, prim.L(ratio), prim.A(0)), r)
				}
			}
			if l.Node.Output(1) == "" {
				return l.padOutputs(y), nil
			}
			return l.padOutputs(y, b.Cast(keep(), l.DType(l.Out[1].Type.Elem))), nil
		},
	}
}

// dropoutRatio reads the ratio: an attribute before opset 12, a constant input since.
func dropoutRatio(l *Lowering) (float64, error) {
	ratio := 0.5
	switch {
	case l.Opset < 12:
		ratio = l.Node.Float("ratio", 0.5)
	case l.Input(1).Present():
		v, ok := l.scalar(1)
		if !ok && l.Training {
			return 0, l.Errorf("lower", "input 1 %q: want a constant ratio, got a computed value", l.Node.Input(1))
		}
		ratio = v
	}
	if ratio < 0 || ratio >= 1 {
		if l.Training {
			return 0, l.Errorf("lower", "ratio: want a number in [0, 1), got %g", ratio)
		}
	}
	return ratio, nil
}

// ownSeed gives every node a stream of its own from the program's seed.
func ownSeed(l *Lowering) prim.ID {
	h := fnv.New64a()
	h.Write([]byte(l.Node.Output(0)))
	return l.B.Plus(l.Seed, l.B.Const(prim.I64Tensor([]int64{0, int64(h.Sum64())}, 2)))
}
