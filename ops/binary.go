package ops

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// arithmetic is a binary operator of the inputs' type with multidirectional
// broadcasting. Integer results wrap to the width of the type.
func arithmetic(name string, since int, doc string, f func(s *Site, x, y *prim.X) *prim.X) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: broadcastInfer(2, 2, 0, nil),
		Axes:  broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			return one(l.B.Map(wrap(l.elem(0), f(l.Site, prim.A(0), prim.A(1))), l.aligned()...)), nil
		},
	}
}

func code(c prim.Code) func(*Site, *prim.X, *prim.X) *prim.X {
	return func(_ *Site, x, y *prim.X) *prim.X { return prim.Op(c, x, y) }
}

// residual marks an operator whose other input is the result when one is left out.
func residual(op *Op) *Op {
	op.Residual = true
	return op
}

// scales marks an operator whose constant operand is a parameter behind the first layer.
func scales(op *Op) *Op {
	op.Scales, op.Params = true, []int{0, 1}
	return op
}

// relation is a binary operator with a Bool result.
func relation(name string, since int, doc string, f func(x, y *prim.X) *prim.X) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: broadcastInfer(2, 2, 0, boolElem),
		Axes:  broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			c := l.B.Type(l.In[0]).DType
			if c == prim.Bool {
				c = prim.I64
			}
			return one(l.B.MapAs(c, prim.Bool, f(prim.A(0), prim.A(1)), l.aligned()...)), nil
		},
	}
}

// variadic folds any number of inputs with one code; finish may edit the result.
func variadic(name string, since int, doc string, c prim.Code, finish func(n int, x *prim.X) *prim.X) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: broadcastInfer(1, -1, 0, nil),
		Axes:  broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			x := prim.A(0)
			for i := 1; i < len(l.In); i++ {
				x = prim.Op(c, x, prim.A(i))
			}
			if finish != nil {
				x = finish(len(l.In), x)
			}
			return one(l.B.Map(wrap(l.elem(0), x), l.In...)), nil
		},
	}
}

// binaryMath lists elementwise arithmetic, comparison and logic.
func binaryMath() []*Op {
	return []*Op{
		residual(scales(arithmetic("Add", 6, "y = a + b; versions 6, 7, 13, 14", code(prim.Add)))),
		scales(arithmetic("Sub", 6, "y = a - b; versions 6, 7, 13, 14", code(prim.Sub))),
		scales(arithmetic("Mul", 6, "y = a · b; versions 6, 7, 13, 14", code(prim.Mul))),
		scales(arithmetic("Div", 6, "y = a / b, integers toward zero; versions 6, 7, 13, 14", code(prim.Div))),
		arithmetic("Mod", 10, "y = a mod b, of b's sign, or of a's when fmod=1; versions 10, 13", modulo),
		opPow(),
		arithmetic("BitShift", 11, "y = a shifted by b bits, direction LEFT or RIGHT, unsigned; version 11", bitShift),
		variadic("Max", 6, "y = the largest operand; versions 6, 8, 12, 13", prim.Max, nil),
		variadic("Min", 6, "y = the smallest operand; versions 6, 8, 12, 13", prim.Min, nil),
		residual(variadic("Sum", 6, "y = the sum of the operands; versions 6, 8, 13", prim.Add, nil)),
		variadic("Mean", 6, "y = the mean of the operands; versions 6, 8, 13", prim.Add, func(n int, x *prim.X) *prim.X {
			return prim.Op(prim.Div, x, prim.L(float64(n)))
		}),
		relation("Less", 1, "y = a < b; versions 1, 7, 9, 13", func(x, y *prim.X) *prim.X { return prim.Op(prim.Lt, x, y) }),
		relation("LessOrEqual", 12, "y = a ≤ b; versions 12, 16", func(x, y *prim.X) *prim.X { return prim.Op(prim.Le, x, y) }),
		relation("Greater", 1, "y = a > b; versions 1, 7, 9, 13", func(x, y *prim.X) *prim.X { return prim.Op(prim.Lt, y, x) }),
		relation("GreaterOrEqual", 12, "y = a ≥ b; versions 12, 16", func(x, y *prim.X) *prim.X { return prim.Op(prim.Le, y, x) }),
		relation("Equal", 1, "y = a equals b; versions 1, 7, 11, 13, 19", func(x, y *prim.X) *prim.X { return prim.Op(prim.Eq, x, y) }),
		relation("And", 1, "y = a ∧ b; versions 1, 7", func(x, y *prim.X) *prim.X { return prim.Op(prim.And, x, y) }),
		relation("Or", 1, "y = a ∨ b; versions 1, 7", func(x, y *prim.X) *prim.X { return prim.Op(prim.Or, x, y) }),
		relation("Xor", 1, "y = a ≠ b of truth values; versions 1, 7", func(x, y *prim.X) *prim.X { return prim.Op(prim.Xor, x, y) }),
	}
}

func modulo(s *Site, x, y *prim.X) *prim.X {
	if s.Node.Int("fmod", 0) != 0 {
		return prim.Op(prim.FMod, x, y)
	}
	return prim.Op(prim.Mod, x, y)
}

func bitShift(s *Site, x, y *prim.X) *prim.X {
	factor := prim.Op(prim.Pow, prim.L(2), y)
	if s.Node.Str("direction", "") == "LEFT" {
		return prim.Op(prim.Mul, x, factor)
	}
	return prim.Op(prim.Div, x, factor)
}

// opPow is y = a to the power b, of a's type.
func opPow() *Op {
	return &Op{
		Name: "Pow", Since: 1, Doc: "y = a to the power b, of a's type; versions 1, 7, 12, 13, 15",
		Infer: broadcastInfer(2, 2, 1, nil),
		Axes:  broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			out := l.B.Type(l.In[0]).DType
			compute := out
			if d := l.B.Type(l.In[1]).DType; d.Float() {
				compute = d
			}
			if v, ok := l.scalar(1); ok && len(l.Input(1).Type.Shape) <= len(l.Input(0).Type.Shape) {
				x := l.In[0]
				e := power(prim.A(0), v)
				if compute != out {
					x = l.B.MapAs(compute, compute, e, x)
					return one(l.B.MapAs(out, out, wrap(l.elem(0), prim.A(0)), x)), nil
				}
				return one(l.B.Map(wrap(l.elem(0), e), x)), nil
			}
			e := prim.Op(prim.Pow, prim.A(0), prim.A(1))
			if compute == out {
				return one(l.B.Map(wrap(l.elem(0), e), l.aligned()...)), nil
			}
			y := l.B.MapAs(compute, compute, e, l.aligned()...)
			return one(l.B.MapAs(out, out, wrap(l.elem(0), prim.A(0)), y)), nil
		},
	}
}

// power is x to a known exponent, by products and roots where they are exact.
func power(x *prim.X, v float64) *prim.X {
	switch v {
	case 1:
		return x
	case 2:
		return prim.Op(prim.Mul, x, x)
	case 3:
		return prim.Op(prim.Mul, prim.Op(prim.Mul, x, x), x)
	case 0.5:
		return prim.Op(prim.Sqrt, x)
	case -0.5:
		return prim.Op(prim.Rsqrt, x)
	case -1:
		return prim.Op(prim.Recip, x)
	}
	return prim.Op(prim.Pow, x, prim.L(v))
}

// root is x to the power 1/p for p ≥ 1 and x ≥ 0. At 0, where that of a sum of powers has a
// kink and its slope by the sum is infinite, the derivative is 0.
func root(x *prim.X, p float64) *prim.X {
	if p == 1 {
		return x
	}
	return prim.Op(prim.Select, prim.Op(prim.Eq, x, prim.L(0)), prim.L(0), power(x, 1/p))
}

// absPower is |x| to the power p.
func absPower(x *prim.X, p float64) *prim.X {
	if math.Mod(p, 2) == 0 {
		return power(x, p)
	}
	return power(prim.Op(prim.Abs, x), p)
}

// opWhere selects between two values by a condition.
func opWhere() *Op {
	return &Op{
		Name: "Where", Since: 9, Doc: "y = a where the condition holds, else b; versions 9, 16",
		Infer: broadcastInfer(3, 3, 1, func(s *Site) ir.DType { return s.elem(1) }),
		Axes:  broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			out := l.B.Type(l.In[1]).DType
			compute := out
			if compute == prim.Bool {
				compute = prim.I64
			}
			return one(l.B.MapAs(compute, out, prim.Op(prim.Select, prim.A(0), prim.A(1), prim.A(2)), l.In...)), nil
		},
	}
}
