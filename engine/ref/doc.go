// Package ref runs programs on the plain kernels of engine/prim: the oracle that
// other backends and finite differences are measured against.
//
// Everything is computed in float64, F32 programs too: their values are rounded
// to float32 once, when they become outputs.
package ref
