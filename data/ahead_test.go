package data

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/internal/rng"
)

// whenApplied is an augmentation that only calls f.
func whenApplied(f func()) []Step {
	return []Step{{Augment: Augment{Name: "test", Doc: "test", Apply: func(*Image, float64, *rng.Stream) { f() }}}}
}

// TestWorkersGiveTheSameBytes reads three epochs with one and with seven workers.
func TestWorkersGiveTheSameBytes(t *testing.T) {
	v := synthetic(t, SyntheticOptions{Noise: 0.1}).Part("train").All()
	read := func(workers, prefetch int) (out []*Batch) {
		l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 8, Shuffle: true, Soft: true, Seed: 3, Name: "w", Augment: steps(t, "crop:2,flip,mixup:0.4"), Workers: workers, Prefetch: prefetch}))
		defer l.Close()
		for range 3 * l.Batches() {
			out = append(out, must[*Batch](t)(l.Next()))
		}
		return out
	}
	if !reflect.DeepEqual(read(1, 1), read(7, 5)) {
		t.Error("batches depend on the number of workers")
	}
}

// TestBatchesAreAssembledTogether: the first two batches wait for each other.
func TestBatchesAreAssembledTogether(t *testing.T) {
	v := synthetic(t, SyntheticOptions{}).Part("train").All()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	meet := make(chan bool)
	var calls atomic.Int32
	l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 1, Workers: 2, Augment: whenApplied(func() {
		if calls.Add(1) > 2 {
			return
		}
		select {
		case meet <- true:
		case <-meet:
		case <-ctx.Done():
		}
	})}))
	defer l.Close()
	must[*Batch](t)(l.Next())
	if ctx.Err() != nil {
		t.Error("the second batch was not begun before the first was done")
	}
}

// TestAheadIsBounded: what nobody reads is not assembled.
func TestAheadIsBounded(t *testing.T) {
	v := synthetic(t, SyntheticOptions{}).Part("train").All()
	var begun atomic.Int32
	l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 1, Workers: 3, Prefetch: 4, Augment: whenApplied(func() { begun.Add(1) })}))
	for k := range 10 {
		must[*Batch](t)(l.Next())
		if n := begun.Load(); n > int32(k+1+4+1) {
			t.Errorf("after batch %d: %d are begun, want at most 5 ahead", k, n)
		}
	}
	l.Close()
	after := begun.Load()
	if n := must[*Batch](t)(l.Next()); n.Step != 10 || begun.Load() == after {
		t.Errorf("want batch 10, assembled anew, got %d", n.Step)
	}
	l.Close()
}

// broken is a column whose sample 5 cannot be read.
type broken struct{ column }

var errBroken = errors.New("broken")

func (c broken) read(i int, dst []float32) error {
	if i == 5 {
		return errBroken
	}
	return c.column.read(i, dst)
}

// TestErrorsComeInOrder: batches before one that fails are delivered, and the loader
// stands at it.
func TestErrorsComeInOrder(t *testing.T) {
	set := synthetic(t, SyntheticOptions{})
	p := set.Part("train")
	p.columns[0] = broken{p.columns[0]}
	l := must[*Loader](t)(p.All().Loader(LoaderOptions{Batch: 2, Workers: 4}))
	defer l.Close()
	for k := range 2 {
		if b := must[*Batch](t)(l.Next()); b.Step != k {
			t.Errorf("want batch %d, got %d", k, b.Step)
		}
	}
	for range 2 {
		if _, err := l.Next(); !errors.Is(err, errBroken) || l.State().Step != 2 {
			t.Errorf("want the error of batch 2, got %v at batch %d", err, l.State().Step)
		}
	}
}

// BenchmarkLoader reads batches of 128 augmented 32×32 images.
func BenchmarkLoader(b *testing.B) {
	set, err := Synthetic(SyntheticOptions{Classes: 10, Shape: [3]int{3, 32, 32}, Train: 1024, Test: 8})
	if err != nil {
		b.Fatal(err)
	}
	aug, err := ParseAugments("flip,crop")
	if err != nil {
		b.Fatal(err)
	}
	l, err := set.Part("train").All().Loader(LoaderOptions{Batch: 128, Shuffle: true, Augment: aug})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		if _, err := l.Next(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(128*b.N)/b.Elapsed().Seconds(), "images/s")
}
