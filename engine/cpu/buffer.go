package cpu

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/entangle-nas/entangle/engine/prim"
)

// align is the alignment of storage in bytes. Storage is followed by at least
// align readable bytes, because kernels read whole vectors.
const align = 64

// view is typed storage: exactly the bytes of its type.
type view struct {
	typ prim.Type
	mem []byte
}

func allocate(bytes int) []byte {
	raw := make([]byte, bytes+2*align)
	off := -int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))) & (align - 1)
	return raw[off : off+bytes : off+bytes+align]
}

func newView(t prim.Type) view {
	return view{prim.Type{DType: t.DType, Shape: slices.Clone(t.Shape)}, allocate(t.Bytes())}
}

// keep returns a copy of s in storage of its own.
func keep(s []float32) []float32 {
	out := cast[float32](allocate(4 * len(s)))
	copy(out, s)
	return out
}

func cast[T any](b []byte) []T {
	var z T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

func (v view) f32() []float32 { return cast[float32](v.mem) }
func (v view) f64() []float64 { return cast[float64](v.mem) }
func (v view) i64() []int64   { return cast[int64](v.mem) }
func (v view) bools() []bool  { return cast[bool](v.mem) }
func (v view) u16() []uint16  { return cast[uint16](v.mem) }

// tensor returns a host tensor that shares v's storage.
func (v view) tensor() *prim.Tensor {
	t := &prim.Tensor{Type: v.typ}
	switch v.typ.DType {
	case prim.F32:
		t.F32 = v.f32()
	case prim.F64:
		t.F64 = v.f64()
	case prim.I64:
		t.I64 = v.i64()
	case prim.Bool:
		t.B = v.bools()
	case prim.F16, prim.BF16:
		t.U16 = v.u16()
	}
	return t
}

func (v view) copyFrom(t *prim.Tensor) {
	switch v.typ.DType {
	case prim.F32:
		copy(v.f32(), t.F32)
	case prim.F64:
		copy(v.f64(), t.F64)
	case prim.I64:
		copy(v.i64(), t.I64)
	case prim.Bool:
		copy(v.bools(), t.B)
	case prim.F16, prim.BF16:
		copy(v.u16(), t.U16)
	}
}

// buffer implements engine.Buffer.
type buffer struct {
	v     view
	freed bool
}

var errFreed = errors.New("cpu: buffer: used after it was freed or donated")

// Type returns the type.
func (b *buffer) Type() prim.Type { return b.v.typ }

// Read copies the buffer.
func (b *buffer) Read() (*prim.Tensor, error) {
	if b.freed {
		return nil, errFreed
	}
	t := prim.NewTensor(b.v.typ)
	view{t.Type, b.v.mem}.copyTo(t)
	return t, nil
}

func (v view) copyTo(t *prim.Tensor) {
	s := v.tensor()
	copy(t.F32, s.F32)
	copy(t.F64, s.F64)
	copy(t.I64, s.I64)
	copy(t.B, s.B)
	copy(t.U16, s.U16)
}

// Write replaces the contents.
func (b *buffer) Write(t *prim.Tensor) error {
	if b.freed {
		return errFreed
	}
	if !t.Type.Equal(b.v.typ) {
		return fmt.Errorf("cpu: buffer: write: want %s, got %s", b.v.typ, t.Type)
	}
	if err := t.Check(); err != nil {
		return err
	}
	b.v.copyFrom(t)
	return nil
}

// Free drops the storage.
func (b *buffer) Free() {
	b.freed = true
	b.v.mem = nil
}
