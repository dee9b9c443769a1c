package ops

import (
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// biasActivation is y = f(x + bias) of ONNX Runtime, bias over the last axis and optional.
func biasActivation(name, doc string, least int, f expression) *Op {
	return &Op{
		Name: name, Domain: microsoft, Since: 1, Params: []int{1}, Doc: doc,
		Infer: func(s *Site) ([]Fact, error) {
			if err := s.inputs("infer", least, 2); err != nil {
				return nil, err
			}
			return scaledInfer(s)
		},
		Axes: broadcastAxes,
		Lower: func(l *Lowering) ([]prim.ID, error) {
			if err := l.numeric(); err != nil {
				return nil, err
			}
			x, in := prim.A(0), l.In[:1]
			if l.Input(1).Present() {
				x, in = prim.Op(prim.Add, x, prim.A(1)), l.In[:2]
			}
			return one(l.B.Map(f(l.Site, x), in...)), nil
		},
	}
}

// biasActivations lists BiasGelu, FastGelu, Gelu and QuickGelu.
func biasActivations() []*Op {
	exact := func(_ *Site, x *prim.X) *prim.X { return geluOf(x, false) }
	return []*Op{
		biasActivation("BiasGelu", "y = (x+b)·Φ(x+b); of ONNX Runtime", 2, exact),
		biasActivation("FastGelu", "the tanh form of Gelu of x + bias; of ONNX Runtime", 1, func(_ *Site, x *prim.X) *prim.X { return geluOf(x, true) }),
		biasActivation("Gelu", "y = x·Φ(x); of ONNX Runtime", 1, exact),
		biasActivation("QuickGelu", "y = x·sigmoid(alpha·x); of ONNX Runtime", 1, func(s *Site, x *prim.X) *prim.X {
			return prim.Op(prim.Mul, x, prim.Op(prim.Sigmoid, prim.Op(prim.Mul, prim.L(s.Node.Float("alpha", 1.702)), x)))
		}),
	}
}

func gelu(s *Site, x *prim.X) *prim.X {
	return geluOf(x, s.Node.Str("approximate", "none") == "tanh")
}

// geluOf is x·Φ(x), or its tanh form.
func geluOf(x *prim.X, tanh bool) *prim.X {
	var cdf *prim.X
	if tanh {
		cube := prim.Op(prim.Mul, prim.Op(prim.Mul, x, x), x)
		cdf = prim.Op(prim.Tanh, prim.Op(prim.Mul, prim.L(math.Sqrt(2/math.Pi)), prim.Op(prim.Add, x, prim.Op(prim.Mul, prim.L(0.044715), cube))))
	} else {
		cdf = prim.Op(prim.Erf, prim.Op(prim.Mul, x, prim.L(math.Sqrt2/2)))
	}
	return prim.Op(prim.Mul, prim.Op(prim.Mul, prim.L(0.5), x), prim.Op(prim.Add, prim.L(1), cdf))
}
