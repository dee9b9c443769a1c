package net_test

import (
	"context"
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/net"
)

// TestCompareWithItself: a network has no distance from itself, and one whose
// weights are scaled has; a last batch that is padded counts once.
func TestCompareWithItself(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	n, v := b.Parts(t, 48)
	f, err := net.Compare(context.Background(), b.Be, n, n, v.Test)
	if err != nil {
		t.Fatal(err)
	}
	if f.Error != 0 || f.Samples != 80 {
		t.Errorf("a network against itself: %+v", f)
	}
	if _, err := net.Compare(context.Background(), b.Be, n, n, v.Test.Head(0)); err == nil {
		t.Error("an empty view was accepted")
	}
}
