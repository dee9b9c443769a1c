// Package cpu runs tensor programs on the processor: AVX2 and FMA kernels in
// assembly where the processor has them, portable Go otherwise.
//
// Compile applies Passes, picks one kernel per node and plans storage: values live in
// one arena that is reused as they die, elementwise results replace an operand that
// dies, and outputs take the storage of donated inputs. Executables of a backend that
// do not run at the same time share the arena. Work is cut into pieces that
// depend only on shapes and the number of threads, so results are equal to the
// bit from run to run.
//
// Convolutions read a padded copy of a few images through a table of offsets,
// one per kernel tap, and need no im2col; those of 3×3 taps and stride 1 on enough
// images go by Winograd's tiles of 4×4 positions, one image per vector lane. They
// compute the folds over their results, BatchNorm's among them, on the way. Matrix products read transposed and sliced
// operands where they come from. An elementwise expression that is the only reader of
// a product or convolution runs on its parts while they are in the caches; constant
// weights are laid out once. Other elementwise expressions and reductions run
// instruction by instruction over tiles that stay in the first-level cache.
//
// The assembly is generated: go generate runs internal/asmgen, a module of its own.
package cpu

//go:generate go -C internal/asmgen run . -out ../../kernels_amd64.s -stubs ../../stubs_amd64.go -pkg cpu
