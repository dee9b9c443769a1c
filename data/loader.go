package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// Batch is one group of samples, ready for a program. It belongs to the caller.
type Batch struct {
	// Inputs holds one tensor per Set.Fields entry: [batch, sample shape…], images
	// in the set's layout.
	Inputs []*prim.Tensor
	// Labels is i64[batch], or [batch, Set.LabelShape…] of i64 or f32 when the set has a
	// LabelShape, or nil when the part has none. Under mixup it is the class of the sample itself.
	Labels *prim.Tensor
	// Soft is f32[batch, classes], the target distribution after mixing, when asked
	// for and there are labels.
	Soft *prim.Tensor
	// Partner and Lambda describe mixing: sample i is Lambda[i]·own +
	// (1−Lambda[i])·the sample at position Partner[i] of the batch. Nil without.
	Partner []int
	Lambda  []float32
	// Index holds the positions of the samples in the part.
	Index []int
	// Moves stand for Inputs when asked for: sample i is Index[i] of the part's Whole
	// after the moves Moves[i], one after the other.
	Moves [][]Move
	// Valid counts the samples; those beyond it, in a padded last batch, repeat the
	// first ones and must not count.
	Valid int
	// Epoch and Step say which batch this is; Last that it ends its epoch.
	Epoch, Step int
	Last        bool
}

// LoaderOptions say how a view is turned into batches.
type LoaderOptions struct {
	Batch int
	// Shuffle reorders the samples every epoch.
	Shuffle bool
	// Shift moves the windows of a stream of tokens by an offset that is drawn anew
	// every epoch, from 0 to below the stride. The last window of every run of
	// neighbours keeps its place, so that no token comes in that belongs to no sample.
	Shift bool
	// DropLast leaves out the samples that do not fill a batch; otherwise the last
	// batch is padded.
	DropLast bool
	Augment  []Step
	// Moves asks for Batch.Moves instead of Inputs; the part must be Movable.
	Moves bool
	// Soft asks for Batch.Soft.
	Soft bool
	Seed uint64
	// Name names the random streams; loaders that share it and the seed draw alike.
	Name string
	// Prefetch is how many batches are assembled ahead; 0 stands for Workers, at least 2.
	Prefetch int
	// Workers is how many batches are assembled at a time; 0 stands for half of the
	// cores, at most 8.
	Workers int
}

// State is the position of a loader: the next batch. Key identifies the samples
// and options it belongs to.
type State struct {
	Epoch int    `json:"epoch"`
	Step  int    `json:"step"`
	Key   string `json:"key"`
}

// Loader hands out batches, epoch after epoch without end. It is not safe for
// concurrent use.
type Loader struct {
	view View
	o    LoaderOptions
	key  string
	next State
	ends map[int]bool // samples that Shift does not move; nil: none is moved

	ahead *ahead // nil: nothing runs
}

// Loader returns a loader at the start of epoch 0.
func (v View) Loader(o LoaderOptions) (*Loader, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("data: loader %q: batch: want at least 1, got %d", o.Name, o.Batch)
	}
	if o.DropLast && v.Len() < o.Batch {
		return nil, fmt.Errorf("data: loader %q: want at least one batch of %d samples, got %d samples", o.Name, o.Batch, v.Len())
	}
	if v.Len() == 0 {
		return nil, fmt.Errorf("data: loader %q: want samples, got none", o.Name)
	}
	if err := checkSteps(o.Augment); err != nil {
		return nil, err
	}
	if set := v.part.set; v.part.targets != nil && (set.spatial() || slices.ContainsFunc(o.Augment, func(s Step) bool { return s.Lambda != nil })) {
		if err := set.CheckAugment(o.Augment); err != nil {
			return nil, err
		}
	}
	if o.Moves {
		if err := v.part.Movable(o.Augment); err != nil {
			return nil, err
		}
	}
	if o.Workers <= 0 {
		o.Workers = defaultWorkers()
	}
	if o.Prefetch <= 0 {
		o.Prefetch = max(o.Workers, 2)
	}
	l := &Loader{view: v, o: o}
	if o.Shift && v.part.stride > 1 {
		l.ends = v.ends()
	}
	l.key = l.fingerprint()
	l.next.Key = l.key
	return l, nil
}

// Batches returns the number of batches in an epoch.
func (l *Loader) Batches() int {
	if l.o.DropLast {
		return l.view.Len() / l.o.Batch
	}
	return (l.view.Len() + l.o.Batch - 1) / l.o.Batch
}

// View returns the samples that l serves.
func (l *Loader) View() View { return l.view }

// State returns the position of the next batch.
func (l *Loader) State() State { return l.next }

// Restore moves to a position that a loader of the same samples and options returned.
func (l *Loader) Restore(s State) error {
	if s.Key != l.key {
		return fmt.Errorf("data: loader %q: the position belongs to other data or options: want key %s, got %s", l.o.Name, l.key, s.Key)
	}
	if s.Epoch < 0 || s.Step < 0 || s.Step >= l.Batches() {
		return fmt.Errorf("data: loader %q: position: want a step from 0 to %d, got epoch %d, step %d", l.o.Name, l.Batches()-1, s.Epoch, s.Step)
	}
	l.Close()
	l.next = s
	return nil
}

// Next returns the next batch. Errors come from sources that decode on demand; the
// loader then stands at the batch that failed.
func (l *Loader) Next() (*Batch, error) {
	if l.ahead == nil {
		l.ahead = newAhead(l, l.next.Epoch, l.next.Step)
	}
	b, err := l.ahead.next()
	if err != nil {
		l.Close()
		return nil, err
	}
	l.next.Epoch, l.next.Step = l.advance(l.next.Epoch, l.next.Step)
	return b, nil
}

// Each calls f with every batch up to the end of the current epoch.
func (l *Loader) Each(f func(*Batch) error) error {
	for {
		b, err := l.Next()
		if err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
		if b.Last {
			return nil
		}
	}
}

// Close stops the background work. The loader may be used again and goes on where it was.
func (l *Loader) Close() {
	if l.ahead != nil {
		l.ahead.close()
		l.ahead = nil
	}
}

func (l *Loader) advance(epoch, step int) (int, int) {
	if step+1 < l.Batches() {
		return epoch, step + 1
	}
	return epoch + 1, 0
}

// order returns the sequence of one epoch.
func (l *Loader) order(epoch int) []int {
	order := make([]int, l.view.Len())
	copy(order, l.view.Index)
	if l.o.Shuffle {
		r := rng.New(l.o.Seed, fmt.Sprintf("data/%s/shuffle/%d", l.o.Name, epoch))
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// offset returns how far the windows of an epoch are moved.
func (l *Loader) offset(epoch int) int {
	if l.ends == nil {
		return 0
	}
	return rng.New(l.o.Seed, fmt.Sprintf("data/%s/offset/%d", l.o.Name, epoch)).IntN(l.view.part.stride)
}

// fingerprint hashes what decides the batches.
func (l *Loader) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s|%d|%t|%t|%t|%d|%s|%d", l.view.part.Name, l.o.Batch, l.o.Shuffle, l.o.DropLast, l.o.Soft, l.o.Seed, l.o.Name, l.view.part.n)
	for _, s := range l.o.Augment {
		fmt.Fprintf(h, "|%s:%v", s.Name, s.Amount)
	}
	if shape := l.view.part.set.LabelShape; shape != nil {
		fmt.Fprintf(h, "|%v|%d", shape, l.view.part.overlap)
	}
	if l.ends != nil {
		fmt.Fprintf(h, "|shift:%d", l.view.part.stride)
	}
	buf := make([]byte, 0, 8*len(l.view.Index))
	for _, i := range l.view.Index {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(i))
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
