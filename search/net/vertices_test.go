package net_test

import (
	"context"
	"math"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// TestRefinerLoss: the loss at a vertex is that of the subnet cut there, and a
// subnet is measured once.
func TestRefinerLoss(t *testing.T) {
	p, super, r := runtest.Refining(t, space.Options{Divisor: 2, MinRatio: 0.25})
	draw := rng.New(4, "test/refine")
	for range 3 {
		choice, err := decide.RandomChoice(p.Space, p.Budget, 0.8, draw.Rand)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Loss(choice)
		if err != nil {
			t.Fatal(err)
		}
		m, err := subnet.Cut(super, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := net.NewNetworkOn(m, 32, p.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := p.Views.Alpha.Loader(data.LoaderOptions{Batch: 32, Shuffle: true, DropLast: true, Seed: 3, Name: "refine"})
		if err != nil {
			t.Fatal(err)
		}
		view := p.Views.Alpha
		view.Index = nil
		for range 2 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			view.Index = append(view.Index, b.Index...)
		}
		l.Close()
		s, err := net.Evaluate(context.Background(), cpu.New(cpu.Options{Threads: 1}), n, view)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Loss-got) > 1e-5 {
			t.Errorf("choice %v: want the cut subnet's loss %.7f, got %.7f", choice, s.Loss, got)
		}
		before := r.Trials
		if again, err := r.Loss(choice); err != nil || again != got || r.Trials != before {
			t.Errorf("choice %v again: want %g without another run, got %g, %v, %d runs", choice, got, again, err, r.Trials-before)
		}
	}
	if _, err := r.Loss([]int{0}); err == nil {
		t.Error("a choice of the wrong length was measured")
	}
}
