package entangle_test

import (
	"testing"

	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/space"
)

// TestMiddleKeepsBlocks: the middle of a profile halves what has sizes and keeps what
// can only be kept or skipped.
func TestMiddleKeepsBlocks(t *testing.T) {
	b := runtest.New(t, "resnet20-tiny")
	b.Job.Target[0].Share = 0.9
	cost := map[string]map[string]float64{}
	for _, kind := range []string{"depth", "width"} {
		b.Job.Space.Kinds = []string{kind}
		cost[kind] = map[string]float64{}
		for _, p := range b.Plan(t).Profiles() {
			cost[kind][p.Name] = p.Cost[space.MACs]
		}
	}
	if d := cost["depth"]; d["middle"] != d["original (largest)"] || d["smallest"] >= d["middle"] {
		t.Errorf("depth: %v", d)
	}
	if w := cost["width"]; w["smallest"] >= w["middle"] || w["middle"] >= w["original (largest)"] {
		t.Errorf("width: %v", w)
	}
}
