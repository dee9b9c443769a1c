package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/search/net"
)

// alphaStep compiles the architecture step: output "@alpha" is the gradient with
// respect to all coefficients, dim after dim, and the loss behind it. Weights and
// statistics stay as they are.
//
// With sums it also adds up the gradients of the parameters over so many
// micro-batches, as sumStep does.
func alphaStep(be engine.Backend, n *net.Network, o net.Objective, labelled bool, sums int) (*net.Step, error) {
	g, err := n.Lower(true)
	if err != nil {
		return nil, err
	}
	loss, _ := n.Loss(g, o, labelled)
	wrt := []prim.ID{g.Coef}
	if sums > 0 {
		wrt = append(wrt, g.Params...)
	}
	grads, err := engine.Grad(g.Builder, loss, wrt)
	if err != nil {
		return nil, fmt.Errorf("search: architecture step: %w", err)
	}
	if sums > 0 {
		n.EmitSums(g, grads[1:], sums)
	}
	g.Builder.Output(net.AlphaName, g.Builder.Add(prim.Concat{Axis: 0}, grads[0], g.Builder.Reshape(loss, 1)))
	g.Builder.Output(net.LossName, loss)
	return n.CompileTraining(be, "architecture step", g.Builder)
}
