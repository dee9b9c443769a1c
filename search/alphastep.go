package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// alphaStep compiles the architecture step: output "@alpha" is the gradient with
// respect to all coefficients, dim after dim, and the loss behind it. Weights and
// statistics stay as they are.
//
// With sums it also adds up the gradients of the parameters over so many
// micro-batches, as sumStep does.
func alphaStep(be engine.Backend, n *Network, o Objective, labelled bool, sums int) (*step, error) {
	g, err := n.lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.loss(g, o, labelled)
	wrt := []prim.ID{g.coef}
	if sums > 0 {
		wrt = append(wrt, g.params...)
	}
	grads, err := engine.Grad(g.b, loss, wrt)
	if err != nil {
		return nil, fmt.Errorf("search: architecture step: %w", err)
	}
	if sums > 0 {
		n.emitSums(g, grads[1:], sums)
	}
	g.b.Output(alphaName, g.b.Add(prim.Concat{Axis: 0}, grads[0], g.b.Reshape(loss, 1)))
	g.b.Output(lossName, loss)
	return n.compileTraining(be, "architecture step", g.b)
}
