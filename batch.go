package entangle

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
)

// samples makes the batch of a job one that the models run at. Where a model runs at one size
// only, that is the batch and parts times as many batches make a step as before; notes
// says so, and what was in the way. The teacher, nil for none, runs at the same batch. An error
// is a fault of a key.
func (j *Job) samples(m, teacher *Model) (notes []string, parts int, err error) {
	parts = 1
	fixed := 0
	for i, x := range []*Model{m, teacher} {
		if x == nil {
			continue
		}
		teaches := i == 1
		o := net.Open(x.Normal)
		if o.Fixed == 0 || j.Data.Batch < 1 || teaches && o.Fixed == fixed {
			continue
		}
		if teaches && (fixed > 0 || j.Data.Batch%o.Fixed != 0) {
			return nil, 1, x.teaches(fmt.Errorf("it runs at batch %d only: want a batch that is a multiple of it, and a model that runs at it, got %d: %w", o.Fixed, j.Data.Batch, o.Why))
		}
		if j.Data.Batch < o.Fixed || j.Data.Batch%o.Fixed != 0 {
			return nil, 1, &keyed{"data.batch", fmt.Errorf("want a multiple of %d, the batch that the model runs at, got %d: %w", o.Fixed, j.Data.Batch, o.Why)}
		}
		each := j.Data.Batch / o.Fixed
		parts *= each
		j.Data.Batch = o.Fixed
		for _, s := range j.sections() {
			s.w.Accumulate = s.w.Parts() * each
		}
		if teaches {
			notes = append(notes, fmt.Sprintf("the teacher runs at batch %d only: gradients of %d batches make a step: %v", o.Fixed, j.Tune.Parts(), o.Why))
			continue
		}
		fixed = o.Fixed
		notes = append(notes, fmt.Sprintf("the model runs at batch %d only: gradients of %d batches make a step, running statistics stay: %v", o.Fixed, j.Tune.Parts(), o.Why))
	}
	return notes, parts, nil
}

// written returns a trained model as its file is: inputs and outputs declared as in the source,
// its tail behind it.
func (m *Model) written(trained *ir.Model) *ir.Model {
	return m.Tail.Graft(ops.Settle(net.Declare(trained, m.Normal)))
}

// warn logs what is likely to be wrong.
func (h *Host) warn(warnings []string) {
	for _, w := range warnings {
		if h != nil {
			h.logf(0, "WARNING: %s", w)
		}
	}
}

// say logs notes.
func (h *Host) say(notes []string) {
	if h == nil {
		return
	}
	for _, n := range notes {
		h.logf(0, "note: %s", n)
	}
}
