package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convTile emits blocks of 4 filters by nv vectors of 8 output columns.
func convTile(nv int) {
	name := fmt.Sprintf("conv4x%d", nv)
	TEXT(name, NOSPLIT, "func(k int, offs *int64, a *float32, p *[3]*float32, o *[3]*float32, ostride, blocks int)")
	Doc(fmt.Sprintf("%s computes, for every block m of 4 filters, o[j][(4m+i)·ostride+t] = Σ_k a[m][k][i]·p[j][offs[k]+t]", name),
		fmt.Sprintf("for i < 4, j < %d, t < 8; offs and ostride are in bytes.", nv))
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	offs := Load(Param("offs"), GP64())
	a := Load(Param("a"), GP64())
	pp := Load(Param("p"), GP64())
	oo := Load(Param("o"), GP64())
	os := Load(Param("ostride"), GP64())
	blocks := Load(Param("blocks"), GP64())
	var p, o [3]reg.GPVirtual
	for j := range nv {
		p[j], o[j] = GP64(), GP64()
		MOVQ(Mem{Base: pp, Disp: 8 * j}, p[j])
		MOVQ(Mem{Base: oo, Disp: 8 * j}, o[j])
	}
	end := GP64()
	LEAQ(Mem{Base: offs, Index: k, Scale: 8}, end)
	NEGQ(k)
	Label("block")
	var acc [4][3]reg.VecVirtual
	for i := range 4 {
		for j := range nv {
			acc[i][j] = YMM()
			VXORPS(acc[i][j], acc[i][j], acc[i][j])
		}
	}
	step := func(idx reg.GPVirtual, u int) {
		off := GP64()
		MOVQ(Mem{Base: end, Index: idx, Scale: 8, Disp: 8 * u}, off)
		var x [3]reg.VecVirtual
		for j := range nv {
			x[j] = YMM()
			VMOVUPS(Mem{Base: p[j], Index: off, Scale: 1}, x[j])
		}
		for i := range 4 {
			w := YMM()
			VBROADCASTSS(Mem{Base: a, Disp: 4*i + 16*u}, w)
			for j := range nv {
				VFMADD231PS(x[j], w, acc[i][j])
			}
		}
	}
	i := GP64()
	MOVQ(k, i)
	Label("pair")
	CMPQ(i, I32(-2))
	JGT(LabelRef("single"))
	step(i, 0)
	step(i, 1)
	ADDQ(Imm(32), a)
	ADDQ(Imm(2), i)
	JMP(LabelRef("pair"))
	Label("single")
	TESTQ(i, i)
	JZ(LabelRef("store"))
	step(i, 0)
	ADDQ(Imm(16), a)
	Label("store")
	for r := range 4 {
		for j := range nv {
			VMOVUPS(acc[r][j], Mem{Base: o[j]})
			ADDQ(os, o[j])
		}
	}
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// wgradTile emits tiles of dot products of 4 filters' gradients with 3 shifted inputs.
func wgradTile() {
	TEXT("wgrad4x3", NOSPLIT, "func(v int, offs *int64, grad *float32, gstride int, x *float32, taps *int64, groups int, out *float32)")
	Doc("wgrad4x3 adds to out[12q+3i+j] Σ_v Σ_t grad[i·gstride+8v+t]·x[offs[v]+taps[3q+j]+t] for q < groups, i < 4, j < 3, t < 8;",
		"offs, taps and gstride are in bytes.")
	Pragma("noescape")
	gs := Load(Param("gstride"), GP64())
	taps := Load(Param("taps"), GP64())
	groups := Load(Param("groups"), GP64())
	out := Load(Param("out"), GP64())
	gs3 := GP64()
	LEAQ(Mem{Base: gs, Index: gs, Scale: 2}, gs3)
	v, offs, g, off := GP64(), GP64(), GP64(), GP64()
	var p [3]reg.GPVirtual
	for j := range p {
		p[j] = GP64()
	}
	Label("group")
	Load(Param("v"), v)
	Load(Param("offs"), offs)
	Load(Param("grad"), g)
	Load(Param("x"), off)
	for j := range p {
		MOVQ(Mem{Base: taps, Disp: 8 * j}, p[j])
		ADDQ(off, p[j])
	}
	var acc [4][3]reg.VecVirtual
	for i := range acc {
		for j := range acc[i] {
			acc[i][j] = YMM()
			VXORPS(acc[i][j], acc[i][j], acc[i][j])
		}
	}
	Label("loop")
	MOVQ(Mem{Base: offs}, off)
	var x [3]reg.VecVirtual
	for j := range x {
		x[j] = YMM()
		VMOVUPS(Mem{Base: p[j], Index: off, Scale: 1}, x[j])
	}
	rows := []Mem{{Base: g}, {Base: g, Index: gs, Scale: 1}, {Base: g, Index: gs, Scale: 2}, {Base: g, Index: gs3, Scale: 1}}
	for i := range acc {
		w := YMM()
		VMOVUPS(rows[i], w)
		for j := range x {
			VFMADD231PS(x[j], w, acc[i][j])
		}
	}
	ADDQ(Imm(8), offs)
	ADDQ(Imm(32), g)
	DECQ(v)
	JNZ(LabelRef("loop"))
	var all []reg.VecVirtual
	for i := range acc {
		all = append(all, acc[i][:]...)
	}
	for q := 0; q < len(all); q += 4 {
		s := all[q : q+4]
		VHADDPS(s[1], s[0], s[0])
		VHADDPS(s[3], s[2], s[2])
		VHADDPS(s[2], s[0], s[0])
		hi := XMM()
		VEXTRACTF128(Imm(1), s[0], hi)
		VADDPS(s[0].AsX(), hi, hi)
		VADDPS(Mem{Base: out, Disp: 4 * q}, hi, hi)
		VMOVUPS(hi, Mem{Base: out, Disp: 4 * q})
	}
	ADDQ(Imm(24), taps)
	ADDQ(Imm(48), out)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// horizontal folds the 8 lanes of y.
func horizontal(y reg.VecVirtual, fold func(a, b, dst reg.VecVirtual)) reg.VecVirtual {
	hi := XMM()
	VEXTRACTF128(Imm(1), y, hi)
	lo := y.AsX()
	s := XMM()
	t := XMM()
	VMOVAPS(lo, s)
	fold(hi, s, s)
	VMOVHLPS(s, s, t)
	fold(t, s, s)
	VSHUFPS(Imm(1), s, s, t)
	fold(t, s, s)
	return s
}
