package lower

import "github.com/entangle-nas/entangle/engine/prim"

// meshAxis names the row of devices.
const meshAxis = "batch"

// divide spreads the inputs that run over examples over the devices, along their first
// axis, where that divides equally. Which inputs those are decides how much work is
// shared, and not what comes out.
func (l *lowerer) divide(p *prim.Program) {
	if l.opt.Devices < 2 {
		return
	}
	for _, in := range p.Inputs {
		if t := p.Nodes[in.ID].Type; in.Batch && len(t.Shape) > 0 && t.Shape[0]%l.opt.Devices == 0 {
			axes := make([]string, len(t.Shape))
			axes[0] = meshAxis
			l.values[in.ID] = l.Spread(l.values[in.ID], axes)
		}
	}
}
