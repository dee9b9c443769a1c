// Command asmgen writes the AVX2 and FMA kernels of package cpu.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for mr := 1; mr <= 6; mr++ {
		gemm(mr)
	}
	for nv := 1; nv <= 3; nv++ {
		convTile(nv)
	}
	wgradTile()
	vectorOps()
	reductions()
	transpose()
	copyRows(1)
	copyRows(2)
	halves()
	depthwise()
	interleave()
	deinterleave()
	fetch()
	padRows()
	panelProducts()
	winograd()
	for _, n := range []int{1, 3, 5, 9} {
		depthwiseGrad(n)
	}
	Generate()
}
