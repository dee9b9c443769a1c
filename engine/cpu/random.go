package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// chooseRandom takes float32 random tensors.
func chooseRandom(p prim.Prim, _ []prim.Type, out prim.Type) (kernel, bool) {
	if _, ok := p.(prim.Random); !ok || out.DType != prim.F32 {
		return kernel{}, false
	}
	return kernel{name: "random", run: func(x *executable, out view, in []view) error {
		seed, dst := in[0].i64(), out.f32()
		pieces := x.team.pieces(len(dst), mapGrain, len(dst)/1024+1)
		x.team.run(pieces, func(_ *worker, piece int) {
			lo, hi := split(len(dst), 1, pieces, piece)
			for i := lo; i < hi; i++ {
				dst[i] = float32(prim.Uniform(seed[0], seed[1], i))
			}
		})
		return nil
	}}, true
}
