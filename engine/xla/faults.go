package xla

import (
	"fmt"
	"slices"
	"sync"

	"github.com/entangle-nas/entangle/engine/prim"
)

// faultType is the type of a module's fault result.
var faultType = prim.Type{DType: prim.I64}

// outcome is what a run with indices will say of them: its fault result is read when
// somebody has to wait for the device anyway, not when the run is started.
type outcome struct {
	code   array // nil when it has been read
	faults []string
	err    error
}

func (o *outcome) settle() error {
	if o.code == nil {
		return o.err
	}
	code := prim.NewTensor(faultType)
	o.err = o.code.read(code)
	o.code.free()
	o.code = nil
	if v := code.I64[0]; o.err == nil && v != 0 {
		if v < 0 || v > int64(len(o.faults)) {
			panic(fmt.Sprintf("BUG: xla: run: fault %d of %d", v, len(o.faults)))
		}
		o.err = fmt.Errorf("xla: run: %s", o.faults[v-1])
	}
	return o.err
}

// ledger holds the outcomes of a device that have not been read, oldest first.
type ledger struct {
	mu    sync.Mutex
	open  []*outcome
	added int
}

// openOutcomes is how many runs may be ahead of the first that has not been looked at.
const openOutcomes = 64

// add takes the outcome of a run that has been started, and returns its number. The oldest
// ones are read when there are many: those runs are over.
func (l *ledger) add(o *outcome) (number int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added++
	if l.open = append(l.open, o); len(l.open) > openOutcomes {
		err = l.settle(openOutcomes / 2)
	}
	return l.added, err
}

// now returns the number of the last outcome.
func (l *ledger) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.added
}

// check reads the outcomes up to a number: those of runs that a device, which takes one
// after the other, has behind it when what was made then can be read. It returns the
// first error among them, once.
func (l *ledger) check(number int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settle(max(0, number-(l.added-len(l.open))))
}

func (l *ledger) settle(n int) (first error) {
	for _, o := range l.open[:n] {
		if err := o.settle(); first == nil {
			first = err
		}
	}
	l.open = slices.Clone(l.open[n:])
	return first
}
