package stablehlo

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// hexFrom is the number of elements from which a constant is written as bytes.
const hexFrom = 64

// Scalar writes a constant of rank 0. Integers and booleans take the truncated value.
func (f *Func) Scalar(e Elem, v float64) Value { return f.Splat(Type{Elem: e}, v) }

// Splat writes a constant of equal elements.
func (f *Func) Splat(t Type, v float64) Value {
	text := floatText(t.Elem, v)
	switch t.Elem {
	case I32, I64:
		text = strconv.FormatInt(int64(v), 10)
	case I1:
		text = strconv.FormatBool(v != 0)
	}
	return f.constant(t, text)
}

// Integer writes an integer constant of rank 0.
func (f *Func) Integer(e Elem, v int64) Value {
	return f.constant(Type{Elem: e}, strconv.FormatInt(v, 10))
}

func (f *Func) constant(t Type, dense string) Value {
	return f.op("stablehlo.constant", nil, []attr{{"value", fmt.Sprintf("dense<%s> : %s", dense, t)}}, nil, t)
}

// Floats writes a constant of F32 or F64 elements in row-major order.
func (f *Func) Floats(t Type, v []float64) Value {
	if same(v) {
		return f.Splat(t, v[0])
	}
	if len(v) >= hexFrom {
		var raw []byte
		for _, x := range v {
			if t.Elem == F32 {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
			} else {
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
			}
		}
		return f.raw(t, raw)
	}
	return f.nested(t, func(i int) string { return floatText(t.Elem, v[i]) })
}

// Halves writes a constant of F16 or BF16 elements, given by their bits, in row-major order.
func (f *Func) Halves(t Type, bits []uint16) Value {
	if same(bits) {
		return f.constant(t, fmt.Sprintf("0x%04X", bits[0]))
	}
	return f.nested(t, func(i int) string { return fmt.Sprintf("0x%04X", bits[i]) })
}

// Ints writes a constant of I32 or I64 elements in row-major order.
func (f *Func) Ints(t Type, v []int64) Value {
	if same(v) {
		return f.constant(t, strconv.FormatInt(v[0], 10))
	}
	if len(v) >= hexFrom {
		var raw []byte
		for _, x := range v {
			if t.Elem == I32 {
				raw = binary.LittleEndian.AppendUint32(raw, uint32(x))
			} else {
				raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
			}
		}
		return f.raw(t, raw)
	}
	return f.nested(t, func(i int) string { return strconv.FormatInt(v[i], 10) })
}

// Bools writes a constant of I1 elements in row-major order.
func (f *Func) Bools(t Type, v []bool) Value {
	if same(v) {
		return f.constant(t, strconv.FormatBool(v[0]))
	}
	return f.nested(t, func(i int) string { return strconv.FormatBool(v[i]) })
}

func (f *Func) raw(t Type, bytes []byte) Value {
	return f.constant(t, `"0x`+strings.ToUpper(hex.EncodeToString(bytes))+`"`)
}

// same reports at least one element, all with the same value; NaNs are not.
func same[T comparable](v []T) bool {
	for _, x := range v {
		if x != v[0] {
			return false
		}
	}
	return len(v) > 0 && !signedZero(v)
}

// signedZero reports zeros, which may differ in sign.
func signedZero[T comparable](v []T) bool {
	f, ok := any(v).([]float64)
	if !ok || f[0] != 0 {
		return false
	}
	for _, x := range f {
		if math.Signbit(x) != math.Signbit(f[0]) {
			return true
		}
	}
	return false
}

// nested writes a constant with its brackets.
func (f *Func) nested(t Type, element func(int) string) Value {
	n := 1
	for _, s := range t.Shape {
		n *= s
	}
	if n == 0 {
		return f.constant(t, "")
	}
	var b strings.Builder
	at := 0
	var walk func(axis int)
	walk = func(axis int) {
		if axis == len(t.Shape) {
			b.WriteString(element(at))
			at++
			return
		}
		b.WriteByte('[')
		for i := range t.Shape[axis] {
			if i > 0 {
				b.WriteString(", ")
			}
			walk(axis + 1)
		}
		b.WriteByte(']')
	}
	walk(0)
	return f.constant(t, b.String())
}

// floatText prints a number that MLIR reads back to the same bits.
func floatText(e Elem, v float64) string {
	if e == F32 {
		v = float64(float32(v))
	}
	if v != v || math.IsInf(v, 0) {
		switch e {
		case F32:
			return fmt.Sprintf("0x%08X", math.Float32bits(float32(v)))
		case BF16:
			return fmt.Sprintf("0x%04X", math.Float32bits(float32(v))>>16)
		}
		return fmt.Sprintf("0x%016X", math.Float64bits(v))
	}
	s := strconv.FormatFloat(v, 'e', -1, 64)
	if !strings.Contains(s, ".") {
		s = strings.Replace(s, "e", ".0e", 1)
	}
	return s
}
