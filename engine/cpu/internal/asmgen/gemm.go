package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm emits the mr×16 register tile of the matrix product.
func gemm(mr int) {
	name := fmt.Sprintf("gemm%dx16", mr)
	TEXT(name, NOSPLIT, "func(k int, a *float32, ra, ka int, b *float32, kb int, c *float32, ldc int, acc bool)")
	Doc(fmt.Sprintf("%s multiplies a [%d, k] by b [k, 16] into c, whose rows are ldc elements apart, adding to c when acc.", name, mr),
		"Element (i, j) of a lies i·ra + j·ka bytes behind a, row i of b, 16 consecutive elements, i·kb behind b.")
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	ra := Load(Param("ra"), GP64())
	ka := Load(Param("ka"), GP64())
	b := Load(Param("b"), GP64())
	kb := Load(Param("kb"), GP64())
	c := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	SHLQ(Imm(2), ldc)
	a3 := GP64() // row 3
	if mr > 3 {
		LEAQ(Mem{Base: ra, Index: ra, Scale: 2}, a3)
		ADDQ(a, a3)
	}
	acc := make([][2]reg.VecVirtual, mr)
	for i := range acc {
		for j := range 2 {
			acc[i][j] = YMM()
			VXORPS(acc[i][j], acc[i][j], acc[i][j])
		}
	}
	row := func(i int) Mem {
		m := Mem{Base: a}
		if i >= 3 {
			m.Base = a3
		}
		if i %= 3; i > 0 {
			m.Index, m.Scale = ra, uint8(i)
		}
		return m
	}
	step := func() {
		b0, b1 := YMM(), YMM()
		VMOVUPS(Mem{Base: b}, b0)
		VMOVUPS(Mem{Base: b, Disp: 32}, b1)
		if mr > 2 {
			PREFETCHT0(Mem{Base: b, Index: kb, Scale: 8})
		}
		ADDQ(kb, b)
		for i := range mr {
			x := YMM()
			VBROADCASTSS(row(i), x)
			VFMADD231PS(b0, x, acc[i][0])
			VFMADD231PS(b1, x, acc[i][1])
		}
		ADDQ(ka, a)
		if mr > 3 {
			ADDQ(ka, a3)
		}
	}
	k4 := GP64()
	MOVQ(k, k4)
	SHRQ(Imm(2), k4)
	JZ(LabelRef("tail"))
	Label("loop")
	for range 4 {
		step()
	}
	DECQ(k4)
	JNZ(LabelRef("loop"))
	Label("tail")
	ANDQ(Imm(3), k)
	JZ(LabelRef("done"))
	Label("tailloop")
	step()
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
