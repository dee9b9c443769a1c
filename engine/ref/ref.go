package ref

import (
	"errors"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Backend interprets programs node by node.
type Backend struct{}

// New returns the backend.
func New() *Backend { return &Backend{} }

// Name returns "ref".
func (*Backend) Name() string { return "ref" }

// Upload copies t.
func (*Backend) Upload(t *prim.Tensor) (engine.Buffer, error) {
	if t == nil {
		return nil, errors.New("ref: upload: want a tensor, got nothing")
	}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("ref: upload: %w", err)
	}
	return &buffer{typ: clone(t.Type), data: t.Cast(prim.Storage(t.Type).DType)}, nil
}

func clone(t prim.Type) prim.Type { return prim.Type{DType: t.DType, Shape: slices.Clone(t.Shape)} }

// Compile validates p.
func (*Backend) Compile(p *prim.Program) (engine.Executable, error) {
	if p == nil {
		return nil, errors.New("ref: compile: want a program, got nothing")
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("ref: compile: %w", err)
	}
	q := &prim.Program{Nodes: slices.Clone(p.Nodes), Inputs: slices.Clone(p.Inputs), Outputs: slices.Clone(p.Outputs)}
	return &executable{p: q, last: engine.LastUse(q)}, nil
}

// buffer holds a value in storage form (floats as float64). data is nil after
// Free or donation.
type buffer struct {
	typ  prim.Type
	data *prim.Tensor
}

func (b *buffer) Type() prim.Type { return b.typ }

func (b *buffer) Read() (*prim.Tensor, error) {
	if b.data == nil {
		return nil, fmt.Errorf("ref: read of %s: the buffer was freed or donated", b.typ)
	}
	return b.data.Cast(b.typ.DType), nil
}

func (b *buffer) Write(t *prim.Tensor) error {
	switch {
	case b.data == nil:
		return fmt.Errorf("ref: write of %s: the buffer was freed or donated", b.typ)
	case t == nil || !t.Type.Equal(b.typ):
		return fmt.Errorf("ref: write: want %s, got %v", b.typ, t)
	}
	if err := t.Check(); err != nil {
		return fmt.Errorf("ref: write: %w", err)
	}
	b.data = t.Cast(prim.Storage(t.Type).DType)
	return nil
}

func (b *buffer) Free() { b.data = nil }

type executable struct {
	p    *prim.Program
	last []int
}

// Memory returns the largest sum of live intermediate values, eight bytes a number.
func (e *executable) Memory() int {
	outside := make([]bool, len(e.p.Nodes))
	for _, in := range e.p.Inputs {
		outside[in.ID] = true
	}
	for _, o := range e.p.Outputs {
		outside[o.ID] = true
	}
	size := func(id int) int {
		if outside[id] {
			return 0
		}
		return prim.Storage(e.p.Nodes[id].Type).Bytes()
	}
	dies := make([][]int, len(e.p.Nodes)+1)
	for id, at := range e.last {
		dies[at] = append(dies[at], id)
	}
	live, peak := 0, 0
	for i := range e.p.Nodes {
		live += size(i)
		peak = max(peak, live)
		for _, id := range dies[i] {
			live -= size(id)
		}
	}
	return peak
}

// Run evaluates every node in order. Donated inputs are gone afterwards, also
// when the run fails.
func (e *executable) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	value := make([]*prim.Tensor, len(e.p.Nodes))
	if err := e.take(in, value); err != nil {
		return nil, err
	}
	var args []*prim.Tensor
	for i, n := range e.p.Nodes {
		if n.Prim == nil {
			continue
		}
		args = args[:0]
		for _, id := range n.In {
			args = append(args, value[id])
		}
		v, err := n.Prim.Eval(args, n.Type)
		if err != nil {
			return nil, fmt.Errorf("ref: node %d: %w", i, err)
		}
		if v.Type.DType != prim.Storage(n.Type).DType || !slices.Equal(v.Shape, n.Type.Shape) || v.Check() != nil {
			panic(fmt.Sprintf("BUG: ref: node %d (%s): want %s, got %s", i, n.Prim.Name(), prim.Storage(n.Type), v.Type))
		}
		value[i] = v
		for _, id := range n.In {
			if e.last[id] == i {
				value[id] = nil
			}
		}
	}
	out := make([]engine.Buffer, len(e.p.Outputs))
	for i, o := range e.p.Outputs {
		t := e.p.Nodes[o.ID].Type
		out[i] = &buffer{typ: clone(t), data: value[o.ID].Cast(t.DType).Cast(prim.Storage(t).DType)}
	}
	return out, nil
}

// take checks the input buffers and places their values; donated ones lose theirs.
func (e *executable) take(in []engine.Buffer, value []*prim.Tensor) error {
	if len(in) != len(e.p.Inputs) {
		return fmt.Errorf("ref: run: want %d inputs, got %d", len(e.p.Inputs), len(in))
	}
	bufs := make([]*buffer, len(in))
	for i, x := range in {
		name, want := e.p.Inputs[i].Name, e.p.Nodes[e.p.Inputs[i].ID].Type
		b, ok := x.(*buffer)
		switch {
		case !ok || b == nil:
			return fmt.Errorf("ref: run: input %q: want a buffer of this backend, got %T", name, x)
		case b.data == nil:
			return fmt.Errorf("ref: run: input %q: the buffer was freed or donated", name)
		case !b.typ.Equal(want):
			return fmt.Errorf("ref: run: input %q: want %s, got %s", name, want, b.typ)
		}
		if e.p.Inputs[i].Donate && slices.Contains(in[:i], x) {
			return fmt.Errorf("ref: run: input %q: a donated buffer is passed twice", name)
		}
		bufs[i] = b
	}
	for i, b := range bufs {
		value[e.p.Inputs[i].ID] = b.data
	}
	for i, b := range bufs {
		if e.p.Inputs[i].Donate {
			b.data = nil
		}
	}
	return nil
}
