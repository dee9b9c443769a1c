package data

import (
	"runtime"
	"sync"
)

// maxWorkers bounds the workers that a loader takes on its own.
const maxWorkers = 8

// ahead assembles batches in order before they are asked for, several at a time.
type ahead struct {
	queue chan chan result // one place per batch, in order
	stop  chan struct{}
	wait  sync.WaitGroup
}

type result struct {
	batch *Batch
	err   error
}

type assembly struct {
	order       []int
	epoch, step int
	done        chan result
}

// newAhead begins at a position of l. At most Prefetch batches are begun and not yet
// asked for. What a batch holds depends on its position alone, so the number and the
// speed of the workers do not show.
func newAhead(l *Loader, epoch, step int) *ahead {
	a := &ahead{queue: make(chan chan result, l.o.Prefetch), stop: make(chan struct{})}
	jobs := make(chan assembly)
	for range l.o.Workers {
		a.wait.Go(func() {
			for j := range jobs {
				b, err := l.assemble(j.order, j.epoch, j.step)
				j.done <- result{b, err}
			}
		})
	}
	a.wait.Go(func() {
		defer close(jobs)
		order, of := l.order(epoch), epoch
		for {
			if of != epoch {
				order, of = l.order(epoch), epoch
			}
			j := assembly{order, epoch, step, make(chan result, 1)}
			select {
			case a.queue <- j.done:
			case <-a.stop:
				return
			}
			select {
			case jobs <- j:
			case <-a.stop:
				return
			}
			epoch, step = l.advance(epoch, step)
		}
	})
	return a
}

func (a *ahead) next() (*Batch, error) {
	r := <-<-a.queue
	return r.batch, r.err
}

// close returns when nothing runs any more.
func (a *ahead) close() {
	close(a.stop)
	a.wait.Wait()
}

// defaultWorkers leaves half of the cores to what reads the batches.
func defaultWorkers() int { return min(max(runtime.GOMAXPROCS(0)/2, 1), maxWorkers) }
