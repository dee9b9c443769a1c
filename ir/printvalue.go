package ir

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/half"
)

// elements returns the elements of a float, integer or bool tensor as text that
// gives back the same bits.
func elements(t *Tensor) []string {
	out := make([]string, t.Len())
	width := t.DType.Bits() / 8
	if !t.DType.IsFloat() && !(t.DType == Bool && !zeroOrOne(t.Raw)) {
		ints, err := t.Int64s()
		if err != nil {
			panic("BUG: " + err.Error())
		}
		for i, v := range ints {
			if t.DType == Uint64 {
				out[i] = strconv.FormatUint(uint64(v), 10)
			} else {
				out[i] = strconv.FormatInt(v, 10)
			}
		}
		return out
	}
	for i := range out {
		b := t.Raw[i*width : (i+1)*width]
		switch t.DType {
		case Float32:
			out[i] = float32Text(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case Float64:
			bits := binary.LittleEndian.Uint64(b)
			out[i] = floatText(math.Float64frombits(bits), 64, bits)
		case Float16:
			bits := binary.LittleEndian.Uint16(b)
			out[i] = floatText(float64(half.FromFloat16(bits)), 32, uint64(bits))
		case BFloat16:
			bits := binary.LittleEndian.Uint16(b)
			out[i] = floatText(float64(half.FromBFloat16(bits)), 32, uint64(bits))
		default:
			out[i] = fmt.Sprintf("0x%x", b[0])
		}
	}
	return out
}

func zeroOrOne(raw []byte) bool {
	for _, b := range raw {
		if b > 1 {
			return false
		}
	}
	return true
}

func float32Text(v float32) string {
	return floatText(float64(v), 32, uint64(math.Float32bits(v)))
}

// floatText prints the shortest text; NaNs, which differ in their bits, by those.
func floatText(v float64, size int, bits uint64) string {
	if v != v {
		return fmt.Sprintf("0x%x", bits)
	}
	return strconv.FormatFloat(v, 'g', -1, size)
}

// element is the inverse of elements: it appends one element of dtype dt to raw.
func element(raw []byte, dt DType, text string) ([]byte, error) {
	bits := dt.Bits()
	var v uint64
	var err error
	switch {
	case strings.HasPrefix(text, "0x"):
		v, err = strconv.ParseUint(text[2:], 16, bits)
	case dt.IsFloat():
		var f float64
		f, err = strconv.ParseFloat(text, min(max(bits, 32), 64))
		switch dt {
		case Float32:
			v = uint64(math.Float32bits(float32(f)))
		case Float64:
			v = math.Float64bits(f)
		case Float16:
			v = uint64(half.Float16(f))
		case BFloat16:
			v = uint64(half.BFloat16(f))
		}
	case dt == Uint8 || dt == Uint16 || dt == Uint32 || dt == Uint64 || dt == Bool:
		v, err = strconv.ParseUint(text, 10, bits)
	case dt.IsInt():
		var i int64
		i, err = strconv.ParseInt(text, 10, bits)
		v = uint64(i)
	default:
		err = fmt.Errorf("want base64 data for this dtype")
	}
	if err != nil {
		return nil, fmt.Errorf("element %q: want a %s: %w", text, dt, err)
	}
	for b := 0; b < bits; b += 8 {
		raw = append(raw, byte(v>>b))
	}
	return raw, nil
}

func join[T any](vs []T, text func(T) string) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = text(v)
	}
	return strings.Join(parts, ", ")
}

// name prints a name bare where that can be read back, "_" for the empty one.
func name(s string) string {
	if s == "" {
		return "_"
	}
	if s == "_" || !isBare(s) {
		return strconv.Quote(s)
	}
	return s
}

func nameList(list []string) string { return join(list, name) }

func isBare(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) || s[i] == '+' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[0] != '.'
}

// isWord reports the characters of bare names and numbers.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '/' || c == '-' || c == '+'
}

// operator prints domain::Name@overload, without what is empty.
func operator(domain, op, overload string) string {
	s := name(op)
	if domain != "" {
		s = name(domain) + "::" + s
	}
	if overload != "" {
		s += "@" + name(overload)
	}
	return s
}

// typeText prints a type so that Parse reads it back, denotations included.
func typeText(t Type) string {
	var s string
	inner := func() string {
		if t.Inner == nil {
			return ""
		}
		return typeText(*t.Inner)
	}
	switch t.Kind {
	case KindTensor:
		s = t.Elem.String() + shapeText(t)
	case KindSparse:
		s = "sparse(" + t.Elem.String() + shapeText(t) + ")"
	case KindSequence:
		s = "seq(" + inner() + ")"
	case KindOptional:
		s = "optional(" + inner() + ")"
	case KindMap:
		s = "map(" + t.Key.String() + ", " + inner() + ")"
	case KindOpaque:
		s = "opaque(" + name(t.Domain) + ", " + name(t.Name) + ")"
	default:
		s = "none"
	}
	if t.Denotation != "" {
		s += "~" + strconv.Quote(t.Denotation)
	}
	return s
}

func shapeText(t Type) string {
	if !t.Ranked {
		return ""
	}
	return "[" + join(t.Shape, func(d Dim) string {
		s := "?"
		switch {
		case d.Known():
			s = strconv.Itoa(d.Size)
		case d.Param != "" && d.Param[0] >= '0' && d.Param[0] <= '9':
			s = strconv.Quote(d.Param)
		case d.Param != "":
			s = name(d.Param)
		}
		if d.Denotation != "" {
			s += "~" + strconv.Quote(d.Denotation)
		}
		return s
	}) + "]"
}
