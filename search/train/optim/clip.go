package optim

import "github.com/entangle-nas/entangle/engine/prim"

// clipEpsilon keeps the division defined at norm 0.
const clipEpsilon = 1e-6

// Clip appends to b the scaling of grads by min(1, limit/(norm+10⁻⁶)), norm being
// their common L2 norm. It returns the scaled gradients and the norm before, a
// scalar; a norm that is not finite stays visible there. With a limit of 0 or
// less the gradients are returned as they are. All gradients share one float dtype.
func Clip(b *prim.Builder, grads []prim.ID, limit float64) (clipped []prim.ID, norm prim.ID) {
	norm = Norm(b, grads)
	if limit <= 0 || len(grads) == 0 {
		return grads, norm
	}
	ratio := prim.Op(prim.Div, prim.L(limit), prim.Op(prim.Add, prim.A(0), prim.L(clipEpsilon)))
	scale := b.Map(prim.Op(prim.Min, prim.L(1), ratio), norm)
	clipped = make([]prim.ID, len(grads))
	for i, g := range grads {
		clipped[i] = b.Times(g, scale)
	}
	return clipped, norm
}

// Norm appends the common L2 norm of tensors of one float dtype, a scalar.
func Norm(b *prim.Builder, grads []prim.ID) prim.ID {
	if len(grads) == 0 {
		return b.Scalar(prim.F32, 0)
	}
	var total prim.ID
	for i, g := range grads {
		axes := make([]int, len(b.Shape(g)))
		for k := range axes {
			axes[k] = k
		}
		sum := b.Reshape(b.Reduce(prim.ReduceSum, axes, prim.Op(prim.Mul, prim.A(0), prim.A(0)), g))
		if i == 0 {
			total = sum
		} else {
			total = b.Plus(total, sum)
		}
	}
	return b.Map(prim.Op(prim.Sqrt, prim.A(0)), total)
}
