package engine

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// ExecHost runs an executable of p on host tensors given by input name and reads every output.
func ExecHost(b Backend, exe Executable, p *prim.Program, in map[string]*prim.Tensor) (map[string]*prim.Tensor, error) {
	bufs := make([]Buffer, len(p.Inputs))
	for i, inp := range p.Inputs {
		want := p.Nodes[inp.ID].Type
		t := in[inp.Name]
		if t == nil {
			return nil, fmt.Errorf("engine: input %q: want %s, got nothing", inp.Name, want)
		}
		if !t.Type.Equal(want) {
			return nil, fmt.Errorf("engine: input %q: want %s, got %s", inp.Name, want, t.Type)
		}
		buf, err := b.Upload(t)
		if err != nil {
			return nil, err
		}
		bufs[i] = buf
	}
	res, err := exe.Run(bufs)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*prim.Tensor, len(res))
	for i, o := range p.Outputs {
		if out[o.Name], err = res[i].Read(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
