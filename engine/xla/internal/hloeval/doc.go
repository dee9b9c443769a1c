// Package hloeval reads StableHLO modules in MLIR's generic text form and evaluates
// them, so that what the lowering writes can be tested where no XLA is to be had. It
// is written from the StableHLO specification and knows nothing of the lowering.
//
// Every operation checks its operands, its attributes and the result type that is
// written against what the specification says. Elements are computed in float64 and
// rounded to their type after every operation; folds and products are rounded once.
// What the specification leaves undefined gives Undefined, so that a module that
// relies on it shows.
package hloeval
