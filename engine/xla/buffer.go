package xla

import (
	"fmt"
	"unsafe"

	"github.com/entangle-nas/entangle/engine/prim"
)

// buffer implements engine.Buffer. array is nil after Free or donation.
type buffer struct {
	dev     device
	ledger  *ledger
	outcome *outcome // of the run that made it; nil: nothing can be wrong with it
	behind  int      // the number of the last outcome when it was made
	typ     prim.Type
	array   array
}

// Type returns the type.
func (b *buffer) Type() prim.Type { return b.typ }

// Read copies the buffer to the host.
func (b *buffer) Read() (*prim.Tensor, error) {
	if b.array == nil {
		return nil, fmt.Errorf("xla: read of %s: the buffer was freed or donated", b.typ)
	}
	if err := b.ledger.check(b.behind); err != nil {
		return nil, err
	}
	if b.outcome != nil && b.outcome.err != nil {
		return nil, b.outcome.err
	}
	t := prim.NewTensor(b.typ)
	return t, b.array.read(t)
}

// Write replaces the contents.
func (b *buffer) Write(t *prim.Tensor) error {
	switch {
	case b.array == nil:
		return fmt.Errorf("xla: write of %s: the buffer was freed or donated", b.typ)
	case t == nil || !t.Type.Equal(b.typ):
		return fmt.Errorf("xla: write: want %s, got %v", b.typ, t)
	}
	if err := t.Check(); err != nil {
		return fmt.Errorf("xla: write: %w", err)
	}
	a, err := b.dev.upload(t)
	if err != nil {
		return err
	}
	b.array.free()
	b.array, b.outcome, b.behind = a, nil, 0
	return nil
}

// Free gives the storage back.
func (b *buffer) Free() {
	if b.array != nil {
		b.array.free()
		b.array = nil
	}
}

// bytesOf views the elements of a tensor as bytes; the pointer is never nil.
func bytesOf(t *prim.Tensor) []byte {
	var p unsafe.Pointer
	switch t.DType {
	case prim.F32:
		p = unsafe.Pointer(unsafe.SliceData(t.F32))
	case prim.F64:
		p = unsafe.Pointer(unsafe.SliceData(t.F64))
	case prim.I64:
		p = unsafe.Pointer(unsafe.SliceData(t.I64))
	case prim.Bool:
		p = unsafe.Pointer(unsafe.SliceData(t.B))
	case prim.F16, prim.BF16:
		p = unsafe.Pointer(unsafe.SliceData(t.U16))
	}
	if t.Len() == 0 {
		return make([]byte, 1)[:0]
	}
	return unsafe.Slice((*byte)(p), t.Bytes())
}
