package prim

import (
	"fmt"
	"strings"
)

// Code is one operation of an Expr.
type Code uint8

// Operations. Comparisons and logic give 0 or 1 in the compute type. In I64,
// Div truncates toward zero and Mod has the sign of the divisor (Python's);
// FMod has the sign of the dividend (C's). Round is half to even.
const (
	Arg Code = iota // operand number Index
	Lit             // constant Value
	Add
	Sub
	Mul
	Div
	Max // NaN if either is NaN
	Min
	Pow
	Mod
	FMod
	Lt
	Le
	Eq
	Ne
	And
	Or
	Xor
	Select // A != 0 ? B : C
	Neg
	Abs
	Sign
	Floor
	Ceil
	Round
	Sqrt
	Rsqrt
	Recip
	Exp
	Log
	Log1p
	Tanh
	Sigmoid
	Erf
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Asinh
	Acosh
	Atanh
	Not
	IsNaN
	IsInf
	numCodes
)

var codeNames = [numCodes]string{
	"arg", "lit", "add", "sub", "mul", "div", "max", "min", "pow", "mod", "fmod", "lt", "le", "eq", "ne", "and", "or", "xor", "select",
	"neg", "abs", "sign", "floor", "ceil", "round", "sqrt", "rsqrt", "recip", "exp", "log", "log1p", "tanh", "sigmoid", "erf",
	"sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "not", "isnan", "isinf",
}

// String returns the lower-case name.
func (c Code) String() string { return codeNames[c] }

// Arity returns the number of operands: 0 for Arg and Lit.
func (c Code) Arity() int {
	switch {
	case c <= Lit:
		return 0
	case c < Select:
		return 2
	case c == Select:
		return 3
	}
	return 1
}

// Instr is one instruction; A, B, C are indices of earlier instructions.
type Instr struct {
	Code    Code
	A, B, C int
	Index   int     // of Arg
	Value   float64 // of Lit
}

// Expr is a scalar function of the operands in static single assignment form;
// the last instruction is the result.
type Expr []Instr

// X is an expression under construction, a tree that may share subtrees; E flattens it.
type X struct {
	ins  Instr
	args []*X
}

// A returns operand number i.
func A(i int) *X { return &X{ins: Instr{Code: Arg, Index: i}} }

// L returns the constant v.
func L(v float64) *X { return &X{ins: Instr{Code: Lit, Value: v}} }

// Op applies a code: Op(Add, A(0), L(1)).
func Op(c Code, args ...*X) *X {
	if len(args) != c.Arity() || c.Arity() == 0 {
		panic(fmt.Sprintf("BUG: prim: %s takes %d operands, got %d", c, c.Arity(), len(args)))
	}
	return &X{ins: Instr{Code: c}, args: args}
}

// E flattens x; shared and equal subtrees become one instruction.
func E(x *X) Expr {
	var e Expr
	at := map[*X]int{}
	seen := map[Instr]int{}
	var walk func(*X) int
	walk = func(x *X) int {
		if i, ok := at[x]; ok {
			return i
		}
		ins := x.ins
		for k, a := range x.args {
			i := walk(a)
			switch k {
			case 0:
				ins.A = i
			case 1:
				ins.B = i
			case 2:
				ins.C = i
			}
		}
		i, ok := seen[ins]
		if !ok || ins.Value != ins.Value {
			i = len(e)
			e = append(e, ins)
			seen[ins] = i
		}
		at[x] = i
		return i
	}
	root := walk(x)
	if root != len(e)-1 {
		e = e[:root+1]
	}
	return e
}

// X returns the expression as a tree with args substituted for the operands; a
// nil entry, or one beyond the slice, keeps the operand.
func (e Expr) X(args ...*X) *X {
	xs := make([]*X, len(e))
	for i, in := range e {
		switch in.Code.Arity() {
		case 0:
			if in.Code == Arg && in.Index < len(args) && args[in.Index] != nil {
				xs[i] = args[in.Index]
				continue
			}
			xs[i] = &X{ins: Instr{Code: in.Code, Index: in.Index, Value: in.Value}}
		case 1:
			xs[i] = Op(in.Code, xs[in.A])
		case 2:
			xs[i] = Op(in.Code, xs[in.A], xs[in.B])
		case 3:
			xs[i] = Op(in.Code, xs[in.A], xs[in.B], xs[in.C])
		}
	}
	return xs[len(xs)-1]
}

// Operands returns one more than the largest operand number used.
func (e Expr) Operands() int {
	n := 0
	for _, in := range e {
		if in.Code == Arg {
			n = max(n, in.Index+1)
		}
	}
	return n
}

// Check reports a malformed expression for n operands.
func (e Expr) Check(n int) error {
	if len(e) == 0 {
		return fmt.Errorf("prim: expression is empty")
	}
	for i, in := range e {
		if in.Code >= numCodes {
			return fmt.Errorf("prim: expression: instruction %d: want a code below %d, got %d", i, numCodes, in.Code)
		}
	}
	for i, in := range e {
		refs := []int{in.A, in.B, in.C}[:in.Code.Arity()]
		for _, r := range refs {
			if r < 0 || r >= i {
				return fmt.Errorf("prim: expression %s: instruction %d refers to %d", e, i, r)
			}
		}
		if in.Code == Arg && (in.Index < 0 || in.Index >= n) {
			return fmt.Errorf("prim: expression %s: operand %d of %d", e, in.Index, n)
		}
	}
	return nil
}

// String prints one instruction after the other, for example "a0 a1 add(0,1) 0 max(2,3)".
func (e Expr) String() string {
	s := make([]string, len(e))
	for i, in := range e {
		switch in.Code.Arity() {
		case 0:
			if s[i] = fmt.Sprintf("a%d", in.Index); in.Code == Lit {
				s[i] = fmt.Sprint(in.Value)
			}
		case 1:
			s[i] = fmt.Sprintf("%s(%d)", in.Code, in.A)
		case 2:
			s[i] = fmt.Sprintf("%s(%d,%d)", in.Code, in.A, in.B)
		case 3:
			s[i] = fmt.Sprintf("%s(%d,%d,%d)", in.Code, in.A, in.B, in.C)
		}
	}
	return strings.Join(s, " ")
}
