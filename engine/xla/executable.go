package xla

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// executable implements engine.Executable.
type executable struct {
	dev     device
	exe     loaded
	inputs  []prim.Type
	names   []string
	donate  []bool
	outputs []prim.Type
	fault   int
	faults  []string
}

// Memory returns the bytes of temporary device storage of a run.
func (x *executable) Memory() int { return x.exe.temporary() }

// Run starts the program on the device. Whoever reads a result waits for it, and gets
// what went wrong after the start.
func (x *executable) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	bufs, err := x.check(in)
	if err != nil {
		return nil, err
	}
	arrays := make([]array, len(bufs))
	for i, b := range bufs {
		arrays[i] = b.array
	}
	for i, b := range bufs {
		if x.donate[i] {
			b.array = nil
		}
	}
	results, err := x.exe.run(arrays, x.donate)
	if err != nil {
		return nil, err
	}
	if err := x.checkFault(results); err != nil {
		return nil, err
	}
	out := make([]engine.Buffer, len(x.outputs))
	for i, t := range x.outputs {
		out[i] = &buffer{dev: x.dev, typ: clone(t), array: results[i]}
	}
	return out, nil
}

// checkFault reads the fault result; when it is set, every result is given up.
func (x *executable) checkFault(results []array) error {
	if x.fault < 0 {
		return nil
	}
	code := prim.NewTensor(faultType)
	err := results[x.fault].read(code)
	results[x.fault].free()
	if err == nil {
		v := code.I64[0]
		if v == 0 {
			return nil
		}
		if v < 0 || v > int64(len(x.faults)) {
			panic(fmt.Sprintf("BUG: xla: run: fault %d of %d", v, len(x.faults)))
		}
		err = fmt.Errorf("xla: run: %s", x.faults[v-1])
	}
	for _, a := range results[:x.fault] {
		a.free()
	}
	return err
}

// check tells whether the buffers fit.
func (x *executable) check(in []engine.Buffer) ([]*buffer, error) {
	if len(in) != len(x.inputs) {
		return nil, fmt.Errorf("xla: run: want %d inputs, got %d", len(x.inputs), len(in))
	}
	bufs := make([]*buffer, len(in))
	first := map[*buffer]int{}
	for i, e := range in {
		b, ok := e.(*buffer)
		switch {
		case !ok || b == nil || b.dev != x.dev:
			return nil, fmt.Errorf("xla: run: input %q: want a buffer of this device, got %T", x.names[i], e)
		case b.array == nil:
			return nil, fmt.Errorf("xla: run: input %q: the buffer was freed or donated", x.names[i])
		case !b.typ.Equal(x.inputs[i]):
			return nil, fmt.Errorf("xla: run: input %q: want %s, got %s", x.names[i], x.inputs[i], b.typ)
		}
		if k, twice := first[b]; twice && (x.donate[i] || x.donate[k]) {
			return nil, fmt.Errorf("xla: run: inputs %q and %q: a donated buffer is passed twice", x.names[k], x.names[i])
		} else if !twice {
			first[b] = i
		}
		bufs[i] = b
	}
	return bufs, nil
}
