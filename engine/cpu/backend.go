package cpu

import (
	"fmt"
	"runtime"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Options configure a backend; the zero value is the default.
type Options struct {
	// Threads is the number of goroutines that share a kernel; 0 means GOMAXPROCS.
	Threads int
	// Portable switches the assembly off.
	Portable bool
	// Passes are what Compile does to programs before it plans; nil means Passes(). A part
	// of that list gives the same results to rounding, more slowly: so a wrong pass is found.
	Passes []engine.Pass
	// Trace, when set, is called after every kernel of a run: the node, the kernel's
	// name, when it ran, and the arithmetic and memory traffic it stands for.
	Trace func(node int, kernel string, start, end time.Time, flops, bytes float64)
}

// Backend compiles programs for the processor. It is safe for concurrent use.
type Backend struct {
	opt     Options
	kernels *kernels
	spaces  workspaces
}

// New returns a backend.
func New(opt Options) *Backend {
	if opt.Threads < 1 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	if opt.Passes == nil {
		opt.Passes = Passes()
	}
	b := &Backend{opt: opt, kernels: portableKernels()}
	if !opt.Portable {
		if k := nativeKernels(); k != nil {
			b.kernels = k
		}
	}
	return b
}

// Name returns "cpu".
func (b *Backend) Name() string { return "cpu" }

// Describe names the kernels in use and the number of threads.
func (b *Backend) Describe() string {
	return fmt.Sprintf("cpu: %s kernels, %d threads", b.kernels.name, b.opt.Threads)
}

// Upload copies t.
func (b *Backend) Upload(t *prim.Tensor) (engine.Buffer, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	v := newView(t.Type)
	v.copyFrom(t)
	return &buffer{v: v}, nil
}
