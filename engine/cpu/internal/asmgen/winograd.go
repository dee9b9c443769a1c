package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsOf computes some results of a one-dimensional transform: of emits one vector per
// result, from inputs in registers or in memory and constants from c.
type rowsOf struct {
	rows []int
	of   func(in []Op, c func(v float64) vec) []vec
}

// The transforms of Winograd's F(4×4, 3×3) with the points 0, ±√½, ±√2 and ∞.
var (
	pointA = math.Sqrt(0.5)
	pointB = math.Sqrt2

	winogradInput = []rowsOf{
		{[]int{0}, func(in []Op, c func(float64) vec) []vec { return []vec{border(in[0], in[2], in[4], c)} }},
		{[]int{1, 2}, func(in []Op, c func(float64) vec) []vec { return pair(in, 2, pointA, c) }},
		{[]int{3, 4}, func(in []Op, c func(float64) vec) []vec { return pair(in, 0.5, pointB, c) }},
		{[]int{5}, func(in []Op, c func(float64) vec) []vec { return []vec{border(in[1], in[3], in[5], c)} }},
	}
	winogradOutput = []rowsOf{
		{[]int{0, 2}, func(in []Op, c func(float64) vec) []vec {
			s, t := join(in[1], in[2], VADDPS), join(in[3], in[4], VADDPS)
			sum := YMM()
			VADDPS(s, t, sum)
			VADDPS(in[0], sum, sum)
			VMULPS(float8(0.5), s, s)
			VFMADD231PS(float8(2), t, s)
			return []vec{sum, s}
		}},
		{[]int{1, 3}, func(in []Op, c func(float64) vec) []vec {
			s, t := join(in[1], in[2], VSUBPS), join(in[3], in[4], VSUBPS)
			VMULPS(float8(pointA), s, s)
			VMULPS(float8(pointB), t, t)
			sum := YMM()
			VADDPS(s, t, sum)
			VMULPS(float8(0.5), s, s)
			VFMADD231PS(float8(2), t, s)
			VADDPS(in[5], s, s)
			return []vec{sum, s}
		}},
	}
	winogradGrad = []rowsOf{
		{[]int{0}, func(in []Op, _ func(float64) vec) []vec { return []vec{load(in[0])} }},
		{[]int{1, 2}, func(in []Op, c func(float64) vec) []vec { return powers(in, pointA, 1, c) }},
		{[]int{3, 4}, func(in []Op, c func(float64) vec) []vec { return powers(in, pointB, 1, c) }},
		{[]int{5}, func(in []Op, _ func(float64) vec) []vec { return []vec{load(in[3])} }},
	}
	winogradWeights = []rowsOf{
		{[]int{0}, func(in []Op, _ func(float64) vec) []vec { return []vec{load(in[0])} }},
		{[]int{1, 2}, func(in []Op, c func(float64) vec) []vec { return powers(in, pointA, -2./3, c) }},
		{[]int{3, 4}, func(in []Op, c func(float64) vec) []vec { return powers(in, pointB, 1./6, c) }},
		{[]int{5}, func(in []Op, _ func(float64) vec) []vec { return []vec{load(in[2])} }},
	}
	winogradWeightsGrad = []rowsOf{
		{[]int{0}, func(in []Op, c func(float64) vec) []vec {
			y := weigh(in, VADDPS, -2./3, 1./6)
			VADDPS(in[0], y, y)
			return []vec{y}
		}},
		{[]int{1}, func(in []Op, c func(float64) vec) []vec {
			return []vec{weigh(in, VSUBPS, -2./3*pointA, 1./6*pointB)}
		}},
		{[]int{2}, func(in []Op, c func(float64) vec) []vec {
			y := weigh(in, VADDPS, -1./3, 1./3)
			VADDPS(in[5], y, y)
			return []vec{y}
		}},
	}
)

func load(x Op) vec {
	if v, ok := x.(vec); ok {
		return v
	}
	y := YMM()
	VMOVUPS(x, y)
	return y
}

func copyOf(x Op) vec {
	y := YMM()
	VMOVUPS(x, y)
	return y
}

func join(a, b Op, f func(...Op)) vec {
	x := a
	if _, ok := a.(vec); !ok {
		x = load(a)
	}
	y := YMM()
	f(b, x, y)
	return y
}

// border returns a - 5/2·b + d.
func border(a, b, d Op, c func(float64) vec) vec {
	y := join(a, d, VADDPS)
	times(VFNMADD231PS, 2.5, b, y, c)
	return y
}

// times multiplies by a constant: from memory where x is in a register.
func times(f func(...Op), v float64, x Op, y vec, c func(float64) vec) {
	if _, ok := x.(vec); ok {
		f(float8(v), x, y)
		return
	}
	f(x, c(v), y)
}

// pair returns (in[4] - s·in[2]) ± p·(in[3] - s·in[1]).
func pair(in []Op, s, p float64, c func(float64) vec) []vec {
	odd := YMM()
	times(func(ops ...Op) { VMULPS(ops[0], ops[1], ops[2]) }, p, in[3], odd, c)
	times(VFNMADD231PS, p*s, in[1], odd, c)
	even := copyOf(in[4])
	times(VFNMADD231PS, s, in[2], even, c)
	sum := YMM()
	VADDPS(odd, even, sum)
	VSUBPS(odd, even, even)
	return []vec{sum, even}
}

// powers returns scale·Σ_k in[k]·(±p)^k for the 3 or 4 inputs.
func powers(in []Op, p, scale float64, c func(float64) vec) []vec {
	odd := YMM()
	times(func(ops ...Op) { VMULPS(ops[0], ops[1], ops[2]) }, scale*p, in[1], odd, c)
	if len(in) == 4 {
		times(VFMADD231PS, scale*p*p*p, in[3], odd, c)
	}
	even := YMM()
	if scale == 1 {
		VMOVUPS(in[0], even)
	} else {
		times(func(ops ...Op) { VMULPS(ops[0], ops[1], ops[2]) }, scale, in[0], even, c)
	}
	times(VFMADD231PS, scale*p*p, in[2], even, c)
	sum := YMM()
	VADDPS(odd, even, sum)
	VSUBPS(odd, even, even)
	return []vec{sum, even}
}

// weigh returns p·f(in[1], in[2]) + q·f(in[3], in[4]).
func weigh(in []Op, f func(...Op), p, q float64) vec {
	s, t := join(in[1], in[2], f), join(in[3], in[4], f)
	VMULPS(float8(p), s, s)
	VFMADD231PS(float8(q), t, s)
	return s
}

// winogradTransform emits dst = T·src·Tᵀ for n tiles of vectors, T of size×inputs.
func winogradTransform(name, doc string, inputs, size int, groups []rowsOf) {
	TEXT(name, NOSPLIT, "func(n int, dst *float32, drow, dcol, dstep int, src *float32, srow, scol, sstep int)")
	Doc(name+" transforms n tiles of vectors of 8: "+doc,
		"Rows, columns and tiles are drow, dcol, dstep and srow, scol, sstep bytes apart.")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	dst, drow, dcol := Load(Param("dst"), GP64()), Load(Param("drow"), GP64()), Load(Param("dcol"), GP64())
	src, srow, scol := Load(Param("src"), GP64()), Load(Param("srow"), GP64()), Load(Param("scol"), GP64())
	multiples := func(s reg.Register, count int) (three, five reg.Register) {
		three, five = GP64(), GP64()
		LEAQ(Mem{Base: s, Index: s, Scale: 2}, three)
		if count > 5 {
			LEAQ(Mem{Base: s, Index: s, Scale: 4}, five)
		}
		return three, five
	}
	srow3, srow5 := multiples(srow, inputs)
	dcol3, dcol5 := multiples(dcol, size)
	at := func(base, s, s3, s5 reg.Register, i int) Mem {
		return []Mem{{Base: base}, {Base: base, Index: s, Scale: 1}, {Base: base, Index: s, Scale: 2}, {Base: base, Index: s3, Scale: 1}, {Base: base, Index: s, Scale: 4}, {Base: base, Index: s5, Scale: 1}}[i]
	}
	p, q := GP64(), GP64()
	Label("tile")
	MOVQ(dst, q)
	row := 0
	for _, g := range groups {
		held := map[float64]vec{}
		constant := func(v float64) vec {
			if _, ok := held[v]; !ok {
				held[v] = YMM()
				VMOVUPS(float8(v), held[v])
			}
			return held[v]
		}
		out := make([][]Op, len(g.rows))
		MOVQ(src, p)
		for j := range inputs {
			in := make([]Op, inputs)
			for i := range in {
				in[i] = at(p, srow, srow3, srow5, i)
			}
			for r, y := range g.of(in, constant) {
				out[r] = append(out[r], y)
			}
			if j+1 < inputs {
				ADDQ(scol, p)
			}
		}
		for r, y := range out {
			for ; row < g.rows[r]; row++ {
				ADDQ(drow, q)
			}
			for ; row > g.rows[r]; row-- {
				SUBQ(drow, q)
			}
			for _, h := range groups {
				for k, z := range h.of(y, nil) {
					VMOVUPS(z, at(q, dcol, dcol3, dcol5, h.rows[k]))
				}
			}
		}
	}
	Load(Param("dstep"), p)
	ADDQ(p, dst)
	Load(Param("sstep"), q)
	ADDQ(q, src)
	DECQ(n)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

func winograd() {
	winogradTransform("winogradInput", "6×6 elements to the 6×6 values at products of two points.", 6, 6, winogradInput)
	winogradTransform("winogradOutput", "6×6 values at products of two points to 4×4 results.", 6, 4, winogradOutput)
	winogradTransform("winogradGrad", "4×4 gradients to 6×6 values, the adjoint of winogradOutput.", 4, 6, winogradGrad)
	winogradTransform("winogradWeights", "3×3 weights to 6×6 values.", 3, 6, winogradWeights)
	winogradTransform("winogradWeightsGrad", "6×6 values to 3×3 gradients, the adjoint of winogradWeights.", 6, 3, winogradWeightsGrad)
	toLanes()
	fromLanes()
}

// quads emits the 4×4 transpositions in both halves of v.
func quads(v [4]vec) [4]vec {
	var b, c [4]vec
	for i := range b {
		b[i], c[i] = YMM(), YMM()
	}
	VUNPCKLPS(v[1], v[0], b[0])
	VUNPCKHPS(v[1], v[0], b[1])
	VUNPCKLPS(v[3], v[2], b[2])
	VUNPCKHPS(v[3], v[2], b[3])
	VSHUFPS(Imm(0x44), b[2], b[0], c[0])
	VSHUFPS(Imm(0xee), b[2], b[0], c[1])
	VSHUFPS(Imm(0x44), b[3], b[1], c[2])
	VSHUFPS(Imm(0xee), b[3], b[1], c[3])
	return c
}

// toLanes emits the copy of rows of 8 planes to one vector per position.
func toLanes() {
	TEXT("toLanes", NOSPLIT, "func(rows int, dst *float32, drow int, src *float32, srow, splane, cols, lead, tail, ahead int)")
	Doc("toLanes sets dst[y][lead+x][i] = src[i][y][x] for x < cols, in whole blocks of 8 columns, and then the lead vectors",
		"before and tail vectors behind the columns of every row to zero, row by row in ascending order. What lies ahead bytes behind src is fetched into the second-level cache.",
		"drow, srow, splane and ahead are in bytes.")
	Pragma("noescape")
	rows := Load(Param("rows"), GP64())
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	s := Load(Param("splane"), GP64())
	cols := Load(Param("cols"), GP64())
	s3 := GP64()
	LEAQ(Mem{Base: s, Index: s, Scale: 2}, s3)
	zero := YMM()
	p, p4, q, left, f, f4 := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Label("row")
	VXORPS(zero, zero, zero)
	MOVQ(dst, q)
	Load(Param("lead"), left)
	Label("lead")
	TESTQ(left, left)
	JZ(LabelRef("columns"))
	VMOVUPS(zero, Mem{Base: q})
	ADDQ(Imm(32), q)
	DECQ(left)
	JMP(LabelRef("lead"))
	Label("columns")
	MOVQ(src, p)
	LEAQ(Mem{Base: src, Index: s, Scale: 4}, p4)
	Load(Param("ahead"), f)
	LEAQ(Mem{Base: p4, Index: f, Scale: 1}, f4)
	ADDQ(p, f)
	MOVQ(cols, left)
	Label("block")
	for _, b := range []reg.Register{f, f4} {
		for _, m := range []Mem{{Base: b}, {Base: b, Index: s, Scale: 1}, {Base: b, Index: s, Scale: 2}, {Base: b, Index: s3, Scale: 1}} {
			PREFETCHT1(m)
		}
	}
	for h := range 2 {
		var v [4]vec
		for i := range v {
			v[i] = YMM()
			lo := []Mem{{Base: p, Disp: 16 * h}, {Base: p, Index: s, Scale: 1, Disp: 16 * h}, {Base: p, Index: s, Scale: 2, Disp: 16 * h}, {Base: p, Index: s3, Scale: 1, Disp: 16 * h}}[i]
			hi := lo
			hi.Base = p4
			VMOVUPS(lo, v[i].AsX())
			VINSERTF128(Imm(1), hi, v[i], v[i])
		}
		for i, y := range quads(v) {
			VMOVUPS(y, Mem{Base: q, Disp: 128*h + 32*i})
		}
	}
	ADDQ(Imm(32), p)
	ADDQ(Imm(32), p4)
	ADDQ(Imm(32), f)
	ADDQ(Imm(32), f4)
	ADDQ(U32(256), q)
	SUBQ(Imm(8), left)
	JG(LabelRef("block"))
	SHLQ(Imm(5), left)
	ADDQ(left, q)
	Load(Param("tail"), left)
	Label("tail")
	TESTQ(left, left)
	JZ(LabelRef("next"))
	VMOVUPS(zero, Mem{Base: q})
	ADDQ(Imm(32), q)
	DECQ(left)
	JMP(LabelRef("tail"))
	Label("next")
	Load(Param("srow"), left)
	ADDQ(left, src)
	Load(Param("drow"), left)
	ADDQ(left, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// fromLanes emits the copy of one vector per position to rows of 8 planes.
func fromLanes() {
	TEXT("fromLanes", NOSPLIT, "func(rows int, dst *float32, drow, dplane int, src *float32, srow, blocks int)")
	Doc("fromLanes sets dst[i][y][x] = src[y][x][i] for x < 8·blocks. drow, dplane and srow are in bytes.")
	Pragma("noescape")
	rows := Load(Param("rows"), GP64())
	dst := Load(Param("dst"), GP64())
	drow := Load(Param("drow"), GP64())
	s := Load(Param("dplane"), GP64())
	src := Load(Param("src"), GP64())
	srow := Load(Param("srow"), GP64())
	s3 := GP64()
	LEAQ(Mem{Base: s, Index: s, Scale: 2}, s3)
	p, q, q4, left := GP64(), GP64(), GP64(), GP64()
	Label("row")
	MOVQ(src, p)
	MOVQ(dst, q)
	LEAQ(Mem{Base: dst, Index: s, Scale: 4}, q4)
	Load(Param("blocks"), left)
	Label("block")
	var half [2][4]vec
	for h := range half {
		var v [4]vec
		for i := range v {
			v[i] = YMM()
			VMOVUPS(Mem{Base: p, Disp: 128*h + 32*i}, v[i])
		}
		half[h] = quads(v)
	}
	for i := range 4 {
		lo, hi := YMM(), YMM()
		VPERM2F128(Imm(0x20), half[1][i], half[0][i], lo)
		VPERM2F128(Imm(0x31), half[1][i], half[0][i], hi)
		to := func(b reg.Register) Mem {
			return []Mem{{Base: b}, {Base: b, Index: s, Scale: 1}, {Base: b, Index: s, Scale: 2}, {Base: b, Index: s3, Scale: 1}}[i]
		}
		VMOVUPS(lo, to(q))
		VMOVUPS(hi, to(q4))
	}
	ADDQ(U32(256), p)
	ADDQ(Imm(32), q)
	ADDQ(Imm(32), q4)
	DECQ(left)
	JNZ(LabelRef("block"))
	ADDQ(srow, src)
	ADDQ(drow, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
