package xla

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// ErrNotBuilt is what Open gives in a program that was built without XLA.
var ErrNotBuilt = errors.New("xla: this program was built without XLA: build one with make build-gpu (go build -tags xla), which needs a C compiler")

// Options configure Open.
type Options struct {
	// Plugin is the shared library of the PJRT plugin, an absolute path.
	Plugin string
	// Libraries are shared libraries that the plugin needs, in the order of loading.
	Libraries []string
	// CUDAData is the folder of the CUDA toolkit that holds nvvm/libdevice; may be "".
	CUDAData string
	// Devices are the numbers of the GPUs; none means the first.
	Devices []int
	// MemoryShare is the most of the GPU's memory to use, as a share; 0 leaves it to the
	// plugin, which takes three quarters at the start.
	MemoryShare float64
	// Grow takes memory when it is needed, not at the start.
	Grow bool
	// Precision is how products are computed; "" means lower.F32.
	Precision lower.Precision
	// Cache is a folder that keeps compiled modules between processes; "" keeps none.
	Cache string
	// Timeout is how long the plugin may take to start; 0 means a minute.
	Timeout time.Duration
}

// device is a place that compiles modules and holds arrays.
type device interface {
	// describe names the device, its platform and the plugin.
	describe() string
	// room returns how many bytes are left, where that is known.
	room() (bytes int, ok bool)
	upload(t *prim.Tensor) (array, error)
	// compile prepares a module whose results have those types.
	compile(module string, results []prim.Type) (loaded, error)
}

// array is a tensor on a device.
type array interface {
	// read copies into t, which has the array's type.
	read(t *prim.Tensor) error
	free()
}

// loaded is a compiled module. run uses up the arrays that donate names, also when it fails.
type loaded interface {
	run(in []array, donate []bool) ([]array, error)
	// temporary returns the bytes that a run needs beside arguments and results.
	temporary() int
}

// Backend compiles programs for one device, or for several that share the batch. It is
// safe for concurrent use.
type Backend struct {
	dev    device
	opt    lower.Options
	ledger *ledger
}

func newBackend(d device, o lower.Options) *Backend { return &Backend{d, o, &ledger{}} }

// Name returns "xla".
func (*Backend) Name() string { return "xla" }

// Describe names the device, the plugin and the precision of products.
func (b *Backend) Describe() string {
	p := b.opt.Precision
	if p == "" {
		p = lower.F32
	}
	return fmt.Sprintf("xla: %s, products in %s", b.dev.describe(), p)
}

// Room returns how many bytes of the device's memory are left, where the plugin knows.
func (b *Backend) Room() (bytes int, ok bool) { return b.dev.room() }

// Compile simplifies, lowers and compiles p.
func (b *Backend) Compile(p *prim.Program) (engine.Executable, error) {
	if p == nil {
		return nil, errors.New("xla: compile: want a program, got nothing")
	}
	q, err := engine.Simplify(p)
	if err != nil {
		return nil, fmt.Errorf("xla: compile: %w", err)
	}
	m, err := lower.Lower(q, b.opt)
	if err != nil {
		return nil, err
	}
	x := &executable{ledger: b.ledger, fault: m.Fault, faults: m.Faults}
	for _, in := range q.Inputs {
		x.inputs = append(x.inputs, clone(q.Nodes[in.ID].Type))
		x.names = append(x.names, in.Name)
		x.donate = append(x.donate, in.Donate)
	}
	for _, o := range q.Outputs {
		x.outputs = append(x.outputs, clone(q.Nodes[o.ID].Type))
	}
	results := x.outputs
	if x.fault >= 0 {
		results = append(slices.Clone(results), faultType)
	}
	x.dev = b.dev
	x.exe, err = b.dev.compile(m.Text, results)
	return x, err
}

func clone(t prim.Type) prim.Type { return prim.Type{DType: t.DType, Shape: slices.Clone(t.Shape)} }

// Upload copies t to the device.
func (b *Backend) Upload(t *prim.Tensor) (engine.Buffer, error) {
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("xla: upload: %w", err)
	}
	a, err := b.dev.upload(t)
	if err != nil {
		return nil, err
	}
	return &buffer{dev: b.dev, ledger: b.ledger, typ: clone(t.Type), array: a}, nil
}
