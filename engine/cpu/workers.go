package cpu

import (
	"sync"
	"sync/atomic"
)

// worker is the private scratch of one of the goroutines that share a kernel.
type worker struct {
	floats [scratchSlots][]float32
	table  []int64
}

// Scratch slots of a worker.
const (
	scratchImage = iota
	scratchTile
	scratchPanelA
	scratchPanelB
	scratchSlot
	scratchArgs
	scratchCopy
	scratchFoldSlot
	scratchFoldArgs
	scratchFoldTile
	scratchSlots
)

// scratch returns n floats (and a vector beyond them) of a slot, contents undefined.
func (w *worker) scratch(slot, n int) []float32 {
	if cap(w.floats[slot]) < n+align/4 {
		w.floats[slot] = cast[float32](allocate(4 * (n + align/4)))
	}
	return w.floats[slot][:n]
}

// team runs the pieces of a kernel. It holds no goroutines between calls.
type team struct {
	workers []worker
}

func newTeam(threads int) *team { return &team{make([]worker, threads)} }

// run calls f for every piece in [0, n), each once, from at most len(workers)
// goroutines; pieces must not depend on each other nor on which worker runs them.
func (t *team) run(n int, f func(w *worker, piece int)) {
	helpers := min(len(t.workers), n) - 1
	if helpers < 1 {
		for i := range n {
			f(&t.workers[0], i)
		}
		return
	}
	var next atomic.Int64
	work := func(w *worker) {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(w, i)
		}
	}
	var wg sync.WaitGroup
	for i := range helpers {
		wg.Go(func() { work(&t.workers[i+1]) })
	}
	work(&t.workers[0])
	wg.Wait()
}

// split returns the bounds of piece i of pieces of n items in units of unit.
func split(n, unit, pieces, i int) (lo, hi int) {
	units := (n + unit - 1) / unit
	return min(units*i/pieces*unit, n), min(units*(i+1)/pieces*unit, n)
}

// pieces returns how many pieces to cut work into: one when it is smaller than
// grain, otherwise a few per thread.
func (t *team) pieces(work, grain, limit int) int {
	if work <= grain || len(t.workers) == 1 {
		return 1
	}
	return max(1, min(limit, work/grain, 4*len(t.workers)))
}

// offsets returns a table of n entries, contents undefined.
func (w *worker) offsets(n int) []int64 {
	if cap(w.table) < n {
		w.table = make([]int64, n)
	}
	return w.table[:n]
}
