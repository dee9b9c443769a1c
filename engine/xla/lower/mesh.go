package lower

import "github.com/entangle-nas/entangle/engine/prim"

// meshAxis names the row of devices.
const meshAxis = "batch"

// divide spreads the inputs that carry the batch over the devices, along their first
// axis. Which inputs those are decides how much work is shared, and not what comes out.
func (l *lowerer) divide(p *prim.Program) {
	if l.opt.Devices < 2 {
		return
	}
	batch := batchSize(p, l.opt.Devices)
	for _, in := range p.Inputs {
		if t := p.Nodes[in.ID].Type; carriesBatch(in, t) && t.Shape[0] == batch {
			axes := make([]string, len(t.Shape))
			axes[0] = meshAxis
			l.values[in.ID] = l.Spread(l.values[in.ID], axes)
		}
	}
}

// carriesBatch reports an input that may: what a step updates does not.
func carriesBatch(in prim.Input, t prim.Type) bool { return !in.Donate && len(t.Shape) >= 2 }

// batchSize is the first size of the inputs that carry the batch, 0 when none is known
// or the devices cannot share it equally: of a step, that of most bytes among what it
// does not update; otherwise that of the first result.
func batchSize(p *prim.Program, devices int) int {
	best, most, step := 0, 0, false
	bytes := map[int]int{}
	for _, in := range p.Inputs {
		step = step || in.Donate
		if t := p.Nodes[in.ID].Type; carriesBatch(in, t) {
			n := t.Shape[0]
			if bytes[n] += t.Bytes(); bytes[n] > most {
				best, most = n, bytes[n]
			}
		}
	}
	if !step {
		best = 0
		if len(p.Outputs) > 0 {
			if s := p.Nodes[p.Outputs[0].ID].Type.Shape; len(s) >= 2 {
				best = s[0]
			}
		}
	}
	if best%devices != 0 {
		return 0
	}
	return best
}
