package net

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
)

// LeastMemory is the Network.Memory that asks for as little as can be had.
const LeastMemory = -1

// MemoryError says that a step does not fit in the memory that it may take.
type MemoryError struct {
	Step         string
	Limit, Least int // bytes of temporary storage
}

// Error gives both sizes.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("search: %s: want at most %d bytes of temporary storage, the least is %d: a smaller batch needs less", e.Step, e.Limit, e.Least)
}

// CompileTraining is Compile for training: it compiles a program whose forward pass ends with the output
// lossName within the network's bound on memory, with as little computed again as
// that takes. Without a bound it is what the device has left, where that is known;
// what does not fit then is left to the device. With one, a *MemoryError says that it cannot
// be kept.
func (n *Network) CompileTraining(be engine.Backend, name string, b *prim.Builder) (*Step, error) {
	plain, err := Compile(be, name, b)
	if err != nil {
		return nil, err
	}
	limit, given := n.Memory, n.Memory != 0
	if !given {
		limit = room(be, plain.Program)
	}
	if limit == 0 || limit > 0 && plain.Memory() <= limit {
		return plain, nil
	}
	r, err := engine.NewRemat(plain.Program, LossName)
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", name, err)
	}
	if limit == LeastMemory {
		return compileProgram(be, name, r.Least())
	}
	// The peak of the plain program tells what a byte of peak takes on this backend.
	scale := float64(plain.Memory()) / float64(max(engine.Peak(r.Plain()), 1))
	least := plain
	err = r.Try(func(p *prim.Program, peak int) (bool, error) {
		if scale*float64(peak) > float64(limit) && scale*float64(peak) > 0.9*float64(least.Memory()) {
			return true, nil
		}
		s, err := compileProgram(be, name, p)
		if err == nil && s.Memory() < least.Memory() {
			least = s
		}
		return least.Memory() > limit, err
	})
	if err == nil && given && least.Memory() > limit {
		err = &MemoryError{name, limit, least.Memory()}
	}
	return least, err
}

// room is what a device can spare for the temporary storage of a step, 0 where that is
// not known: a tenth is left for the gaps between its blocks, and there must be room for
// what the step reads, in case it is not there yet.
func room(be engine.Backend, p *prim.Program) int {
	r, ok := be.(engine.Roomer)
	if !ok {
		return 0
	}
	free, ok := r.Room()
	if !ok {
		return 0
	}
	for _, in := range p.Inputs {
		free -= p.Nodes[in.ID].Type.Bytes()
	}
	return max(free/10*9, 1)
}
