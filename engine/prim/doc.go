// Package prim defines the primitives that every tensor program is made of.
//
// A Program is a list of nodes in topological order; a node applies one Prim
// to earlier nodes and has one output of static shape. Each primitive stands in
// one file with its shape rule, its plain kernel (float64 and int64, the oracle)
// and its vector-Jacobian product. Gradients exist here and nowhere else.
//
//	b := prim.NewBuilder()
//	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{64, 3, 32, 32}})
//	w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{16, 3, 3, 3}})
//	y := b.Relu(b.Add(prim.Conv{Window: prim.UnitWindow(1, 1), Groups: 1}, x, w))
//	b.Output("y", y)
//	p, err := b.Program()
//
// The builder keeps the first error and returns it from Program; its methods
// return Invalid after an error, so call chains need no checks.
//
// Elementwise work is one primitive, Map, which carries a small expression
// (Expr) over broadcast operands; Reduce folds such an expression over axes.
// Chains fuse by substituting one expression into another.
package prim
