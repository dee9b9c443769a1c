package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Env holds device buffers by program input name. Steps replace what they update.
type Env map[string]engine.Buffer

// Step is a compiled program over an Env.
type Step struct {
	name string
	P    *prim.Program
	Exe  engine.Executable
}

func Compile(be engine.Backend, name string, b *prim.Builder) (*Step, error) {
	p, err := b.Program()
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", name, err)
	}
	return compileProgram(be, name, p)
}

func compileProgram(be engine.Backend, name string, p *prim.Program) (*Step, error) {
	exe, err := be.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("search: %s: compile on %s: %w", name, be.Name(), err)
	}
	return &Step{name, p, exe}, nil
}

// Memory returns the bytes that a run works on: temporary storage, inputs, and outputs that
// do not take an input's place.
func (s *Step) Memory() int {
	n := s.Exe.Memory()
	for _, x := range s.P.Inputs {
		n += s.P.Nodes[x.ID].Type.Bytes()
	}
	for _, o := range s.P.Outputs {
		if s.P.Input(o.Name) < 0 {
			n += s.P.Nodes[o.ID].Type.Bytes()
		}
	}
	return n
}

// Run executes the program on the buffers of env, with those of extra taking
// precedence. Outputs named like an input replace it in env; the others are returned.
func (s *Step) Run(env Env, extra ...Env) (Env, error) {
	in := make([]engine.Buffer, len(s.P.Inputs))
	for i, x := range s.P.Inputs {
		for _, e := range extra {
			if in[i] == nil {
				in[i] = e[x.Name]
			}
		}
		if in[i] == nil {
			in[i] = env[x.Name]
		}
		if in[i] == nil {
			return nil, fmt.Errorf("BUG: search: %s: input %q has no buffer", s.name, x.Name)
		}
	}
	res, err := s.Exe.Run(in)
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", s.name, err)
	}
	out := Env{}
	for i, o := range s.P.Outputs {
		if s.P.Input(o.Name) >= 0 {
			env[o.Name] = res[i]
		} else {
			out[o.Name] = res[i]
		}
	}
	return out, nil
}

// Scalar reads a rank-0 result.
func Scalar(b engine.Buffer) (float64, error) {
	t, err := b.Read()
	if err != nil {
		return 0, err
	}
	return t.Float(0), nil
}

// Free gives a batch's buffers back.
func (e Env) Free() {
	for _, b := range e {
		b.Free()
	}
}
