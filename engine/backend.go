package engine

import (
	"errors"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ErrMemory is what errors of a device wrap that has too little memory.
var ErrMemory = errors.New("not enough memory on the device")

// Backend compiles programs for one device.
type Backend interface {
	// Name is for example "ref" or "cpu".
	Name() string
	// Compile checks p and prepares it to run. It does not keep p.
	Compile(p *prim.Program) (Executable, error)
	// Upload copies a host tensor to the device.
	Upload(t *prim.Tensor) (Buffer, error)
}

// Roomer is a Backend that may know how many bytes are left on its device.
type Roomer interface {
	Room() (bytes int, ok bool)
}

// Buffer is a tensor on a device. It belongs to the backend that made it.
type Buffer interface {
	Type() prim.Type
	// Read copies the buffer to the host.
	Read() (*prim.Tensor, error)
	// Write replaces the contents from a host tensor of the same type.
	Write(t *prim.Tensor) error
	// Free gives the storage back; further use is an error. Freeing is optional.
	Free()
}

// Executable is a compiled program. Run is not safe for concurrent use of one
// executable; different executables may run at the same time.
type Executable interface {
	// Run takes one buffer per program input, in order, and returns one per output.
	// Outputs are fresh buffers or donated inputs' storage; a donated input must
	// not be used again.
	Run(in []Buffer) ([]Buffer, error)
	// Memory returns the bytes of temporary storage that a run needs beside inputs
	// and outputs.
	Memory() int
}

// RunHost compiles and runs p once on host tensors given by input name.
func RunHost(b Backend, p *prim.Program, in map[string]*prim.Tensor) (map[string]*prim.Tensor, error) {
	exe, err := b.Compile(p)
	if err != nil {
		return nil, err
	}
	return ExecHost(b, exe, p, in)
}
