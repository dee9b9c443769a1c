// Package lower writes a program of primitives as a StableHLO module.
//
// Arguments and results of main are the program's inputs and outputs, in order; when
// an index may be out of range one more result says so, see Module.Fault. A donated
// input is tied to an output of equal type, which may take over its storage.
//
// Products (MatMul and the convolutions) follow Options.Precision, and in BF16 so does
// what is between them: large activations and gradients are held in bfloat16, as a
// framework's mixed precision does it. All else computes in the dtype of the program.
package lower
