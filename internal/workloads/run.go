package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
)

// Runner holds a step on a backend: compiled programs and the state between steps.
type Runner struct {
	phases []phase
	state  map[string]engine.Buffer
	losses []engine.Buffer
}

type phase struct {
	Phase
	exe  engine.Executable
	data map[string]engine.Buffer
	loss int // index in losses of a training phase
}

// NewRunner compiles the phases of s and uploads its batches and initial values.
func NewRunner(be engine.Backend, s *Step) (*Runner, error) {
	r := &Runner{state: map[string]engine.Buffer{}}
	for _, ph := range s.Phases {
		exe, err := be.Compile(ph.Program)
		if err != nil {
			return nil, fmt.Errorf("workloads: %s phase: %w", ph.Name, err)
		}
		c := phase{Phase: ph, exe: exe, data: map[string]engine.Buffer{}, loss: len(r.losses)}
		for _, o := range ph.Program.Outputs {
			if ph.Program.Input(o.Name) < 0 {
				r.losses = append(r.losses, nil)
			}
		}
		for _, in := range ph.Program.Inputs {
			if t, ok := ph.Data[in.Name]; ok {
				if c.data[in.Name], err = be.Upload(t); err != nil {
					return nil, err
				}
				continue
			}
			if r.state[in.Name] != nil {
				continue
			}
			if r.state[in.Name], err = be.Upload(s.Init[in.Name]); err != nil {
				return nil, fmt.Errorf("workloads: input %q: %w", in.Name, err)
			}
		}
		r.phases = append(r.phases, c)
	}
	return r, nil
}

// Step runs every phase once.
func (r *Runner) Step() error {
	for _, ph := range r.phases {
		in := make([]engine.Buffer, len(ph.Program.Inputs))
		for k, x := range ph.Program.Inputs {
			if in[k] = ph.data[x.Name]; in[k] == nil {
				in[k] = r.state[x.Name]
			}
		}
		out, err := ph.exe.Run(in)
		if err != nil {
			return fmt.Errorf("workloads: %s phase: %w", ph.Name, err)
		}
		for k, o := range ph.Program.Outputs {
			if ph.Program.Input(o.Name) >= 0 {
				r.state[o.Name] = out[k]
			} else {
				r.losses[ph.loss] = out[k]
			}
		}
	}
	return nil
}

// Memory returns the bytes that a step holds on the device: state, batches and the
// temporary storage of the phase that needs the most.
func (r *Runner) Memory() int {
	total, temporary := 0, 0
	for _, b := range r.state {
		total += b.Type().Bytes()
	}
	for _, ph := range r.phases {
		temporary = max(temporary, ph.exe.Memory())
		for _, b := range ph.data {
			total += b.Type().Bytes()
		}
	}
	return total + temporary
}

// Losses reads the loss of every training phase of the last step, in order.
func (r *Runner) Losses() ([]float64, error) {
	out := make([]float64, len(r.losses))
	for i, b := range r.losses {
		if b == nil {
			return nil, fmt.Errorf("workloads: losses: want a step before, got none")
		}
		t, err := b.Read()
		if err != nil {
			return nil, err
		}
		out[i] = t.Float(0)
	}
	return out, nil
}
