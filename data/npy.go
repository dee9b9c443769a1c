package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/half"
)

// Array is a NumPy array in C order.
type Array struct {
	Name  string
	Shape []int
	// Data is []float32, []float64, []int64 (every integer type but unsigned
	// bytes), []uint8 or []bool.
	Data any
}

// Len returns the number of elements.
func (a Array) Len() int {
	n := 1
	for _, s := range a.Shape {
		n *= s
	}
	return n
}

// maxBytes bounds a declared array, so that sizes stay far from overflow; maxFrame one of a
// stream.
const (
	maxBytes = 1 << 40
	maxFrame = 1 << 30
)

var powers = map[int64]string{maxBytes: "2⁴⁰", maxFrame: "2³⁰"}

// ReadNPY reads one array in NumPy's .npy format. name is for errors.
func ReadNPY(r io.Reader, name string) (Array, error) { return readNPY(r, name, maxBytes, readExactly) }

// readNPY reads an array of at most so many bytes, its elements by rest.
func readNPY(r io.Reader, name string, most int64, rest func(r io.Reader, n int64) ([]byte, error)) (Array, error) {
	head := make([]byte, 10)
	if n, err := io.ReadFull(r, head); err != nil {
		return Array{}, fmt.Errorf("%s: offset %d: want the header of an .npy array: %w", name, n, err)
	}
	if string(head[:6]) != "\x93NUMPY" {
		return Array{}, fmt.Errorf("%s: offset 0: want the .npy magic string, got % x", name, head[:6])
	}
	size, at := int(binary.LittleEndian.Uint16(head[8:])), 10
	switch head[6] {
	case 1:
	case 2, 3:
		more := make([]byte, 2)
		if _, err := io.ReadFull(r, more); err != nil {
			return Array{}, fmt.Errorf("%s: offset %d: want the header size: %w", name, at, err)
		}
		size |= int(binary.LittleEndian.Uint16(more)) << 16
		at = 12
	default:
		return Array{}, fmt.Errorf("%s: offset 6: want .npy version 1, 2 or 3, got %d", name, head[6])
	}
	if size > 1<<20 {
		return Array{}, fmt.Errorf("%s: offset 8: want a header of at most 1 MiB, got %d bytes", name, size)
	}
	text := make([]byte, size)
	if n, err := io.ReadFull(r, text); err != nil {
		return Array{}, fmt.Errorf("%s: offset %d: want a header of %d bytes: %w", name, at+n, size, err)
	}
	descr, shape, err := parseHeader(string(text))
	if err != nil {
		return Array{}, fmt.Errorf("%s: offset %d: %w", name, at, err)
	}
	a := Array{Name: name, Shape: shape}
	code, width, order, err := parseDescr(descr)
	if err != nil {
		return Array{}, fmt.Errorf("%s: offset %d: %w", name, at, err)
	}
	total := int64(width)
	for _, s := range shape {
		if s == 0 {
			total = 0
			break
		}
		if int64(s) > most/total {
			return Array{}, fmt.Errorf("%s: offset %d: want at most %s bytes, got shape %v", name, at, powers[most], shape)
		}
		total *= int64(s)
	}
	raw, err := rest(r, total)
	if err != nil {
		return Array{}, fmt.Errorf("%s: offset %d: want %d bytes of %s%v: %w", name, at+size+len(raw), total, descr, shape, err)
	}
	a.Data = decodeElements(raw, code, width, order)
	return a, nil
}

// parseDescr reads a dtype such as "<f4".
func parseDescr(d string) (code byte, width int, order binary.ByteOrder, err error) {
	order = binary.LittleEndian
	if len(d) == 3 {
		if d[0] == '>' {
			order = binary.BigEndian
		}
		width = int(d[2] - '0')
		switch code = d[1]; {
		case !strings.ContainsRune("<>|=", rune(d[0])):
		case code == 'f' && (width == 2 || width == 4 || width == 8), (code == 'i' || code == 'u') && (width == 1 || width == 2 || width == 4 || width == 8), code == 'b' && width == 1:
			return code, width, order, nil
		}
	}
	return 0, 0, nil, fmt.Errorf("dtype: want f2, f4, f8, i1 to i8, u1 to u8 or b1, got %q", d)
}

func decodeElements(raw []byte, code byte, width int, order binary.ByteOrder) any {
	n := len(raw) / width
	bits := func(i int) uint64 {
		switch b := raw[i*width:]; width {
		case 1:
			return uint64(b[0])
		case 2:
			return uint64(order.Uint16(b))
		case 4:
			return uint64(order.Uint32(b))
		default:
			return order.Uint64(b)
		}
	}
	switch {
	case code == 'f' && width == 2:
		out := make([]float32, n)
		for i := range out {
			out[i] = half.FromFloat16(uint16(bits(i)))
		}
		return out
	case code == 'f' && width == 4:
		out := make([]float32, n)
		for i := range out {
			out[i] = math.Float32frombits(uint32(bits(i)))
		}
		return out
	case code == 'f':
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Float64frombits(bits(i))
		}
		return out
	case code == 'b':
		out := make([]bool, n)
		for i := range out {
			out[i] = raw[i] != 0
		}
		return out
	case code == 'u' && width == 1:
		return raw
	}
	out := make([]int64, n)
	shift := 64 - 8*width
	for i := range out {
		if v := bits(i) << shift; code == 'i' {
			out[i] = int64(v) >> shift
		} else {
			out[i] = int64(v >> shift)
		}
	}
	return out
}

// parseHeader reads the Python dictionary of an .npy header.
func parseHeader(text string) (descr string, shape []int, err error) {
	value := func(key string) (string, error) {
		_, rest, ok := strings.Cut(text, "'"+key+"'")
		if !ok {
			return "", fmt.Errorf("header: want key %q, got %.80q", key, text)
		}
		rest = strings.TrimSpace(rest)
		if !strings.HasPrefix(rest, ":") {
			return "", fmt.Errorf("header: want a colon after %q, got %.80q", key, rest)
		}
		return strings.TrimSpace(rest[1:]), nil
	}
	v, err := value("descr")
	if err != nil {
		return "", nil, err
	}
	if descr, _, _ = strings.Cut(strings.TrimPrefix(v, "'"), "'"); !strings.HasPrefix(v, "'") {
		return "", nil, fmt.Errorf("header: want a plain dtype, got %.80q", v)
	}
	if v, err = value("fortran_order"); err != nil {
		return "", nil, err
	}
	if !strings.HasPrefix(v, "False") {
		return "", nil, errors.New("header: want C order, got Fortran order: save numpy.ascontiguousarray(x) instead")
	}
	if v, err = value("shape"); err != nil {
		return "", nil, err
	}
	inner, _, ok := strings.Cut(strings.TrimPrefix(v, "("), ")")
	if !strings.HasPrefix(v, "(") || !ok {
		return "", nil, fmt.Errorf("header: want a shape tuple, got %.80q", v)
	}
	shape = []int{}
	for _, part := range strings.Split(inner, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return "", nil, fmt.Errorf("header: shape: want sizes of at least 0, got %.80q", inner)
		}
		shape = append(shape, n)
	}
	if len(shape) > 32 {
		return "", nil, fmt.Errorf("header: shape: want at most 32 axes, got %d", len(shape))
	}
	return descr, shape, nil
}

// WriteNPY writes a in .npy format, version 1, little endian.
func WriteNPY(w io.Writer, a Array) error {
	var descr string
	var count int
	switch d := a.Data.(type) {
	case []float32:
		descr, count = "<f4", len(d)
	case []float64:
		descr, count = "<f8", len(d)
	case []int64:
		descr, count = "<i8", len(d)
	case []uint8:
		descr, count = "|u1", len(d)
	case []bool:
		descr, count = "|b1", len(d)
	default:
		return fmt.Errorf("npy: array %q: want float32, float64, int64, uint8 or bool elements, got %T", a.Name, a.Data)
	}
	if count != a.Len() {
		return fmt.Errorf("npy: array %q: want %d elements for shape %v, got %d", a.Name, a.Len(), a.Shape, count)
	}
	var tuple strings.Builder
	for _, s := range a.Shape {
		fmt.Fprintf(&tuple, "%d,", s)
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple.String())
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	if len(head) > math.MaxUint16 {
		return fmt.Errorf("npy: array %q: shape has too many axes: %d", a.Name, len(a.Shape))
	}
	buf := bytes.NewBufferString("\x93NUMPY\x01\x00")
	buf.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(head))))
	buf.WriteString(head)
	if _, err := w.Write(buf.Bytes()); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, a.Data)
}

// floats returns the elements as float32, or nil for bytes and integers.
func (a Array) floats() []float32 {
	switch d := a.Data.(type) {
	case []float32:
		return d
	case []float64:
		out := make([]float32, len(d))
		for i, v := range d {
			out[i] = float32(v)
		}
		return out
	case []bool:
		out := make([]float32, len(d))
		for i, v := range d {
			if v {
				out[i] = 1
			}
		}
		return out
	}
	return nil
}

// Ints returns the elements as int64, or nil when they are not integers.
func (a Array) Ints() []int64 {
	switch d := a.Data.(type) {
	case []int64:
		return slices.Clone(d)
	case []uint8:
		out := make([]int64, len(d))
		for i, v := range d {
			out[i] = int64(v)
		}
		return out
	}
	return nil
}
