package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// pointConv takes convolutions of planes of one element, which are matrix products.
func pointConv(p prim.Prim, in []prim.Type, out prim.Type) (kernel, bool) {
	var c prim.Conv
	name := p.Name()
	p, in, then := epilogueOf(p, in, out)
	switch p := p.(type) {
	case prim.Conv:
		c = p
	case prim.ConvInputGrad:
		c = p.Conv
	case prim.ConvWeightGrad:
		c = p.Conv
	default:
		return kernel{}, false
	}
	for _, t := range []prim.Type{in[0], in[1], out} {
		if prim.Prod(t.Shape[2:]) != 1 {
			return kernel{}, false
		}
	}
	for i := range c.PadLo {
		if c.PadLo[i] != 0 || c.PadHi[i] != 0 {
			return kernel{}, false
		}
	}
	if c.Groups != 1 {
		return kernel{}, false
	}
	a, b := in[0].Shape, in[1].Shape
	g := &matmul{batch: []axis{{size: 1, stride: []int{0, 0}}}}
	left, right := 0, 1
	switch p.(type) {
	case prim.Conv: // x [n, c] · w [m, c]ᵀ
		g.m, g.k, g.n, g.rowA, g.colA, g.rowB, g.colB = a[0], a[1], b[0], a[1], 1, 1, a[1]
	case prim.ConvInputGrad: // g [n, m] · w [m, c]
		g.m, g.k, g.n, g.rowA, g.colA, g.rowB, g.colB = a[0], a[1], b[1], a[1], 1, b[1], 1
	case prim.ConvWeightGrad: // g [n, m]ᵀ · x [n, c]
		g.m, g.k, g.n, g.rowA, g.colA, g.rowB, g.colB = b[1], b[0], a[1], 1, b[1], a[1], 1
		left, right = 1, 0
	}
	return g.kernel(name+" as matmul", left, right, then), true
}
