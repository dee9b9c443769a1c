package search

import (
	"context"
	"math"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// smoothSearcher is a search of a small smooth network on 32 samples of each kind, in batches of 4.
func smoothSearcher(t *testing.T, be engine.Backend, c Config) *searcher {
	t.Helper()
	_, super := nettest.Built(t, "flatten-tiny", 4)
	views := halves(t, imagesFor(t, super, 64, 8))
	s, err := newSearcher(be, super, nil, views.Weights, views.Alpha, c, nil, nil, 1, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// TestUnrolledGradient compares the gradient through a weight step with central
// differences of the loss after that step, in float64; without the second term it is
// far off.
func TestUnrolledGradient(t *testing.T) {
	c := DefaultConfig()
	c.Unrolled = true
	c.Weights.Rate, c.Weights.Warmup, c.Weights.Schedule = 0.5, 0, "constant"
	c.Weights.Accumulate = 2
	c.Weights.Hyper.WeightDecay = 0.01
	s := smoothSearcher(t, ref.New(), c)
	if err := s.advance(context.Background()); err != nil { // velocity
		t.Fatal(err)
	}
	train, err := s.Take(s.Loader, s.Feed)
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Take(s.aload, s.afeed)
	if err != nil {
		t.Fatal(err)
	}
	coef := s.means()
	upload := func() net.Env {
		env, err := net.UploadCoef(s.Be, coef)
		if err != nil {
			t.Fatal(err)
		}
		return env
	}
	got, loss, err := s.unrolled.slope(s, x, train, upload())
	if err != nil {
		t.Fatal(err)
	}
	after := func() float64 {
		_, loss, err := s.unrolled.slope(s, x, train, upload())
		if err != nil {
			t.Fatal(err)
		}
		return loss
	}
	if again := after(); again != loss {
		t.Errorf("the loss after a step is %g, then %g: something moved", loss, again)
	}
	first, _, err := s.slope(s.alphas, net.Env{}, x, s.alphaDraw, upload())
	if err != nil {
		t.Fatal(err)
	}
	const h = 1.0 / 256
	at, wrong, off, size := 0, 0.0, 0.0, 0.0
	for d := range coef {
		for k := range coef[d] {
			if at%3 == 0 {
				old := coef[d][k]
				coef[d][k] = float64(float32(old)) + h
				up := after()
				coef[d][k] -= 2 * h
				want := (up - after()) / (2 * h)
				coef[d][k] = old
				wrong, off, size = max(wrong, math.Abs(got[at]-want)), max(off, math.Abs(first[at]-want)), max(size, math.Abs(want))
			}
			at++
		}
	}
	t.Logf("largest slope %.4g, error %.2g, of first order %.2g", size, wrong, off)
	if wrong > 0.01*size || off < 5*wrong || off < 0.05*size {
		t.Errorf("slope up to %g: error %g, of first order %g", size, wrong, off)
	}
}

// TestUnrolledSearch: a search with it repeats to the bit, and moves α otherwise than
// without; weights that do not move are refused.
func TestUnrolledSearch(t *testing.T) {
	run := func(second bool) *Decision {
		c := DefaultConfig()
		c.Unrolled = second
		s := smoothSearcher(t, cpu.New(cpu.Options{Threads: 1}), c)
		for s.Pos.Step < 4 {
			if err := s.advance(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		w, err := s.Net.Weights(s.Env)
		if err != nil {
			t.Fatal(err)
		}
		return &Decision{Result: train.Result{Weights: w}, Alpha: s.Pos.Alpha, Mean: s.means()}
	}
	one, two, plain := run(true), run(true), run(false)
	if !reflect.DeepEqual(one, two) {
		t.Error("two runs with one seed differ")
	}
	if reflect.DeepEqual(one.Alpha, plain.Alpha) {
		t.Error("the second term changed nothing")
	}
	c := DefaultConfig()
	c.Unrolled, c.FreezeWeights = true, true
	_, super := nettest.Built(t, "flatten-tiny", 4)
	views := smoothSearcher(t, cpu.New(cpu.Options{Threads: 1}), DefaultConfig())
	if _, err := Run(context.Background(), views.Be, super, nil, views.Loader.View(), views.aload.View(), data.View{}, c, nil, 1, train.Hooks{}); err == nil {
		t.Error("frozen weights were unrolled")
	}
}
