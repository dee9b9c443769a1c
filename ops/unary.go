package ops

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// expression gives the scalar function of a unary operator: x is the operand.
type expression func(s *Site, x *prim.X) *prim.X

// unary is an operator y = f(x), element by element, of the input's type.
// Integer results wrap to the width of the type.
func unary(name string, since int, doc string, f expression) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: sameInfer,
		Axes:  func(s *Site, a *Axes) { carryAxes(s, a) },
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			return one(l.B.Map(wrap(l.elem(0), f(l.Site, prim.A(0))), l.In[0])), nil
		},
	}
}

// simple is a unary operator that one code computes.
func simple(name string, since int, doc string, c prim.Code) *Op {
	return unary(name, since, doc, func(_ *Site, x *prim.X) *prim.X { return prim.Op(c, x) })
}

// predicate is a unary operator with a Bool result.
func predicate(name string, since int, doc string, f expression) *Op {
	return &Op{
		Name: name, Since: since, Doc: doc,
		Infer: broadcastInfer(1, 1, 0, boolElem),
		Axes:  func(s *Site, a *Axes) { carryAxes(s, a) },
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			c := l.B.Type(l.In[0]).DType
			if c == prim.Bool {
				c = prim.I64
			}
			return one(l.B.MapAs(c, prim.Bool, f(l.Site, prim.A(0)), l.In[0])), nil
		},
	}
}

// unaryMath lists the unary arithmetic, rounding, exponential and trigonometric operators.
func unaryMath() []*Op {
	return []*Op{
		simple("Abs", 6, "y = |x|; versions 6, 13", prim.Abs),
		simple("Neg", 6, "y = -x; versions 6, 13", prim.Neg),
		simple("Sign", 9, "y = -1, 0 or 1; versions 9, 13", prim.Sign),
		simple("Floor", 6, "y = the largest integer ≤ x; versions 6, 13", prim.Floor),
		simple("Ceil", 6, "y = the smallest integer ≥ x; versions 6, 13", prim.Ceil),
		simple("Round", 11, "y = the nearest integer, halves to even; versions 11, 22", prim.Round),
		simple("Sqrt", 6, "y = √x; versions 6, 13", prim.Sqrt),
		simple("Reciprocal", 6, "y = 1/x; versions 6, 13", prim.Recip),
		simple("Exp", 6, "y = eˣ; versions 6, 13", prim.Exp),
		simple("Log", 6, "y = ln x; versions 6, 13", prim.Log),
		simple("Erf", 9, "y = erf x; versions 9, 13", prim.Erf),
		simple("Sin", 1, "y = sin x; versions 7, 22", prim.Sin),
		simple("Cos", 1, "y = cos x; versions 7, 22", prim.Cos),
		simple("Tan", 1, "y = tan x; versions 7, 22", prim.Tan),
		simple("Asin", 1, "y = arcsin x; versions 7, 22", prim.Asin),
		simple("Acos", 1, "y = arccos x; versions 7, 22", prim.Acos),
		simple("Atan", 1, "y = arctan x; versions 7, 22", prim.Atan),
		simple("Sinh", 9, "y = sinh x; versions 9, 22", prim.Sinh),
		simple("Cosh", 9, "y = cosh x; versions 9, 22", prim.Cosh),
		simple("Tanh", 6, "y = tanh x; versions 6, 13", prim.Tanh),
		simple("Asinh", 9, "y = arsinh x; versions 9, 22", prim.Asinh),
		simple("Acosh", 9, "y = arcosh x; versions 9, 22", prim.Acosh),
		simple("Atanh", 9, "y = artanh x; versions 9, 22", prim.Atanh),
		predicate("IsNaN", 9, "y = x is NaN; versions 9, 13, 20", func(_ *Site, x *prim.X) *prim.X { return prim.Op(prim.IsNaN, x) }),
		predicate("IsInf", 10, "y = x is infinite, of the signs that detect_positive and detect_negative ask for; versions 10, 20", isInf),
		predicate("Not", 1, "y = ¬x; version 1", func(_ *Site, x *prim.X) *prim.X { return prim.Op(prim.Not, x) }),
		unary("BitwiseNot", 18, "y = the bitwise complement of an integer; version 18", bitwiseNot),
	}
}

func isInf(s *Site, x *prim.X) *prim.X {
	y := prim.Op(prim.IsInf, x)
	if s.Node.Int("detect_positive", 1) == 0 {
		y = prim.Op(prim.And, y, prim.Op(prim.Lt, x, prim.L(0)))
	}
	if s.Node.Int("detect_negative", 1) == 0 {
		y = prim.Op(prim.And, y, prim.Op(prim.Lt, prim.L(0), x))
	}
	return y
}

func bitwiseNot(_ *Site, x *prim.X) *prim.X { return prim.Op(prim.Sub, prim.L(-1), x) }

// activations lists the elementwise activation functions with at most scalar attributes.
func activations() []*Op {
	return []*Op{
		unary("Relu", 6, "y = max(x, 0); versions 6, 13, 14", func(_ *Site, x *prim.X) *prim.X { return prim.Op(prim.Max, x, prim.L(0)) }),
		unary("LeakyRelu", 6, "y = x for x ≥ 0, alpha·x below; versions 6, 16", leakyRelu),
		unary("Elu", 6, "y = x for x ≥ 0, alpha·(eˣ-1) below; versions 6, 22", func(s *Site, x *prim.X) *prim.X {
			return halves(x, 1, s.Node.Float("alpha", 1), 1)
		}),
		unary("Selu", 6, "y = gamma·(x for x ≥ 0, alpha·(eˣ-1) below); versions 6, 22", func(s *Site, x *prim.X) *prim.X {
			gamma := s.Node.Float("gamma", 1.05070102214813232421875)
			return halves(x, gamma, gamma*s.Node.Float("alpha", 1.67326319217681884765625), 1)
		}),
		unary("Celu", 12, "y = max(0, x) + min(0, alpha·(exp(x/alpha)-1)); version 12", func(s *Site, x *prim.X) *prim.X {
			alpha := s.Node.Float("alpha", 1)
			return halves(x, 1, alpha, 1/alpha)
		}),
		unary("ThresholdedRelu", 10, "y = x for x > alpha, else 0; versions 10, 22", func(s *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Select, prim.Op(prim.Lt, prim.L(s.Node.Float("alpha", 1)), x), x, prim.L(0))
		}),
		unary("Softplus", 1, "y = ln(1+eˣ); versions 1, 22", func(_ *Site, x *prim.X) *prim.X { return softplus(x) }),
		unary("Softsign", 1, "y = x/(1+|x|); versions 1, 22", func(_ *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Div, x, prim.Op(prim.Add, prim.L(1), prim.Op(prim.Abs, x)))
		}),
		simple("Sigmoid", 6, "y = 1/(1+e⁻ˣ); versions 6, 13", prim.Sigmoid),
		unary("HardSigmoid", 6, "y = max(0, min(1, alpha·x+beta)); versions 6, 22", func(s *Site, x *prim.X) *prim.X {
			return hardSigmoid(x, s.Node.Float("alpha", 0.2), s.Node.Float("beta", 0.5))
		}),
		unary("HardSwish", 14, "y = x·max(0, min(1, x/6+1/2)); versions 14, 22", func(_ *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Mul, x, hardSigmoid(x, 1.0/6, 0.5))
		}),
		unary("Mish", 18, "y = x·tanh(ln(1+eˣ)); versions 18, 22", func(_ *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Mul, x, prim.Op(prim.Tanh, softplus(x)))
		}),
		unary("Gelu", 20, "y = x·Φ(x), or with approximate=\"tanh\" its tanh form; version 20", gelu),
		unary("Swish", 24, "y = x·sigmoid(alpha·x); version 24", func(s *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Mul, x, prim.Op(prim.Sigmoid, prim.Op(prim.Mul, prim.L(s.Node.Float("alpha", 1)), x)))
		}),
		unary("Shrink", 9, "y = x+bias for x < -lambd, x-bias for x > lambd, else 0; version 9", shrink),
	}
}

func leakyRelu(s *Site, x *prim.X) *prim.X {
	return prim.Op(prim.Select, prim.Op(prim.Lt, x, prim.L(0)), prim.Op(prim.Mul, prim.L(s.Node.Float("alpha", 0.01)), x), x)
}

// halves is pos·max(x, 0) + neg·(exp(rate·min(x, 0)) - 1).
func halves(x *prim.X, pos, neg, rate float64) *prim.X {
	low := prim.Op(prim.Exp, prim.Op(prim.Mul, prim.Op(prim.Min, x, prim.L(0)), prim.L(rate)))
	return prim.Op(prim.Add,
		prim.Op(prim.Mul, prim.Op(prim.Max, x, prim.L(0)), prim.L(pos)),
		prim.Op(prim.Mul, prim.Op(prim.Sub, low, prim.L(1)), prim.L(neg)))
}

// softplus is max(x, 0) + ln(1 + exp(-|x|)), which neither overflows nor cancels.
func softplus(x *prim.X) *prim.X {
	tail := prim.Op(prim.Log1p, prim.Op(prim.Exp, prim.Op(prim.Neg, prim.Op(prim.Abs, x))))
	return prim.Op(prim.Add, prim.Op(prim.Max, x, prim.L(0)), tail)
}

func hardSigmoid(x *prim.X, alpha, beta float64) *prim.X {
	line := prim.Op(prim.Add, prim.Op(prim.Mul, prim.L(alpha), x), prim.L(beta))
	return prim.Op(prim.Max, prim.L(0), prim.Op(prim.Min, prim.L(1), line))
}

func shrink(s *Site, x *prim.X) *prim.X {
	bias, lambd := s.Node.Float("bias", 0), s.Node.Float("lambd", 0.5)
	high := prim.Op(prim.Select, prim.Op(prim.Lt, prim.L(lambd), x), prim.Op(prim.Sub, x, prim.L(bias)), prim.L(0))
	return prim.Op(prim.Select, prim.Op(prim.Lt, x, prim.L(-lambd)), prim.Op(prim.Add, x, prim.L(bias)), high)
}

// opPRelu is y = x for x ≥ 0, slope·x below; slope broadcasts to x.
func opPRelu() *Op {
	return &Op{
		Name: "PRelu", Since: 6, Params: []int{1}, Doc: "y = x for x ≥ 0, slope·x below; slope broadcasts to x; versions 6, 7, 9, 16",
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", 2, 2); err != nil {
				return nil, err
			}
			if x, slope := s.dimsOf(0), s.alignedDims(1); !fits(x, slope) {
				return nil, s.Errorf("infer", "slope %q: want a shape that broadcasts to %v, got %v", s.Node.Input(1), x, s.In[1].Type.Shape)
			}
			return sameInfer(s)
		},
		Axes: broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			x := prim.A(0)
			e := prim.Op(prim.Select, prim.Op(prim.Lt, x, prim.L(0)), prim.Op(prim.Mul, prim.A(1), x), x)
			return one(l.B.Map(wrap(l.elem(0), e), l.aligned()...)), nil
		},
	}
}

// opClip limits x to [min, max]: attributes before opset 11, inputs since.
func opClip() *Op {
	return &Op{
		Name: "Clip", Since: 6, Doc: "y = min(max(x, min), max), bounds as attributes (version 6) or inputs (11, 12, 13)",
		Infer: sameInfer,
		Axes:  func(s *Site, a *Axes) { carryAxes(s, a) },
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			y, in := prim.A(0), []prim.ID{l.In[0]}
			for i, bound := range []struct {
				name string
				code prim.Code
			}{{"min", prim.Max}, {"max", prim.Min}} {
				v, known := l.scalar(i + 1)
				switch {
				case l.Opset < 11:
					a := l.Node.Attr(bound.name)
					if a == nil || a.Kind != ir.AttrFloat {
						continue
					}
					v = float64(a.F)
				case !l.Input(i + 1).Present():
					continue
				case !known || math.Abs(v) > 1<<53:
					y = prim.Op(bound.code, y, prim.A(len(in)))
					in = append(in, l.B.Reshape(l.In[i+1]))
					continue
				}
				y = prim.Op(bound.code, y, prim.L(v))
			}
			return one(l.B.Map(y, in...)), nil
		},
	}
}
