package cpu

import (
	"fmt"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// executable implements engine.Executable.
type executable struct {
	b       *Backend
	k       *kernels
	team    *team // of the run's workspace
	plan    *plan
	types   []prim.Type
	names   []string
	inputs  []prim.Type
	donate  []bool
	outputs []prim.Type
	results []int
	consts  []view
	steps   []step
	space   *workspace // of the last run
	views   []view
	args    []view
}

// Memory returns the size of the arena.
func (x *executable) Memory() int { return x.plan.arena }

// Run runs the program.
func (x *executable) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	held, err := x.accept(in)
	if err != nil {
		return nil, err
	}
	out := make([]view, len(x.outputs))
	for k, t := range x.outputs {
		if d := x.plan.donated[k]; d >= 0 {
			out[k] = view{t, held[d].v.mem}
		} else {
			out[k] = newView(t)
		}
	}
	x.enter()
	defer x.leave()
	x.bind(held, out)
	for i := range x.steps {
		s := &x.steps[i]
		x.args = x.args[:0]
		for _, k := range s.in {
			x.args = append(x.args, x.views[k])
		}
		var start time.Time
		if x.b.opt.Trace != nil {
			start = time.Now()
		}
		if err := s.run(x, x.views[s.node], x.args); err != nil {
			return nil, fmt.Errorf("cpu: run: node %d: %w", s.node, err)
		}
		if x.b.opt.Trace != nil {
			x.b.opt.Trace(s.node, s.name, start, time.Now(), s.flops, s.bytes)
		}
	}
	for _, k := range x.plan.copies {
		copy(out[k].mem, x.views[x.results[k]].mem)
	}
	for k, h := range held {
		if x.donate[k] {
			h.Free()
		}
	}
	res := make([]engine.Buffer, len(out))
	for k, v := range out {
		res[k] = &buffer{v: v}
	}
	return res, nil
}

// enter takes a workspace for a run, leave gives it back.
func (x *executable) enter() {
	x.space = x.b.spaces.take(x.space, x.plan.arena, x.b.opt.Threads)
	x.team = x.space.team
}

func (x *executable) leave() {
	clear(x.views)
	clear(x.args[:cap(x.args)])
	x.b.spaces.give(x.space)
}

// accept checks the buffers of a run.
func (x *executable) accept(in []engine.Buffer) ([]*buffer, error) {
	if len(in) != len(x.inputs) {
		return nil, fmt.Errorf("cpu: run: want %d inputs, got %d", len(x.inputs), len(in))
	}
	held := make([]*buffer, len(in))
	seen := map[*buffer]int{}
	for k, b := range in {
		h, ok := b.(*buffer)
		if !ok {
			return nil, fmt.Errorf("cpu: run: input %q: want a buffer of this backend, got %T", x.names[k], b)
		}
		if h.freed {
			return nil, fmt.Errorf("cpu: run: input %q: %w", x.names[k], errFreed)
		}
		if !h.v.typ.Equal(x.inputs[k]) {
			return nil, fmt.Errorf("cpu: run: input %q: want %s, got %s", x.names[k], x.inputs[k], h.v.typ)
		}
		if j, twice := seen[h]; twice && (x.donate[k] || x.donate[j]) {
			return nil, fmt.Errorf("cpu: run: inputs %q and %q: one buffer is passed twice and donated", x.names[j], x.names[k])
		}
		seen[h] = k
		held[k] = h
	}
	return held, nil
}

// bind sets the view of every live value.
func (x *executable) bind(in []*buffer, out []view) {
	if x.views == nil {
		x.views = make([]view, len(x.types))
	}
	for i, t := range x.types {
		if !x.plan.live[i] {
			continue
		}
		var mem []byte
		switch at := x.plan.place[x.plan.root[i]]; at.kind {
		case inInput:
			mem = in[at.index].v.mem
		case inOutput:
			mem = out[at.index].mem
		case inConst:
			mem = x.consts[at.index].mem
		case inArena:
			mem = x.space.arena[at.index : at.index+t.Bytes() : at.index+t.Bytes()+align]
		}
		x.views[i] = view{t, mem}
	}
}

// scratch returns n floats shared by the workers of one kernel, contents undefined.
func (x *executable) scratch(n int) []float32 { return x.space.shared.scratch(scratchPanelA, n) }
