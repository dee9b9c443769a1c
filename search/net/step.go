package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Env holds device buffers by the names of a program's inputs or outputs. Whoever made an
// Env frees it; freeing is optional.
type Env map[string]engine.Buffer

// Step is a compiled program that runs over an Env.
type Step struct {
	name       string
	Program    *prim.Program
	executable engine.Executable
}

// Compile compiles what was built. Name says in errors what the program does; what the
// builder failed at is among them.
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

// Memory returns the bytes of temporary storage that a run takes.
func (s *Step) Memory() int { return s.executable.Memory() }

// Footprint returns the bytes that a run works on: temporary storage, inputs, and outputs that
// do not take an input's place.
func (s *Step) Footprint() int {
	n := s.executable.Memory()
	for _, x := range s.Program.Inputs {
		n += s.Program.Nodes[x.ID].Type.Bytes()
	}
	for _, o := range s.Program.Outputs {
		if s.Program.Input(o.Name) < 0 {
			n += s.Program.Nodes[o.ID].Type.Bytes()
		}
	}
	return n
}

// Run executes the program on the buffers of env; those of extra take precedence, the
// first first. Outputs named like an input replace it in env, the others are returned and
// are the caller's to free. It frees nothing itself.
func (s *Step) Run(env Env, extra ...Env) (Env, error) {
	in := make([]engine.Buffer, len(s.Program.Inputs))
	for i, x := range s.Program.Inputs {
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
	res, err := s.executable.Run(in)
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", s.name, err)
	}
	out := Env{}
	for i, o := range s.Program.Outputs {
		if s.Program.Input(o.Name) >= 0 {
			env[o.Name] = res[i]
		} else {
			out[o.Name] = res[i]
		}
	}
	return out, nil
}

// Scalar reads the first number of a result, which of rank 0 is all. The buffer stays.
func Scalar(b engine.Buffer) (float64, error) {
	t, err := b.Read()
	if err != nil {
		return 0, err
	}
	return t.Float(0), nil
}

// Free gives all buffers back. A nil Env has none.
func (e Env) Free() {
	for _, b := range e {
		b.Free()
	}
}
