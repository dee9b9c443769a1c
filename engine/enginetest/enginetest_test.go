package enginetest

import (
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
