package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halves emits the conversions of 16-bit floats. Processors with AVX2 and FMA have F16C.
func halves() {
	convert := func(name, doc, sig string, from, to int, body func(src Mem, dst Mem)) {
		TEXT(name, NOSPLIT, sig)
		Doc(name+" "+doc, "n is a multiple of 8, above 0.")
		Pragma("noescape")
		n := Load(Param("n"), GP64())
		dst := Load(Param("dst"), GP64())
		src := Load(Param("src"), GP64())
		Label("loop")
		body(Mem{Base: src}, Mem{Base: dst})
		ADDQ(Imm(uint64(from)), src)
		ADDQ(Imm(uint64(to)), dst)
		SUBQ(Imm(8), n)
		JNZ(LabelRef("loop"))
		VZEROUPPER()
		RET()
	}
	widen := "func(n int, dst *float32, src *uint16)"
	narrow := "func(n int, dst *uint16, src *float32)"
	convert("fromF16", "widens n half-precision numbers.", widen, 16, 32, func(src, dst Mem) {
		v := YMM()
		VCVTPH2PS(src, v)
		VMOVUPS(v, dst)
	})
	convert("toF16", "rounds n numbers to half precision, ties to even.", narrow, 32, 16, func(src, dst Mem) {
		v := YMM()
		VMOVUPS(src, v)
		VCVTPS2PH(Imm(0), v, dst)
	})
	convert("fromBF16", "widens n bfloat16 numbers.", widen, 16, 32, func(src, dst Mem) {
		v := YMM()
		VPMOVZXWD(src, v)
		VPSLLD(Imm(16), v, v)
		VMOVUPS(v, dst)
	})
	convert("toBF16", "rounds n numbers to bfloat16, ties to even.", narrow, 32, 16, func(src, dst Mem) {
		v, top, odd, sum, nan := YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(src, v)
		VPSRLD(Imm(16), v, top)
		VPAND(bits8(1), top, odd)
		VPADDD(bits8(0x7fff), v, sum)
		VPADDD(odd, sum, sum)
		VPSRLD(Imm(16), sum, sum)
		VPOR(bits8(0x40), top, top)
		VCMPPS(Imm(3), v, v, nan)
		VBLENDVPS(nan, top, sum, sum)
		var hi reg.VecVirtual = XMM()
		VEXTRACTI128(Imm(1), sum, hi)
		VPACKUSDW(hi, sum.AsX(), hi)
		VMOVDQU(hi, dst)
	})
}
