package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// padRows emits the copy of rows between zeros.
func padRows() {
	TEXT("padRows", NOSPLIT, "func(rows int, dst *float32, dstride int, src *float32, sstride, n, lo int)")
	Doc("padRows copies n ≥ 8 elements of every row of src to dst, lo ≤ 8 elements from the start of a row,",
		"and sets the lo elements before and 8 elements behind to zero, row by row in ascending order.",
		"The first 8 elements of a row of dst may be overwritten before they are set. Strides are in bytes.")
	Pragma("noescape")
	rows := Load(Param("rows"), GP64())
	dst := Load(Param("dst"), GP64())
	ds := Load(Param("dstride"), GP64())
	src := Load(Param("src"), GP64())
	ss := Load(Param("sstride"), GP64())
	n := Load(Param("n"), GP64())
	lo := Load(Param("lo"), GP64())
	zero := YMM()
	VXORPS(zero, zero, zero)
	Label("row")
	p, q, left := GP64(), GP64(), GP64()
	MOVQ(src, p)
	LEAQ(Mem{Base: dst, Index: lo, Scale: 4}, q)
	VMOVUPS(zero, Mem{Base: dst})
	VMOVUPS(zero, Mem{Base: q, Index: n, Scale: 4})
	MOVQ(n, left)
	Label("vector")
	y := YMM()
	VMOVUPS(Mem{Base: p}, y)
	VMOVUPS(y, Mem{Base: q})
	ADDQ(Imm(32), p)
	ADDQ(Imm(32), q)
	SUBQ(Imm(8), left)
	CMPQ(left, Imm(8))
	JGE(LabelRef("vector"))
	TESTQ(left, left)
	JZ(LabelRef("next"))
	VMOVUPS(Mem{Base: p, Index: left, Scale: 4, Disp: -32}, y)
	VMOVUPS(y, Mem{Base: q, Index: left, Scale: 4, Disp: -32})
	Label("next")
	ADDQ(ds, dst)
	ADDQ(ss, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
