//go:build xla

package xla

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/gomlx/go-xla/pkg/pjrt"
	"github.com/gomlx/go-xla/pkg/types/dtypes"

	"github.com/entangle-nas/entangle/engine/prim"
)

// pjrtDevice is the first device that a client sees.
type pjrtDevice struct {
	client *pjrt.Client
	text   string
}

func (d *pjrtDevice) describe() string { return d.text }

func dtype(d prim.DType) dtypes.DType {
	return [...]dtypes.DType{dtypes.Float32, dtypes.Float64, dtypes.Int64, dtypes.Bool}[d]
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
	}
	if t.Len() == 0 {
		return make([]byte, 1)[:0]
	}
	return unsafe.Slice((*byte)(p), t.Bytes())
}

func (d *pjrtDevice) upload(t *prim.Tensor) (array, error) {
	b, err := d.client.BufferFromHost().FromRawData(bytesOf(t), dtype(t.DType), slices.Clone(t.Shape)).ToDeviceNum(0).Done()
	if err != nil {
		return nil, fmt.Errorf("xla: upload of %s: %s", t.Type, firstLine(err))
	}
	return &pjrtArray{b: b}, nil
}

// pjrtArray is a device buffer.
type pjrtArray struct{ b *pjrt.Buffer }

func (a *pjrtArray) read(t *prim.Tensor) error {
	if t.Len() == 0 {
		return nil
	}
	if err := a.b.ToHost(bytesOf(t)); err != nil {
		return fmt.Errorf("xla: read of %s: %s", t.Type, firstLine(err))
	}
	return nil
}

// free gives the buffer back. That it could not is no error of the caller: the memory
// is the client's, and goes with it.
func (a *pjrtArray) free() { _ = a.b.Destroy() }

func (d *pjrtDevice) compile(module string, results []prim.Type) (loaded, error) {
	exe, err := d.client.Compile().WithStableHLO([]byte(module)).Done()
	if err != nil {
		return nil, fmt.Errorf("xla: compile: %w", err)
	}
	if exe.NumOutputs != len(results) {
		return nil, fmt.Errorf("xla: compile: want %d results, got %d", len(results), exe.NumOutputs)
	}
	return &pjrtModule{exe: exe}, nil
}

// pjrtModule is a loaded executable. Its runs are one at a time.
type pjrtModule struct {
	mu  sync.Mutex
	exe *pjrt.LoadedExecutable
}

func (m *pjrtModule) temporary() int { return int(m.exe.OnDeviceMemoryUsageStats.Temporary) }

func (m *pjrtModule) run(in []array, donate []bool) ([]array, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	args := make([]*pjrt.Buffer, len(in))
	for i, a := range in {
		args[i] = a.(*pjrtArray).b
	}
	res, err := m.exe.Execute(args...).SetDonate(donate).Done()
	if err != nil {
		for i, a := range in {
			if donate[i] {
				a.free()
			}
		}
		return nil, fmt.Errorf("xla: run: %s", firstLine(err))
	}
	out := make([]array, len(res))
	for i, b := range res {
		out[i] = &pjrtArray{b}
	}
	return out, nil
}
