package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// panelProducts emits the product of packed weights with rows of whole vectors.
func panelProducts() {
	TEXT("panelProducts", NOSPLIT, "func(k, vectors, blocks int, a, x *float32, xrow int, o *float32, orow int)")
	Doc("panelProducts sets o[4m+i][t] = Σ_j a[m][j][i]·x[j][t] for m < blocks, i < 4, j < k and t < 8·vectors, k and vectors ≥ 1;",
		"rows of x and o are xrow and orow bytes apart.")
	Pragma("noescape")
	vectors := Load(Param("vectors"), GP64())
	x, xrow := Load(Param("x"), GP64()), Load(Param("xrow"), GP64())
	o, orow := Load(Param("o"), GP64()), Load(Param("orow"), GP64())
	orow3 := GP64()
	LEAQ(Mem{Base: orow, Index: orow, Scale: 2}, orow3)
	p, a, q, i, m := GP64(), GP64(), GP64(), GP64(), GP64()
	tile := func(nv int) {
		name := func(s string) string { return fmt.Sprintf("%s%d", s, nv) }
		Load(Param("blocks"), m)
		Load(Param("a"), a)
		MOVQ(o, q)
		Label(name("block"))
		var acc [4][3]reg.VecVirtual
		for r := range 4 {
			for j := range nv {
				acc[r][j] = YMM()
				VXORPS(acc[r][j], acc[r][j], acc[r][j])
			}
		}
		MOVQ(x, p)
		step := func(from Mem, u int) {
			var in [3]reg.VecVirtual
			for j := range nv {
				in[j] = YMM()
				at := from
				at.Disp = 32 * j
				VMOVUPS(at, in[j])
			}
			for r := range 4 {
				w := YMM()
				VBROADCASTSS(Mem{Base: a, Disp: 4*r + 16*u}, w)
				for j := range nv {
					VFMADD231PS(in[j], w, acc[r][j])
				}
			}
		}
		Load(Param("k"), i)
		SUBQ(Imm(2), i)
		JLT(LabelRef(name("single")))
		Label(name("pair"))
		step(Mem{Base: p}, 0)
		step(Mem{Base: p, Index: xrow, Scale: 1}, 1)
		LEAQ(Mem{Base: p, Index: xrow, Scale: 2}, p)
		ADDQ(Imm(32), a)
		SUBQ(Imm(2), i)
		JGE(LabelRef(name("pair")))
		Label(name("single"))
		CMPQ(i, I32(-2))
		JEQ(LabelRef(name("store")))
		step(Mem{Base: p}, 0)
		ADDQ(Imm(16), a)
		Label(name("store"))
		for r := range 4 {
			for j := range nv {
				VMOVUPS(acc[r][j], []Mem{{Base: q, Disp: 32 * j}, {Base: q, Index: orow, Scale: 1, Disp: 32 * j}, {Base: q, Index: orow, Scale: 2, Disp: 32 * j}, {Base: q, Index: orow3, Scale: 1, Disp: 32 * j}}[r])
			}
		}
		LEAQ(Mem{Base: q, Index: orow, Scale: 4}, q)
		DECQ(m)
		JNZ(LabelRef(name("block")))
		ADDQ(Imm(uint64(32*nv)), x)
		ADDQ(Imm(uint64(32*nv)), o)
		SUBQ(Imm(uint64(nv)), vectors)
	}
	Label("next")
	CMPQ(vectors, Imm(2))
	JEQ(LabelRef("two"))
	CMPQ(vectors, Imm(4))
	JEQ(LabelRef("two"))
	CMPQ(vectors, Imm(3))
	JLT(LabelRef("one"))
	tile(3)
	JMP(LabelRef("next"))
	Label("two")
	tile(2)
	JMP(LabelRef("next"))
	Label("one")
	TESTQ(vectors, vectors)
	JZ(LabelRef("done"))
	tile(1)
	Label("done")
	VZEROUPPER()
	RET()
}
