package cpu

import (
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Passes lists what Compile does to a program, in order: the rules of engine.Simplify,
// then what serves the kernels of this package.
//
// Compile then plans, which gives no program and so is no pass: the kernel of each node,
// which folds run together or over a product's result (siblings, hostFolds), where
// values live (planStorage) and how constant weights are laid out (packConstants).
func Passes() []engine.Pass {
	return append(engine.Passes(),
		pass("absorb", "matrix products read transposed, sliced and reshaped operands where they come from", absorb),
		pass("fuse", "a product and the Map that is its only reader become one node", fuse),
		pass("inline", "elementwise results are computed again where that moves less memory than storing them", inline),
		pass("distribute", "sums of linear combinations are split where the parts join an earlier pass over memory", distribute),
		pass("derive", "operands are computed again inside expressions that read all they come from anyway", derive),
		// Sums that distribute makes often differ by a factor only.
		engine.Pass{Name: "simplify", Doc: "the rules of engine.Simplify once more", Run: engine.Simplify},
		pass("centre", "squared distances from a value per channel come from sums that a convolution makes on its way", centre),
		pass("delay", "small values move to where they are needed, so that folds stand next to each other", delay),
	)
}

func pass(name, doc string, f func(*prim.Program) *prim.Program) engine.Pass {
	return engine.Pass{Name: name, Doc: doc, Run: func(p *prim.Program) (*prim.Program, error) { return f(p), nil }}
}
