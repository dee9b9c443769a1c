package xla

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// executable implements engine.Executable.
type executable struct {
	dev     device
	ledger  *ledger
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
	var o *outcome
	var number int
	if x.fault >= 0 {
		o = &outcome{code: results[x.fault], faults: x.faults}
		number, err = x.ledger.add(o)
	} else {
		number = x.ledger.now()
	}
	out := make([]engine.Buffer, len(x.outputs))
	for i, t := range x.outputs {
		out[i] = &buffer{dev: x.dev, ledger: x.ledger, outcome: o, behind: number, typ: clone(t), array: results[i]}
	}
	if err != nil {
		for _, b := range out {
			b.Free()
		}
		return nil, err
	}
	return out, nil
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
