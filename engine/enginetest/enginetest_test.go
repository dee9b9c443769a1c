package enginetest

import (
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

// TestGradients compares every vector-Jacobian product with finite differences.
func TestGradients(t *testing.T) {
	for _, c := range Cases(1) {
		if !c.Smooth {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := Grad(c.Make, c.In, 2, 1e-6); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSecondGradients differentiates the gradient of Σ tanh f in the first float
// input once more: every gradient consists of differentiable primitives.
func TestSecondGradients(t *testing.T) {
	for i, c := range Cases(1) {
		if !c.Smooth || i%3 != 0 {
			continue
		}
		first := slices.IndexFunc(c.In, func(x *prim.Tensor) bool { return x.DType.Float() })
		twice := func(b *prim.Builder, in []prim.ID) prim.ID {
			y := b.Unary(prim.Tanh, c.Make(b, in))
			axes := make([]int, len(b.Shape(y)))
			for a := range axes {
				axes[a] = a
			}
			g, err := engine.Grad(b, b.Sum(y, axes...), in[first:first+1])
			if err != nil {
				return b.Fail(err)
			}
			return g[0]
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := Grad(twice, c.In, 3, 1e-6); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReference runs the suite on the oracle itself.
func TestReference(t *testing.T) { Run(t, ref.New()) }

// TestSimplify compares every case and its gradient before and after Simplify.
func TestSimplify(t *testing.T) { Run(t, simplified{ref.New()}) }

// simplified is ref behind engine.Simplify.
type simplified struct{ *ref.Backend }

func (s simplified) Name() string { return "ref+simplify" }

func (s simplified) Compile(p *prim.Program) (engine.Executable, error) {
	q, err := engine.Simplify(p)
	if err != nil {
		return nil, err
	}
	return s.Backend.Compile(q)
}
