//go:build xla

package xla

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/gomlx/go-xla/pkg/pjrt"
	"github.com/gomlx/go-xla/pkg/types/dtypes"

	"github.com/entangle-nas/entangle/engine/prim"
)

// pjrtDevice is the first devices that a client sees, each of which has every array whole.
type pjrtDevice struct {
	client  *pjrt.Client
	devices int
	text    string
	cache   cache
	plugin  string // tells plugins apart
}

func (d *pjrtDevice) describe() string { return d.text }

func (d *pjrtDevice) room() (int, bool) { return deviceRoom() }

func dtype(d prim.DType) dtypes.DType {
	return [...]dtypes.DType{dtypes.Float32, dtypes.Float64, dtypes.Int64, dtypes.Bool, dtypes.Float16, dtypes.BFloat16}[d]
}

func (d *pjrtDevice) upload(t *prim.Tensor) (array, error) {
	a := &pjrtArray{}
	for n := range d.devices {
		b, err := d.client.BufferFromHost().FromRawData(bytesOf(t), dtype(t.DType), slices.Clone(t.Shape)).ToDeviceNum(n).Done()
		if err != nil {
			a.free()
			return nil, fmt.Errorf("xla: upload of %s: %w", t.Type, problem(err))
		}
		a.on = append(a.on, b)
	}
	return a, nil
}

// pjrtArray is a buffer on every device.
type pjrtArray struct{ on []*pjrt.Buffer }

func (a *pjrtArray) read(t *prim.Tensor) error {
	if t.Len() == 0 {
		return nil
	}
	if err := a.on[0].ToHost(bytesOf(t)); err != nil {
		return fmt.Errorf("xla: read of %s: %w", t.Type, problem(err))
	}
	return nil
}

// free gives the buffer back. That it could not is no error of the caller: the memory
// is the client's, and goes with it.
func (a *pjrtArray) free() {
	for _, b := range a.on {
		_ = b.Destroy()
	}
}

func (d *pjrtDevice) compile(module string, results []prim.Type) (loaded, error) {
	exe, err := d.cachedCompile(module)
	if err != nil {
		return nil, fmt.Errorf("xla: compile: %w", problem(err))
	}
	if exe.NumOutputs != len(results) {
		return nil, fmt.Errorf("xla: compile: want %d results, got %d", len(results), exe.NumOutputs)
	}
	return &pjrtModule{exe: exe, devices: d.devices}, nil
}

// cachedCompile compiles, or loads what another process compiled. Whatever is wrong with
// what was kept, the module is compiled again.
func (d *pjrtDevice) cachedCompile(module string) (*pjrt.LoadedExecutable, error) {
	var exe *pjrt.LoadedExecutable
	compile := func() (err error) {
		c := d.client.Compile().WithStableHLO([]byte(module))
		if d.devices > 1 {
			c = c.WithShardy(d.devices)
		}
		exe, err = c.Done()
		return err
	}
	key := d.cache.key(module, d.plugin, d.text, os.Getenv("XLA_FLAGS"))
	kept := d.cache.get(key)
	fresh, loaded, err := adaptedCompile(kept, d.cache.dir != "", compile)
	if err != nil && kept != nil {
		d.cache.drop(key)
		fresh, loaded, err = adaptedCompile(nil, true, compile)
	}
	if err == nil && !loaded {
		d.cache.put(key, fresh)
	}
	return exe, err
}

// pjrtModule is a loaded executable. Its runs are one at a time.
type pjrtModule struct {
	mu      sync.Mutex
	exe     *pjrt.LoadedExecutable
	devices int
}

func (m *pjrtModule) temporary() int { return int(m.exe.OnDeviceMemoryUsageStats.Temporary) }

func (m *pjrtModule) run(in []array, donate []bool) ([]array, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Arguments and results stand device after device.
	var args []*pjrt.Buffer
	var given []bool
	for n := range m.devices {
		for _, a := range in {
			args = append(args, a.(*pjrtArray).on[n])
		}
		given = append(given, donate...)
	}
	res, err := m.exe.Execute(args...).SetDonate(given).Done()
	if err != nil {
		for i, a := range in {
			if donate[i] {
				a.free()
			}
		}
		return nil, fmt.Errorf("xla: run: %w", problem(err))
	}
	out := make([]array, len(res)/m.devices)
	for i := range out {
		a := &pjrtArray{}
		for n := range m.devices {
			a.on = append(a.on, res[n*len(out)+i])
		}
		out[i] = a
	}
	return out, nil
}
