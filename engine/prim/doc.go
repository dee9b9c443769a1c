// Package prim defines the primitives that every tensor program is made of.
//
// A Program is a list of nodes in topological order; a node applies one Prim
// to earlier nodes and has one output of static shape. Each primitive stands in
// one file with its shape rule, its plain kernel (float64 and int64, the oracle)
// and its vector-Jacobian product. Gradients exist here and nowhere else.
//
// A Builder makes programs, as the example shows. It keeps the first error and
// returns it from Program; its methods return Invalid after an error, so call chains
// need no checks. Validate finds all faults of a program that was made otherwise.
//
// Elementwise work is one primitive, Map, which carries a small expression
// (Expr) over broadcast operands; Reduce folds such an expression over axes.
// Chains fuse by substituting one expression into another.
package prim
