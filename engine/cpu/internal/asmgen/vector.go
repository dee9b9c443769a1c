package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type vec = reg.VecVirtual

var constants = map[uint32]Mem{}

// bits8 returns a 32-byte constant that repeats the 32-bit pattern v.
func bits8(v uint32) Mem {
	if m, ok := constants[v]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("k%08x", v), RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(v))
	}
	constants[v] = m
	return m
}

func float8(v float64) Mem { return bits8(math.Float32bits(float32(v))) }

// vectorOp emits dst[i] = f(operands[i]) for n elements. Operand k advances by
// its step in bytes for every 8 elements: 32, or 0 to repeat its first 8.
// Operands are read in whole vectors of 8; dst is written exactly.
func vectorOp(name, doc string, arity, unroll int, body func(in []vec) vec) {
	sig := []string{"", "a", "a, b", "a, b, c"}[arity]
	steps := []string{"", "sa", "sa, sb", "sa, sb, sc"}[arity]
	TEXT(name, NOSPLIT, fmt.Sprintf("func(n int, dst, %s *float32, %s int)", sig, steps))
	Doc(name + " sets dst to " + doc + ".")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	dst := Load(Param("dst"), GP64())
	var p, s, s3 [3]reg.GPVirtual
	for k := range arity {
		p[k] = Load(Param("abc"[k:k+1]), GP64()).(reg.GPVirtual)
		s[k] = Load(Param("s"+"abc"[k:k+1]), GP64()).(reg.GPVirtual)
		if unroll == 4 {
			s3[k] = GP64()
			LEAQ(Mem{Base: s[k], Index: s[k], Scale: 2}, s3[k])
		}
	}
	at := func(k, u int) Mem {
		switch u {
		case 0:
			return Mem{Base: p[k]}
		case 1:
			return Mem{Base: p[k], Index: s[k], Scale: 1}
		case 2:
			return Mem{Base: p[k], Index: s[k], Scale: 2}
		}
		return Mem{Base: p[k], Index: s3[k], Scale: 1}
	}
	one := func(u int) vec {
		in := make([]vec, arity)
		for k := range in {
			in[k] = YMM()
			VMOVUPS(at(k, u), in[k])
		}
		return body(in)
	}
	if unroll > 1 {
		Label("wide")
		CMPQ(n, U32(uint32(8*unroll)))
		JLT(LabelRef("narrow"))
		outs := make([]vec, unroll)
		for u := range unroll {
			outs[u] = one(u)
			VMOVUPS(outs[u], Mem{Base: dst, Disp: 32 * u})
		}
		for k := range arity {
			LEAQ(Mem{Base: p[k], Index: s[k], Scale: uint8(unroll)}, p[k])
		}
		ADDQ(U32(uint32(32*unroll)), dst)
		SUBQ(U32(uint32(8*unroll)), n)
		JMP(LabelRef("wide"))
	}
	Label("narrow")
	CMPQ(n, Imm(8))
	JLT(LabelRef("rest"))
	VMOVUPS(one(0), Mem{Base: dst})
	for k := range arity {
		ADDQ(s[k], p[k])
	}
	ADDQ(Imm(32), dst)
	SUBQ(Imm(8), n)
	JMP(LabelRef("narrow"))
	Label("rest")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	y := one(0)
	VMASKMOVPS(y, tailMask(n), Mem{Base: dst})
	Label("done")
	VZEROUPPER()
	RET()
}

// tailMask returns the mask of the first n < 8 lanes.
func tailMask(n reg.Register) vec {
	base := GP64()
	LEAQ(maskTable(), base)
	off := GP64()
	MOVQ(U32(8), off)
	SUBQ(n, off)
	m := YMM()
	VMOVUPS(Mem{Base: base, Index: off, Scale: 4}, m)
	return m
}

var maskData *Mem

func maskTable() Mem {
	if maskData == nil {
		m := GLOBL("tailmask", RODATA|NOPTR)
		for i := range 16 {
			v := uint32(0)
			if i < 8 {
				v = math.MaxUint32
			}
			DATA(4*i, U32(v))
		}
		maskData = &m
	}
	return *maskData
}

func unary(f func(x, y vec)) func([]vec) vec {
	return func(in []vec) vec {
		y := YMM()
		f(in[0], y)
		return y
	}
}

func binary(f func(a, b, y vec)) func([]vec) vec {
	return func(in []vec) vec {
		y := YMM()
		f(in[0], in[1], y)
		return y
	}
}

func compare(pred uint64) func([]vec) vec {
	return binary(func(a, b, y vec) {
		VCMPPS(Imm(pred), b, a, y)
		VANDPS(float8(1), y, y)
	})
}

// nanMax folds with VMAXPS or VMINPS and returns NaN if either operand is NaN.
func nanMax(op func(ops ...Op)) func([]vec) vec {
	return binary(func(a, b, y vec) {
		op(b, a, y)
		nan := YMM()
		VCMPPS(Imm(3), a, a, nan)
		VBLENDVPS(nan, a, y, y)
	})
}

func vectorOps() {
	vectorOp("vCopy", "a", 1, 4, func(in []vec) vec { return in[0] })
	vectorOp("vNeg", "-a", 1, 4, unary(func(x, y vec) { VXORPS(bits8(1<<31), x, y) }))
	vectorOp("vAbs", "|a|", 1, 4, unary(func(x, y vec) { VANDPS(bits8(1<<31-1), x, y) }))
	vectorOp("vSqrt", "√a", 1, 2, unary(func(x, y vec) { VSQRTPS(x, y) }))
	vectorOp("vRecip", "1/a", 1, 2, unary(func(x, y vec) {
		VMOVUPS(float8(1), y)
		VDIVPS(x, y, y)
	}))
	vectorOp("vRsqrt", "1/√a", 1, 2, unary(func(x, y vec) {
		t := YMM()
		VSQRTPS(x, t)
		VMOVUPS(float8(1), y)
		VDIVPS(t, y, y)
	}))
	vectorOp("vFloor", "⌊a⌋", 1, 4, unary(func(x, y vec) { VROUNDPS(Imm(1), x, y) }))
	vectorOp("vCeil", "⌈a⌉", 1, 4, unary(func(x, y vec) { VROUNDPS(Imm(2), x, y) }))
	vectorOp("vRound", "a rounded half to even", 1, 4, unary(func(x, y vec) { VROUNDPS(Imm(0), x, y) }))
	vectorOp("vExp", "exp a", 1, 1, unary(exp))
	vectorOp("vLog", "log a", 1, 1, unary(log))
	vectorOp("vTanh", "tanh a", 1, 1, unary(tanh))
	vectorOp("vSigmoid", "1/(1+exp(-a))", 1, 1, unary(sigmoid))
	vectorOp("vErf", "erf a", 1, 2, unary(erf))
	vectorOp("vNot", "1 where a is 0, else 0", 1, 4, unary(func(x, y vec) {
		z := YMM()
		VXORPS(z, z, z)
		VCMPPS(Imm(0), z, x, y)
		VANDPS(float8(1), y, y)
	}))

	vectorOp("vAdd", "a+b", 2, 4, binary(func(a, b, y vec) { VADDPS(b, a, y) }))
	vectorOp("vSub", "a-b", 2, 4, binary(func(a, b, y vec) { VSUBPS(b, a, y) }))
	vectorOp("vMul", "a·b", 2, 4, binary(func(a, b, y vec) { VMULPS(b, a, y) }))
	vectorOp("vDiv", "a/b", 2, 2, binary(func(a, b, y vec) { VDIVPS(b, a, y) }))
	vectorOp("vMax", "max(a,b), NaN if either is", 2, 4, nanMax(func(o ...Op) { VMAXPS(o[0], o[1], o[2]) }))
	vectorOp("vMin", "min(a,b), NaN if either is", 2, 4, nanMax(func(o ...Op) { VMINPS(o[0], o[1], o[2]) }))
	vectorOp("vLt", "a<b as 0 or 1", 2, 4, compare(1))
	vectorOp("vLe", "a≤b as 0 or 1", 2, 4, compare(2))
	vectorOp("vEq", "a=b as 0 or 1", 2, 4, compare(0))
	vectorOp("vNe", "a≠b as 0 or 1", 2, 4, compare(4))
	logic := func(op func(o ...Op)) func([]vec) vec {
		return binary(func(a, b, y vec) {
			z, t := YMM(), YMM()
			VXORPS(z, z, z)
			VCMPPS(Imm(4), z, a, y)
			VCMPPS(Imm(4), z, b, t)
			op(t, y, y)
			VANDPS(float8(1), y, y)
		})
	}
	vectorOp("vAnd", "1 where both are non-zero", 2, 2, logic(func(o ...Op) { VANDPS(o[0], o[1], o[2]) }))
	vectorOp("vOr", "1 where either is non-zero", 2, 2, logic(func(o ...Op) { VORPS(o[0], o[1], o[2]) }))
	vectorOp("vXor", "1 where exactly one is non-zero", 2, 2, logic(func(o ...Op) { VXORPS(o[0], o[1], o[2]) }))

	vectorOp("vFma", "a·b+c, rounded once", 3, 4, func(in []vec) vec {
		VFMADD231PS(in[0], in[1], in[2])
		return in[2]
	})
	vectorOp("vFms", "a·b-c, rounded once", 3, 4, func(in []vec) vec {
		VFMSUB231PS(in[0], in[1], in[2])
		return in[2]
	})
	vectorOp("vFnma", "c-a·b, rounded once", 3, 4, func(in []vec) vec {
		VFNMADD231PS(in[0], in[1], in[2])
		return in[2]
	})
	vectorOp("vGate", "c where a<b, else 0", 3, 4, func(in []vec) vec {
		VCMPPS(Imm(1), in[1], in[0], in[0])
		VANDPS(in[2], in[0], in[0])
		return in[0]
	})
	vectorOp("vSelect", "b where a is non-zero, else c", 3, 2, func(in []vec) vec {
		z, y := YMM(), YMM()
		VXORPS(z, z, z)
		VCMPPS(Imm(0), z, in[0], z)
		VBLENDVPS(z, in[2], in[1], y)
		return y
	})
}

// horner evaluates c[0] + z·(c[1] + z·(…)) into y.
func horner(z, y vec, c ...float64) {
	VMOVUPS(float8(c[len(c)-1]), y)
	for i := len(c) - 2; i >= 0; i-- {
		VFMADD213PS(float8(c[i]), z, y)
	}
}

const (
	ln2hi = 0.693359375
	ln2lo = math.Ln2 - ln2hi
)

// exp reduces to r = x - n·ln2 and uses the Taylor polynomial of degree 7; 2ⁿ
// is applied in two halves so that results overflow and underflow gradually.
func exp(x, y vec) {
	t, n, m := YMM(), YMM(), YMM()
	VMOVUPS(float8(-105), t)
	VMAXPS(x, t, t)
	hi := YMM()
	VMOVUPS(float8(89), hi)
	VMINPS(t, hi, t)
	VMULPS(float8(math.Log2E), t, n)
	VROUNDPS(Imm(0), n, n)
	VFNMADD231PS(float8(ln2hi), n, t)
	VFNMADD231PS(float8(ln2lo), n, t)
	horner(t, y, 1, 1, 1./2, 1./6, 1./24, 1./120, 1./720, 1./5040)
	VCVTPS2DQ(n, n)
	VPSRAD(Imm(1), n, m)
	VPSUBD(m, n, n)
	VPADDD(bits8(127), m, m)
	VPADDD(bits8(127), n, n)
	VPSLLD(Imm(23), m, m)
	VPSLLD(Imm(23), n, n)
	VMULPS(m, y, y)
	VMULPS(n, y, y)
}

// log splits x = 2ᵉ·m with m in [√½, √2) and sums 2·artanh((m-1)/(m+1)).
func log(x, y vec) {
	m, e, small, t := YMM(), YMM(), YMM(), YMM()
	VCMPPS(Imm(1), float8(0x1p-126), x, small)
	VMULPS(float8(0x1p23), x, t)
	VBLENDVPS(small, t, x, m)
	VANDPS(float8(23), small, small)
	VPSUBD(bits8(0x3f3504f3), m, e)
	VPSRAD(Imm(23), e, e)
	VPSLLD(Imm(23), e, t)
	VPSUBD(t, m, m)
	VCVTDQ2PS(e, e)
	VSUBPS(small, e, e)
	f, s, z := YMM(), YMM(), YMM()
	VSUBPS(float8(1), m, f)
	VADDPS(float8(2), f, t)
	VDIVPS(t, f, s)
	VMULPS(s, s, z)
	horner(z, y, 0, 2./3, 2./5, 2./7, 2./9, 2./11)
	VMULPS(s, y, y)
	VFMADD231PS(float8(ln2lo), e, y)
	VADDPS(s, y, y)
	VADDPS(s, y, y)
	VFMADD231PS(float8(ln2hi), e, y)
	zero, inf := YMM(), YMM()
	VXORPS(zero, zero, zero)
	VCMPPS(Imm(0), zero, x, t)
	VBLENDVPS(t, float8(math.Inf(-1)), y, y)
	VCMPPS(Imm(9), zero, x, t)
	VBLENDVPS(t, float8(math.NaN()), y, y)
	VMOVUPS(float8(math.Inf(1)), inf)
	VCMPPS(Imm(0), inf, x, t)
	VBLENDVPS(t, inf, y, y)
}

// sigmoid is 1/(1+exp(-x)).
func sigmoid(x, y vec) {
	t := YMM()
	VXORPS(bits8(1<<31), x, t)
	exp(t, y)
	VADDPS(float8(1), y, t)
	VMOVUPS(float8(1), y)
	VDIVPS(t, y, y)
}

// tanh is its Taylor polynomial below ½ and 1-2/(exp(2x)+1) beyond.
func tanh(x, y vec) {
	a, t := YMM(), YMM()
	VADDPS(x, x, t)
	exp(t, a)
	VADDPS(float8(1), a, a)
	VMOVUPS(float8(2), t)
	VDIVPS(a, t, t)
	VMOVUPS(float8(1), a)
	VSUBPS(t, a, a)
	z := YMM()
	VMULPS(x, x, z)
	horner(z, y, 0, -1./3, 2./15, -17./315, 62./2835, -1382./155925, 21844./6081075, -929569./638512875, 6404582./10854718875)
	VFMADD213PS(x, x, y)
	VANDPS(bits8(1<<31-1), x, t)
	VCMPPS(Imm(1), float8(0.5), t, t)
	VBLENDVPS(t, y, a, y)
}

// erf is x·P(x²)/Q(x²), of relative error 2e-8 up to erfEnd, where float32 reaches 1,
// before rounding. The coefficients are a weighted least-squares fit.
func erf(x, y vec) {
	const erfEnd = 3.93
	t, z, q := YMM(), YMM(), YMM()
	VMOVUPS(float8(-erfEnd), t)
	VMAXPS(x, t, t)
	VMINPS(t, float8r(erfEnd), t)
	VMULPS(t, t, z)
	horner(z, y, 1.1283791453937204, 0.1907824542519876, 0.052790086857568905,
		0.0037795463248125856, 0.00028480652986159885, 2.0419722507267403e-06)
	horner(z, q, 1, 0.5024092678005615, 0.11425693797896883,
		0.014997310897453849, 0.00116519629656238, 3.8003982672074804e-05)
	VMULPS(t, y, y)
	VDIVPS(q, y, y)
	VMINPS(y, float8r(1), y)
	VMAXPS(y, float8r(-1), y)
}

// float8r is float8 in a register.
func float8r(v float64) vec {
	y := YMM()
	VMOVUPS(float8(v), y)
	return y
}

// reductions emits folds of a whole slice of n ≡ 0 (mod 8) elements.
func reductions() {
	fold := func(name, doc string, arity int, start Mem, step func(x []vec, acc vec), join func(a, b, y vec)) {
		TEXT(name, NOSPLIT, fmt.Sprintf("func(n int, %s *float32) float32", []string{"", "a", "a, b"}[arity]))
		Doc(name + " returns " + doc + " for n a multiple of 8.")
		Pragma("noescape")
		n := Load(Param("n"), GP64())
		var p [2]reg.Register
		for k := range arity {
			p[k] = Load(Param("ab"[k:k+1]), GP64())
		}
		acc := make([]vec, 4)
		for i := range acc {
			acc[i] = YMM()
			VMOVUPS(start, acc[i])
		}
		one := func(u int) {
			in := make([]vec, arity)
			for k := range in {
				in[k] = YMM()
				VMOVUPS(Mem{Base: p[k], Disp: 32 * u}, in[k])
			}
			step(in, acc[u])
		}
		Label("wide")
		CMPQ(n, Imm(32))
		JLT(LabelRef("narrow"))
		for u := range 4 {
			one(u)
		}
		for k := range arity {
			SUBQ(I8(-128), p[k])
		}
		SUBQ(Imm(32), n)
		JMP(LabelRef("wide"))
		Label("narrow")
		CMPQ(n, Imm(8))
		JLT(LabelRef("join"))
		one(0)
		for k := range arity {
			ADDQ(Imm(32), p[k])
		}
		SUBQ(Imm(8), n)
		JMP(LabelRef("narrow"))
		Label("join")
		join(acc[0], acc[1], acc[0])
		join(acc[2], acc[3], acc[2])
		join(acc[0], acc[2], acc[0])
		s := horizontal(acc[0], join)
		Store(s, ReturnIndex(0))
		VZEROUPPER()
		RET()
	}
	add := func(a, b, y vec) { VADDPS(b, a, y) }
	fold("rSum", "Σa", 1, float8(0), func(x []vec, acc vec) { VADDPS(x[0], acc, acc) }, add)
	fold("rDot", "Σa·b", 2, float8(0), func(x []vec, acc vec) { VFMADD231PS(x[0], x[1], acc) }, add)
	nan := func(op func(o ...Op)) func(a, b, y vec) {
		return func(a, b, y vec) {
			t, m := YMM(), YMM()
			if a.Size() == 16 {
				t, m = XMM(), XMM()
			}
			VCMPPS(Imm(3), a, a, m)
			op(b, a, t)
			VBLENDVPS(m, a, t, y)
		}
	}
	largest := nan(func(o ...Op) { VMAXPS(o[0], o[1], o[2]) })
	smallest := nan(func(o ...Op) { VMINPS(o[0], o[1], o[2]) })
	fold("rMax", "the largest of a, NaN if there is one", 1, float8(math.Inf(-1)), func(x []vec, acc vec) { largest(acc, x[0], acc) }, largest)
	fold("rMin", "the smallest of a, NaN if there is one", 1, float8(math.Inf(1)), func(x []vec, acc vec) { smallest(acc, x[0], acc) }, smallest)
}
