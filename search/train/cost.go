package train

import (
	"time"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// Cost is what one step of a loop takes.
type Cost struct {
	Steps   int     // of the whole loop
	Seconds float64 // of one step; 0 where none was taken
	Bytes   int     // that the step's programs work on
}

// Memory compiles the weight step of a network as Train does and says how many bytes it works
// on. No sample is read and nothing runs.
func Memory(be engine.Backend, n *net.Network, c Weights, view data.View) (int, error) {
	m, err := optim.ByName(c.Optimiser)
	if err != nil {
		return 0, err
	}
	labelled := n.Learns(view.Part())
	var s *net.Step
	if c.Parts() == 1 {
		s, err = WeightStep(be, n, c.Objective, labelled, m, c.Hyper, c.Clip)
	} else {
		s, err = SumStep(be, n, c.Objective, labelled, c.Parts(), true)
	}
	if err != nil {
		return 0, err
	}
	return s.Footprint(), nil
}

// Measure takes one step of what Train would do, on its first batch, and a second where the
// first was short. The result is thrown away.
func Measure(be engine.Backend, n, teach *net.Network, view data.View, c Weights, seed uint64, stage string) (Cost, error) {
	l, err := NewLoop(be, n, teach, view, c, seed, Hooks{Stage: stage}, "weights")
	if err != nil {
		return Cost{}, err
	}
	defer l.Close()
	out := Cost{Steps: l.Total, Bytes: l.Bytes()}
	out.Seconds, err = l.Time(func() error {
		x, err := l.Take(l.Loader, l.Feed)
		if err != nil {
			return err
		}
		return l.WeightStepOn(x, nil)
	})
	return out, err
}

// Bytes returns what the programs of a weight step work on.
func (l *Loop) Bytes() int {
	n := l.mover.batch.Footprint()
	if l.mover.update != nil {
		n = max(n, l.mover.update.Footprint())
	}
	return n
}

// short is the length of a step below which another tells more: the first one also touches
// its memory for the first time.
const short = 2 * time.Second

// Time takes a step and waits for its result; one that was short is taken again.
func (l *Loop) Time(step func() error) (seconds float64, err error) {
	for range 2 {
		start := time.Now()
		if err = step(); err == nil {
			err = l.losses.read(l.Hooks.Stage)
		}
		took := time.Since(start)
		if seconds = took.Seconds(); err != nil || took > short {
			break
		}
	}
	return seconds, err
}
