// Package xla runs programs on what XLA compiles for: NVIDIA GPUs through a PJRT
// plugin. A program becomes one StableHLO module (package lower), one executable and
// stays on the device; buffers are device buffers, and a donated one is reused. Several
// devices share the batch of a program, and have all else whole.
//
// Open takes the plugin that package plugin finds, as in the example. It needs a build
// with the tag xla and a C compiler; without it, it gives ErrNotBuilt. The lowering and
// all rules of buffers are in every build, and are tested on an interpreter of StableHLO.
package xla
