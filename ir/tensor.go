package ir

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/internal/half"
)

// Prop is one string entry of metadata_props, kept in file order.
type Prop struct{ Key, Value string }

// Tensor is a constant. Raw holds the elements in ONNX raw_data form: row-major,
// little-endian, sub-byte types packed two (or four) to a byte, low bits first.
// Strings holds the elements of a String tensor instead.
type Tensor struct {
	Name    string
	Doc     string
	DType   DType
	Dims    []int
	Raw     []byte
	Strings [][]byte
	Meta    []Prop
	Extra   []byte
	// Of names the initialiser that this one was copied from. It is no part of a file: a copy
	// that is still equal is written as the initialiser that it was.
	Of string
}

// Sparse is a constant of which most elements are zero. Values is a vector of
// the others and carries the name; Indices is int64, either linear positions
// [nnz] or coordinates [nnz, rank], ascending.
type Sparse struct {
	Values, Indices *Tensor
	Dims            []int
}

// Len returns the number of elements; 1 for a scalar.
func (t *Tensor) Len() int { return Prod(t.Dims) }

// Type returns the tensor's type, all sizes known.
func (t *Tensor) Type() Type { return TensorType(t.DType, t.Dims...) }

// Clone returns a deep copy.
func (t *Tensor) Clone() *Tensor {
	c := *t
	c.Dims = append([]int(nil), t.Dims...)
	c.Raw = append([]byte(nil), t.Raw...)
	c.Strings = append([][]byte(nil), t.Strings...)
	c.Meta = append([]Prop(nil), t.Meta...)
	c.Extra = append([]byte(nil), t.Extra...)
	return &c
}

// Part returns elements from to to, to excluded, as a vector that shares the tensor's bytes.
// Its dtype is of 8 bits or more, and no string.
func (t *Tensor) Part(from, to int) *Tensor {
	w := t.DType.Bits() / 8
	return &Tensor{Name: t.Name, DType: t.DType, Dims: []int{to - from}, Raw: t.Raw[from*w : to*w]}
}

// Prod returns the product of the sizes, 1 for none.
func Prod(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// NewFloat32 returns a float32 tensor; len(data) must be the product of dims.
func NewFloat32(name string, dims []int, data []float32) *Tensor {
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return &Tensor{Name: name, DType: Float32, Dims: append([]int(nil), dims...), Raw: raw}
}

// NewInt64 returns an int64 tensor; len(data) must be the product of dims.
func NewInt64(name string, dims []int, data []int64) *Tensor {
	raw := make([]byte, 8*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
	}
	return &Tensor{Name: name, DType: Int64, Dims: append([]int(nil), dims...), Raw: raw}
}

// NewFloats returns a tensor of a floating or integer dtype, values rounded to it.
func NewFloats(name string, dt DType, dims []int, data []float64) (*Tensor, error) {
	t := &Tensor{Name: name, DType: dt, Dims: append([]int(nil), dims...)}
	if !dt.IsFloat() {
		ints := make([]int64, len(data))
		for i, v := range data {
			ints[i] = int64(v)
		}
		return NewInts(name, dt, dims, ints)
	}
	w := dt.Bits() / 8
	t.Raw = make([]byte, w*len(data))
	for i, v := range data {
		switch dt {
		case Float32:
			binary.LittleEndian.PutUint32(t.Raw[4*i:], math.Float32bits(float32(v)))
		case Float64:
			binary.LittleEndian.PutUint64(t.Raw[8*i:], math.Float64bits(v))
		case Float16:
			binary.LittleEndian.PutUint16(t.Raw[2*i:], half.Float16(v))
		case BFloat16:
			binary.LittleEndian.PutUint16(t.Raw[2*i:], half.BFloat16(v))
		}
	}
	return t, nil
}

// NewInts returns a tensor of an integer dtype or Bool, values wrapped to its width.
func NewInts(name string, dt DType, dims []int, data []int64) (*Tensor, error) {
	if !dt.IsInt() && dt != Bool {
		return nil, fmt.Errorf("ir: tensor %q: dtype %s: want an integer type or bool", name, dt)
	}
	t := &Tensor{Name: name, DType: dt, Dims: append([]int(nil), dims...)}
	w := dt.Bits() / 8
	t.Raw = make([]byte, w*len(data))
	for i, v := range data {
		if dt == Bool && v != 0 {
			v = 1
		}
		for b := range w {
			t.Raw[i*w+b] = byte(v >> (8 * b))
		}
	}
	return t, nil
}

// Check reports a tensor whose data does not have the length its dtype and dims ask for.
func (t *Tensor) Check() error {
	if !t.DType.Valid() {
		return fmt.Errorf("ir: tensor %q: dtype %s: want an ONNX element type", t.Name, t.DType)
	}
	n, limit := 1, math.MaxInt/128
	for _, d := range t.Dims {
		if d < 0 || (d > 0 && n > limit/d) {
			return fmt.Errorf("ir: tensor %q: dims %v: want non-negative sizes whose product fits in memory", t.Name, t.Dims)
		}
		n *= d
	}
	if t.DType == String {
		if len(t.Strings) != n {
			return fmt.Errorf("ir: tensor %q: want %d strings for dims %v, got %d", t.Name, n, t.Dims, len(t.Strings))
		}
		return nil
	}
	if want := (n*t.DType.Bits() + 7) / 8; len(t.Raw) != want {
		return fmt.Errorf("ir: tensor %q: want %d bytes for %s%v, got %d", t.Name, want, t.DType, t.Dims, len(t.Raw))
	}
	return nil
}

// Float64s returns the elements as float64. It is an error for strings, complex,
// float8 and sub-byte types.
func (t *Tensor) Float64s() ([]float64, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	out := make([]float64, t.Len())
	if err := t.ReadFloat64s(out); err != nil {
		return nil, err
	}
	return out, nil
}

// ReadFloat64s is Float64s into out, which has the tensor's length.
func (t *Tensor) ReadFloat64s(out []float64) error {
	if err := t.Check(); err != nil {
		return err
	}
	if len(out) != t.Len() {
		return fmt.Errorf("ir: tensor %q: want room for %d elements, got %d", t.Name, t.Len(), len(out))
	}
	switch t.DType {
	case Float32:
		for i := range out {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:])))
		}
	case Float64:
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Raw[8*i:]))
		}
	case Float16:
		for i := range out {
			out[i] = float64(half.FromFloat16(binary.LittleEndian.Uint16(t.Raw[2*i:])))
		}
	case BFloat16:
		for i := range out {
			out[i] = float64(half.FromBFloat16(binary.LittleEndian.Uint16(t.Raw[2*i:])))
		}
	default:
		ints, err := t.Int64s()
		if err != nil {
			return err
		}
		for i, v := range ints {
			out[i] = float64(v)
			if t.DType == Uint64 {
				out[i] = float64(uint64(v))
			}
		}
	}
	return nil
}

// Float32s returns the elements as float32, under the conditions of Float64s.
func (t *Tensor) Float32s() ([]float32, error) {
	if t.DType == Float32 {
		if err := t.Check(); err != nil {
			return nil, err
		}
		out := make([]float32, t.Len())
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:]))
		}
		return out, nil
	}
	d, err := t.Float64s()
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(d))
	for i, v := range d {
		out[i] = float32(v)
	}
	return out, nil
}

// Int64s returns the elements of an integer or Bool tensor; uint64 wraps.
func (t *Tensor) Int64s() ([]int64, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if !t.DType.IsInt() && t.DType != Bool {
		return nil, fmt.Errorf("ir: tensor %q: dtype %s: want an integer type or bool", t.Name, t.DType)
	}
	out := make([]int64, t.Len())
	w := t.DType.Bits() / 8
	signed := t.DType == Int8 || t.DType == Int16 || t.DType == Int32 || t.DType == Int64
	for i := range out {
		var v uint64
		for b := range w {
			v |= uint64(t.Raw[i*w+b]) << (8 * b)
		}
		if shift := 64 - 8*w; signed {
			out[i] = int64(v<<shift) >> shift
		} else {
			out[i] = int64(v)
		}
	}
	return out, nil
}
