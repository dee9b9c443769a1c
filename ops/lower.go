package ops

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// Lookup returns the rules of an operator in a domain ("ai.onnx" and "" are one), nil when there are none.
func Lookup(domain, name string) *Op { return lookup(ir.NormalDomain(domain) + "." + name) }

// Facts holds what is known of every value of a graph, by name.
type Facts struct {
	Values map[string]Fact
	Sites  map[*ir.Node]*Site // one per node, in and out facts filled
	Bind   map[string]int     // the binding they were inferred with
	Notes  []string           // values whose declared sizes are not the inferred ones
}

// Hooks lets a caller change how a graph becomes a program. Nil functions do the plain thing.
type Hooks struct {
	// Init returns the value of an initialiser; the plain thing is a constant.
	// Integer and Bool initialisers are always constants and never asked for.
	Init func(b *prim.Builder, t *ir.Tensor) prim.ID
	// Whole names graph inputs of integers that the program takes as floats with whole values.
	Whole map[string]bool
	// Output may replace output k of a node after it is lowered.
	Output func(b *prim.Builder, n *ir.Node, k int, v prim.ID) prim.ID
	// Input may replace what a node reads of a value.
	Input func(b *prim.Builder, n *ir.Node, value string, v prim.ID) prim.ID
	// AxisMask returns the coefficients of the positions along an axis of a value, [size];
	// prim.Invalid where all count fully.
	AxisMask func(b *prim.Builder, value string, axis int) prim.ID
	// Training, Float, Seed: see Lowering.
	Training bool
	Float    prim.DType
	Seed     prim.ID
	// Frozen keeps operators with running statistics in inference mode, also in training.
	Frozen bool
	// Update receives running statistics by initialiser name.
	Update func(name string, v prim.ID)
}
