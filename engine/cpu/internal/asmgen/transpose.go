package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose emits the transposition of a row of 8×8 blocks.
func transpose() {
	TEXT("transpose8", NOSPLIT, "func(blocks int, dst *float32, dstride int, src *float32, sstride int)")
	Doc("transpose8 transposes blocks of 8×8: dst[8b+j][i] = src[i][8b+j] for i, j < 8, with rows dstride and sstride bytes apart.")
	Pragma("noescape")
	n := Load(Param("blocks"), GP64())
	dst := Load(Param("dst"), GP64())
	ds := Load(Param("dstride"), GP64())
	src := Load(Param("src"), GP64())
	ss := Load(Param("sstride"), GP64())
	rows := func(p, s, s3, p4 reg.Register) []Mem {
		return []Mem{
			{Base: p}, {Base: p, Index: s, Scale: 1}, {Base: p, Index: s, Scale: 2}, {Base: p, Index: s3, Scale: 1},
			{Base: p4}, {Base: p4, Index: s, Scale: 1}, {Base: p4, Index: s, Scale: 2}, {Base: p4, Index: s3, Scale: 1},
		}
	}
	ss3, ds3, src4, dst4 := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ss, Index: ss, Scale: 2}, ss3)
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)
	LEAQ(Mem{Base: src, Index: ss, Scale: 4}, src4)
	Label("loop")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst4)
	var a, b [8]reg.VecVirtual
	for i, m := range rows(src, ss, ss3, src4) {
		a[i] = YMM()
		VMOVUPS(m, a[i])
	}
	for i := 0; i < 8; i += 2 {
		b[i], b[i+1] = YMM(), YMM()
		VUNPCKLPS(a[i+1], a[i], b[i])
		VUNPCKHPS(a[i+1], a[i], b[i+1])
	}
	var c [8]reg.VecVirtual
	for i := range c {
		c[i] = YMM()
	}
	for h := 0; h < 8; h += 4 {
		VSHUFPS(Imm(0x44), b[h+2], b[h], c[h])
		VSHUFPS(Imm(0xee), b[h+2], b[h], c[h+1])
		VSHUFPS(Imm(0x44), b[h+3], b[h+1], c[h+2])
		VSHUFPS(Imm(0xee), b[h+3], b[h+1], c[h+3])
	}
	out := rows(dst, ds, ds3, dst4)
	for i := range 4 {
		lo, hi := YMM(), YMM()
		VPERM2F128(Imm(0x20), c[i+4], c[i], lo)
		VPERM2F128(Imm(0x31), c[i+4], c[i], hi)
		VMOVUPS(lo, out[i])
		VMOVUPS(hi, out[i+4])
	}
	ADDQ(Imm(32), src)
	ADDQ(Imm(32), src4)
	LEAQ(Mem{Base: dst, Index: ds, Scale: 8}, dst)
	DECQ(n)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
