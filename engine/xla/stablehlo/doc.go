// Package stablehlo writes StableHLO modules as text in MLIR's generic form, the
// form in which every operation is printed alike:
//
//	%2 = "stablehlo.add"(%0, %1) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
//
// A module is one Func, as in the example. The methods of Func know the result types of the operations that they write;
// operands that do not fit are errors of the caller, and panic. Whether the module
// is valid is for its reader to say: the package checks no more than shapes.
package stablehlo
