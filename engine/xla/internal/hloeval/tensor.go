package hloeval

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Undefined is what an operation gives where the specification defines no result.
const Undefined = 0x5EED

// Type is a tensor type: Elem is f32, f64, f16, bf16, i32, i64 or i1.
type Type struct {
	Elem  string
	Shape []int
}

// Equal reports equal element type and shape.
func (t Type) Equal(o Type) bool { return t.Elem == o.Elem && slices.Equal(t.Shape, o.Shape) }

// Float reports a floating-point type.
func (t Type) Float() bool {
	return t.Elem == "f32" || t.Elem == "f64" || t.Elem == "f16" || t.Elem == "bf16"
}

// Len returns the number of elements.
func (t Type) Len() int { return product(t.Shape) }

func product(s []int) int {
	n := 1
	for _, v := range s {
		n *= v
	}
	return n
}

// Tensor is an array in row-major order: F holds floats, I integers and booleans (0, 1).
type Tensor struct {
	Type
	F []float64
	I []int64
}

// New returns zeros.
func New(t Type) *Tensor {
	x := &Tensor{Type: t}
	if t.Float() {
		x.F = make([]float64, t.Len())
	} else {
		x.I = make([]int64, t.Len())
	}
	return x
}

// round brings a float to the type's precision.
func round(elem string, v float64) float64 {
	switch elem {
	case "f32":
		return float64(float32(v))
	case "f16":
		return roundF16(v)
	case "bf16":
		b := math.Float32bits(float32(v))
		if v != v {
			return v
		}
		b += 0x7FFF + b>>16&1
		return float64(math.Float32frombits(b &^ 0xFFFF))
	}
	return v
}

// roundF16 rounds to 11 significant bits, ties to even, with gradual underflow below 2⁻¹⁴.
func roundF16(v float64) float64 {
	if v == 0 || v-v != 0 {
		return v
	}
	_, e := math.Frexp(v) // |v| in [½, 1)·2ᵉ
	step := math.Ldexp(1, max(e, -13)-11)
	r := math.RoundToEven(v/step) * step
	if math.Abs(r) >= 65520 {
		return math.Copysign(math.Inf(1), v)
	}
	return math.Copysign(r, v)
}

// fromF16 is the number with those bits: a sign, 5 of exponent, 10 of fraction.
func fromF16(bits uint16) float64 {
	sign, e, f := 1.0, int(bits>>10&31), float64(bits&1023)
	if bits>>15 == 1 {
		sign = -1
	}
	switch {
	case e == 31 && f != 0:
		return math.NaN()
	case e == 31:
		return sign * math.Inf(1)
	case e == 0:
		return sign * math.Ldexp(f, -24)
	}
	return sign * math.Ldexp(1024+f, e-25)
}

// wrap brings an integer to the type's width.
func wrap(elem string, v int64) int64 {
	switch elem {
	case "i32":
		return int64(int32(v))
	case "i1":
		return v & 1
	}
	return v
}

// setF and setI store a rounded element.
func (t *Tensor) setF(i int, v float64) { t.F[i] = round(t.Elem, v) }
func (t *Tensor) setI(i int, v int64)   { t.I[i] = wrap(t.Elem, v) }

// copyFrom copies element j of x.
func (t *Tensor) copyFrom(i int, x *Tensor, j int) {
	if t.F != nil {
		t.F[i] = x.F[j]
	} else {
		t.I[i] = x.I[j]
	}
}

func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// each calls f with the flat position and the index of every element of shape.
func each(shape []int, f func(at int, index []int)) {
	index := make([]int, len(shape))
	for at := range product(shape) {
		f(at, index)
		for a := len(index) - 1; a >= 0; a-- {
			if index[a]++; index[a] < shape[a] {
				break
			}
			index[a] = 0
		}
	}
}

func dot(index, stride []int) int {
	n := 0
	for i, v := range index {
		n += v * stride[i]
	}
	return n
}

// dense reads dense<…> : type, checked against the type that is written.
func dense(text string) (*Tensor, error) {
	body, typ, ok := strings.Cut(strings.TrimPrefix(text, "dense<"), "> : ")
	if !ok || !strings.HasPrefix(text, "dense<") {
		return nil, fmt.Errorf("want dense<…> : type, got %.40q", text)
	}
	t, err := parseType(typ)
	if err != nil {
		return nil, err
	}
	x := New(t)
	if strings.HasPrefix(body, `"0x`) {
		return x, x.fromHex(strings.Trim(body, `"`)[2:])
	}
	elements, err := flatten(body, t.Shape)
	if err != nil {
		return nil, err
	}
	for i := range t.Len() {
		s := elements[0]
		if len(elements) > 1 {
			s = elements[i]
		}
		if err := x.parse(i, s); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func parseType(s string) (t Type, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("want a tensor type, got %q", s)
		}
	}()
	p := &parser{s: s}
	t = p.typ()
	if p.skip(); p.at != len(s) {
		return t, fmt.Errorf("want a tensor type, got %q", s)
	}
	return t, nil
}

// flatten reads nested brackets and checks them against shape; one element without
// brackets stands for all.
func flatten(body string, shape []int) ([]string, error) {
	n := product(shape)
	if !strings.HasPrefix(body, "[") {
		if (body == "") != (n == 0) {
			return nil, fmt.Errorf("want elements for %v, got %q", shape, body)
		}
		return []string{body}, nil
	}
	depth := 0
	counts := make([]int, len(shape)+1)
	var out []string
	for _, field := range strings.FieldsFunc(strings.NewReplacer("[", " [ ", "]", " ] ", ",", " ").Replace(body), func(r rune) bool { return r == ' ' }) {
		switch field {
		case "[":
			if depth++; depth > len(shape) {
				return nil, fmt.Errorf("want %d levels of brackets", len(shape))
			}
			counts[depth] = 0
		case "]":
			if depth < 1 || counts[depth] != shape[depth-1] {
				return nil, fmt.Errorf("want brackets for %v, got %.60q", shape, body)
			}
			depth--
			counts[depth]++
		default:
			if depth != len(shape) {
				return nil, fmt.Errorf("want an element at level %d, got one at %d", len(shape), depth)
			}
			counts[depth]++
			out = append(out, field)
		}
	}
	if depth != 0 || len(out) != n {
		return nil, fmt.Errorf("want %d elements for %v, got %d", n, shape, len(out))
	}
	return out, nil
}

// parse reads one element: a float literal has a point; the bits of one are in hex.
func (t *Tensor) parse(i int, s string) error {
	switch {
	case t.Elem == "i1":
		if s != "true" && s != "false" {
			return fmt.Errorf("want true or false, got %q", s)
		}
		if s == "true" {
			t.I[i] = 1
		}
		return nil
	case !t.Float():
		v, err := strconv.ParseInt(s, 10, map[string]int{"i32": 32, "i64": 64}[t.Elem])
		t.I[i] = v
		return err
	case strings.HasPrefix(s, "0x"):
		digits := map[string]int{"f64": 16, "f32": 8, "f16": 4, "bf16": 4}[t.Elem]
		bits, err := strconv.ParseUint(s[2:], 16, 64)
		if err != nil || len(s) != 2+digits {
			return fmt.Errorf("want %d hex digits for %s, got %q", digits, t.Elem, s)
		}
		t.F[i] = fromBits(t.Elem, bits)
		return nil
	}
	if !strings.Contains(s, ".") {
		return fmt.Errorf("want a float literal with a point, got %q", s)
	}
	v, err := strconv.ParseFloat(s, 64)
	t.setF(i, v)
	return err
}

func fromBits(elem string, bits uint64) float64 {
	switch elem {
	case "f64":
		return math.Float64frombits(bits)
	case "f16":
		return fromF16(uint16(bits))
	case "bf16":
		bits <<= 16
	}
	return float64(math.Float32frombits(uint32(bits)))
}

func (t *Tensor) fromHex(s string) error {
	raw, err := hex.DecodeString(s)
	size := map[string]int{"f32": 4, "f64": 8, "i32": 4, "i64": 8}[t.Elem]
	if err != nil || size == 0 || len(raw) != size*t.Len() {
		return fmt.Errorf("want %d bytes in hex for %s%v, got %d", size*t.Len(), t.Elem, t.Shape, len(raw))
	}
	for i := range t.Len() {
		bits := uint64(0)
		for k := size - 1; k >= 0; k-- {
			bits = bits<<8 | uint64(raw[i*size+k])
		}
		switch {
		case t.Float():
			t.F[i] = fromBits(t.Elem, bits)
		case size == 4:
			t.I[i] = int64(int32(bits))
		default:
			t.I[i] = int64(bits)
		}
	}
	return nil
}
