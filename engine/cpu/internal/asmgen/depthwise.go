package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwise emits the convolution of one plane.
func depthwise() {
	TEXT("depthwise", NOSPLIT, "func(k int, offs *int64, w, x, o *float32, rows, xstride, ostride, cols int)")
	Doc("depthwise sets o[y·ostride+c] = Σ_k w[k]·x[offs[k]+y·xstride+c] for y < rows, c < cols; offs and strides are in bytes.",
		"Rows of x are read in whole vectors of 8.")
	Pragma("noescape")
	k := Load(Param("k"), GP64())
	offs := Load(Param("offs"), GP64())
	w := Load(Param("w"), GP64())
	x := Load(Param("x"), GP64())
	o := Load(Param("o"), GP64())
	rows := Load(Param("rows"), GP64())
	LEAQ(Mem{Base: offs, Index: k, Scale: 8}, offs)
	LEAQ(Mem{Base: w, Index: k, Scale: 4}, w)
	NEGQ(k)
	px, po, c, i, off := GP64(), GP64(), GP64(), GP64(), GP64()
	taps := func(label string, n int) []reg.VecVirtual {
		acc := make([]reg.VecVirtual, n)
		for j := range acc {
			acc[j] = YMM()
			VXORPS(acc[j], acc[j], acc[j])
		}
		MOVQ(k, i)
		Label(label)
		MOVQ(Mem{Base: offs, Index: i, Scale: 8}, off)
		v := YMM()
		VBROADCASTSS(Mem{Base: w, Index: i, Scale: 4}, v)
		for j := range acc {
			VFMADD231PS(Mem{Base: px, Index: off, Scale: 1, Disp: 32 * j}, v, acc[j])
		}
		INCQ(i)
		JNZ(LabelRef(label))
		return acc
	}
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	MOVQ(x, px)
	MOVQ(o, po)
	Load(Param("cols"), c)
	Label("wide")
	CMPQ(c, Imm(32))
	JLT(LabelRef("narrow"))
	for j, a := range taps("taps4", 4) {
		VMOVUPS(a, Mem{Base: po, Disp: 32 * j})
	}
	SUBQ(I8(-128), px)
	SUBQ(I8(-128), po)
	SUBQ(Imm(32), c)
	JMP(LabelRef("wide"))
	Label("narrow")
	CMPQ(c, Imm(8))
	JLT(LabelRef("rest"))
	VMOVUPS(taps("taps1", 1)[0], Mem{Base: po})
	ADDQ(Imm(32), px)
	ADDQ(Imm(32), po)
	SUBQ(Imm(8), c)
	JMP(LabelRef("narrow"))
	Label("rest")
	TESTQ(c, c)
	JZ(LabelRef("next"))
	a := taps("taps0", 1)[0]
	VMASKMOVPS(a, tailMask(c), Mem{Base: po})
	Label("next")
	s := GP64()
	Load(Param("xstride"), s)
	ADDQ(s, x)
	Load(Param("ostride"), s)
	ADDQ(s, o)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

// depthwiseGrad emits n dot products of one plane's gradient with the shifted plane.
func depthwiseGrad(n int) {
	TEXT(fmt.Sprintf("depthwiseGrad%d", n), NOSPLIT, "func(v int, offs *int64, grad, x *float32, taps *int64, out *float32)")
	Doc(fmt.Sprintf("depthwiseGrad%d sets out[k] = Σ_v Σ_t grad[8v+t]·x[offs[v]+taps[k]+t] for k < %d, t < 8; offs and taps are in bytes.", n, n))
	Pragma("noescape")
	v := Load(Param("v"), GP64())
	offs := Load(Param("offs"), GP64())
	g := Load(Param("grad"), GP64())
	x := Load(Param("x"), GP64())
	taps := Load(Param("taps"), GP64())
	out := Load(Param("out"), GP64())
	acc := make([]reg.VecVirtual, n)
	for k := range acc {
		acc[k] = YMM()
		VXORPS(acc[k], acc[k], acc[k])
	}
	p, t := GP64(), GP64()
	Label("loop")
	MOVQ(Mem{Base: offs}, p)
	ADDQ(x, p)
	y := YMM()
	VMOVUPS(Mem{Base: g}, y)
	for k := range acc {
		MOVQ(Mem{Base: taps, Disp: 8 * k}, t)
		VFMADD231PS(Mem{Base: p, Index: t, Scale: 1}, y, acc[k])
	}
	ADDQ(Imm(8), offs)
	ADDQ(Imm(32), g)
	DECQ(v)
	JNZ(LabelRef("loop"))
	for k := range acc {
		s := horizontal(acc[k], func(a, b, c reg.VecVirtual) { VADDPS(a, b, c) })
		VMOVSS(s, Mem{Base: out, Disp: 4 * k})
	}
	VZEROUPPER()
	RET()
}
