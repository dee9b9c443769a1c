// Package enginetest judges a backend: one suite of conformance tests and
// benchmarks that every backend of package engine must pass.
//
// A backend calls Run in a test and Bench in a benchmark of its own, as engine/cpu
// does. Results are compared with engine/ref, the float64 oracle. Cases are drawn from
// seeded streams, so a failure names a case that comes back. A backend that lacks
// a capability says so through Limited, and the case is skipped by name.
//
// Check and Grad serve tests of other packages: Check compares two tensors,
// and Grad compares gradients with central differences on ref.
package enginetest
