package enginetest

import (
	"fmt"
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

// TestPasses compares every case and its gradient before and after the engine's passes,
// which are verified one by one.
func TestPasses(t *testing.T) { Run(t, passed{ref.New(), engine.Passes()}) }

// TestFirstPasses stops after every number of passes.
func TestFirstPasses(t *testing.T) {
	all := engine.Passes()
	for n := range all {
		t.Run(fmt.Sprint(n), func(t *testing.T) { runRandom(t, passed{ref.New(), all[:n]}) })
	}
}

// passed is ref behind passes.
type passed struct {
	*ref.Backend
	passes []engine.Pass
}

func (p passed) Name() string { return "ref behind passes" }

func (p passed) Compile(q *prim.Program) (engine.Executable, error) {
	q, err := engine.RunVerified(q, p.passes)
	if err != nil {
		return nil, err
	}
	return p.Backend.Compile(q)
}
