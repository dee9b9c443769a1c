package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// copyRows emits the copy of rows of nv vectors.
func copyRows(nv int) {
	name := fmt.Sprintf("copyRows%d", nv)
	TEXT(name, NOSPLIT, "func(rows int, dst *float32, dstride int, src *float32, sstride int)")
	Doc(fmt.Sprintf("%s copies the first %d elements of every row of src to dst, in ascending order, one row", name, 8*nv),
		"at least. Strides are in bytes.")
	Pragma("noescape")
	rows := Load(Param("rows"), GP64())
	dst := Load(Param("dst"), GP64())
	ds := Load(Param("dstride"), GP64())
	src := Load(Param("src"), GP64())
	ss := Load(Param("sstride"), GP64())
	row := func() {
		v := make([]reg.VecVirtual, nv)
		for i := range v {
			v[i] = YMM()
			VMOVUPS(Mem{Base: src, Disp: 32 * i}, v[i])
		}
		for i := range v {
			VMOVUPS(v[i], Mem{Base: dst, Disp: 32 * i})
		}
		ADDQ(ss, src)
		ADDQ(ds, dst)
	}
	rows4 := GP64()
	MOVQ(rows, rows4)
	SHRQ(Imm(2), rows4)
	JZ(LabelRef("tail"))
	Label("loop")
	for range 4 {
		row()
	}
	DECQ(rows4)
	JNZ(LabelRef("loop"))
	Label("tail")
	ANDQ(Imm(3), rows)
	JZ(LabelRef("done"))
	Label("tailloop")
	row()
	DECQ(rows)
	JNZ(LabelRef("tailloop"))
	Label("done")
	VZEROUPPER()
	RET()
}
