package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm emits the mr×16 register tile of the matrix product over packed panels.
func gemm(mr int) {
	name := fmt.Sprintf("gemm%dx16", mr)
	TEXT(name, NOSPLIT, "func(k int, a, b, c *float32, ldc int, acc bool)")
	Doc(fmt.Sprintf("%s multiplies a [k][%d] by b [k][16] into c, whose rows are ldc elements apart, adding to c when acc.", name, mr))
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	b := Load(Param("b"), GP64())
	c := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	SHLQ(Imm(2), ldc)
	acc := make([][2]reg.VecVirtual, mr)
	for i := range acc {
		for j := range 2 {
			acc[i][j] = YMM()
			VXORPS(acc[i][j], acc[i][j], acc[i][j])
		}
	}
	step := func(u int) {
		b0, b1 := YMM(), YMM()
		VMOVUPS(Mem{Base: b, Disp: 64 * u}, b0)
		VMOVUPS(Mem{Base: b, Disp: 64*u + 32}, b1)
		if mr > 2 {
			PREFETCHT0(Mem{Base: b, Disp: 64*u + 512})
		}
		for i := range mr {
			x := YMM()
			VBROADCASTSS(Mem{Base: a, Disp: 4 * (u*mr + i)}, x)
			VFMADD231PS(b0, x, acc[i][0])
			VFMADD231PS(b1, x, acc[i][1])
		}
	}
	k4 := GP64()
	MOVQ(k, k4)
	SHRQ(Imm(2), k4)
	JZ(LabelRef("tail"))
	Label("loop")
	for u := range 4 {
		step(u)
	}
	ADDQ(Imm(uint64(16*mr)), a)
	ADDQ(U32(256), b)
	DECQ(k4)
	JNZ(LabelRef("loop"))
	Label("tail")
	ANDQ(Imm(3), k)
	JZ(LabelRef("done"))
	Label("tailloop")
	step(0)
	ADDQ(Imm(uint64(4*mr)), a)
	ADDQ(Imm(64), b)
	DECQ(k)
	JNZ(LabelRef("tailloop"))
	Label("done")
	flag := Load(Param("acc"), GP8())
	TESTB(flag, flag)
	JZ(LabelRef("store"))
	p := GP64()
	MOVQ(c, p)
	for i := range mr {
		VADDPS(Mem{Base: p}, acc[i][0], acc[i][0])
		VADDPS(Mem{Base: p, Disp: 32}, acc[i][1], acc[i][1])
		ADDQ(ldc, p)
	}
	Label("store")
	for i := range mr {
		VMOVUPS(acc[i][0], Mem{Base: c})
		VMOVUPS(acc[i][1], Mem{Base: c, Disp: 32})
		ADDQ(ldc, c)
	}
	VZEROUPPER()
	RET()
}
