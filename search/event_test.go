package search_test

import (
	"context"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/train"
)

// TestLastEventIsNoShortMean: every step event is a mean over LogEvery steps or more,
// the last one too, whatever the number of steps.
func TestLastEventIsNoShortMean(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	for _, every := range []int{2, 3, 4, 5} {
		var at []int
		total := 0
		_, err := b.Run(context.Background(), b.Plan(t), b.Job.Search, nil, nil, train.Hooks{LogEvery: every, Observe: func(e train.Event) {
			if e.Kind == "step" {
				at, total = append(at, e.Step), e.Total
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for _, s := range at {
			if s-before < min(every, total) {
				t.Errorf("every %d of %d steps: events at %v", every, total, at)
				break
			}
			before = s
		}
		if before != total {
			t.Errorf("every %d of %d steps: no event at the end: %v", every, total, at)
		}
	}
}
