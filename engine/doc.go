// Package engine differentiates, simplifies and runs tensor programs.
//
// A program is built with prim.Builder; Grad appends the reverse pass to it, a Backend
// compiles it, and an Executable runs it on Buffers: see the example. Passes lists what
// makes a program cheaper on the way.
//
// A Backend is one way of running programs: engine/ref (the oracle), engine/cpu
// (the default) and engine/xla (GPUs, behind a build tag). engine/enginetest is
// the suite that each of them must pass.
package engine
