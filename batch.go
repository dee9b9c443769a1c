package entangle

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
)

// samples makes the batch of a job one that the models run at. Where a model runs at one size
// only, that is the batch and parts times as many batches make a step as before; notes
// says so, and what was in the way. An error is a fault of a key.
func (j *Job) samples(models ...*Model) (notes []string, parts int, err error) {
	parts = 1
	for _, m := range models {
		if m == nil {
			continue
		}
		o := net.Open(m.Normal)
		if o.Fixed == 0 || j.Data.Batch < 1 {
			continue
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
