package stablehlo

import (
	"fmt"
	"slices"
	"strings"
)

// Elem is an element type.
type Elem string

// Element types.
const (
	F32  Elem = "f32"
	F64  Elem = "f64"
	F16  Elem = "f16"
	BF16 Elem = "bf16"
	I32  Elem = "i32"
	I64  Elem = "i64"
	I1   Elem = "i1"
)

// Float reports a floating-point type.
func (e Elem) Float() bool { return e == F32 || e == F64 || e == F16 || e == BF16 }

// Type is the type of a tensor of static shape.
type Type struct {
	Elem  Elem
	Shape []int
}

// String prints for example "tensor<2x3xf32>".
func (t Type) String() string {
	var b strings.Builder
	b.WriteString("tensor<")
	for _, n := range t.Shape {
		fmt.Fprintf(&b, "%dx", n)
	}
	b.WriteString(string(t.Elem))
	b.WriteByte('>')
	return b.String()
}

// Equal reports equal element type and shape.
func (t Type) Equal(o Type) bool { return t.Elem == o.Elem && slices.Equal(t.Shape, o.Shape) }

// with returns t with another element type.
func (t Type) with(e Elem) Type { return Type{e, t.Shape} }

// Value is a result of an operation, or an argument.
type Value struct {
	Type Type
	name string
}

// Valid reports a value that an operation gave.
func (v Value) Valid() bool { return v.name != "" }

// attr is a named attribute in its text form.
type attr struct{ name, text string }

// array prints a dense array attribute.
func array(v []int) string {
	if len(v) == 0 {
		return "array<i64>"
	}
	return "array<i64: " + commas(v) + ">"
}

func list(v []int) string { return "[" + commas(v) + "]" }

func commas(v []int) string {
	s := make([]string, len(v))
	for i, n := range v {
		s[i] = fmt.Sprint(n)
	}
	return strings.Join(s, ", ")
}

// pairs prints two numbers per axis as a dense matrix.
func pairs(lo, hi []int) string {
	s := make([]string, len(lo))
	for i := range lo {
		s[i] = fmt.Sprintf("[%d, %d]", lo[i], hi[i])
	}
	return fmt.Sprintf("dense<[%s]> : tensor<%dx2xi64>", strings.Join(s, ", "), len(lo))
}

func integer(n int) string { return fmt.Sprintf("%d : i64", n) }
