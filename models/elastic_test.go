package models_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// TestElastic holds what may change in every tiny network (the largest width of
// each group, kernels, residual branches) to testdata/elastic.txt.
func TestElastic(t *testing.T) {
	var b strings.Builder
	for _, e := range models.Tiny() {
		fmt.Fprintf(&b, "%s\n", e.Name)
		for _, d := range dims(t, e) {
			fmt.Fprintf(&b, "  %-6s %s %d\n", d.Kind, d.Node, slices.Max(d.Choices))
		}
	}
	models.Golden(t, "testdata/elastic.txt", b.String())
}

// TestResidualBranches names, by network, every residual node whose branch may be skipped.
func TestResidualBranches(t *testing.T) {
	inverted := []string{"block0.0.add", "block0.1.add", "block1.1.add", "block2.1.add"}
	want := map[string][]string{
		"fashion-tiny":        {"stage1.0.add", "stage2.0.add", "stage2.1.add", "stage3.0.add"},
		"resnet20-tiny":       {"layer1.0.add", "layer1.1.add", "layer2.1.add", "layer3.1.add"},
		"resnet20a-tiny":      {"layer1.0.add", "layer1.1.add", "layer2.0.add", "layer2.1.add", "layer3.0.add", "layer3.1.add"},
		"preact-tiny":         {"layer1.0.add", "layer1.1.add", "layer2.1.add"},
		"mobilenet-tiny":      inverted,
		"squeeze-excite-tiny": inverted,
		"grouped-tiny":        {"block0.0.add", "block0.1.add", "block1.0.add", "block1.1.add"},
		"conv1d-tiny":         {"block0.0.add", "block0.1.add", "block1.0.add", "block1.1.add"},
		"volume-tiny":         {"block.0.add"},
		"norms-tiny":          {"block.0.add"},
		"groupnorm-tiny":      {"block.0.add"},
		"multi-output-tiny":   {"trunk.0.add"},
	}
	for _, e := range models.Tiny() {
		var got []string
		for _, d := range dims(t, e) {
			if d.Kind == "depth" {
				got = append(got, d.Node)
			}
		}
		if !slices.Equal(got, want[e.Name]) {
			t.Errorf("%s: branches that may be skipped: want %q, got %q", e.Name, want[e.Name], got)
		}
	}
}

func dims(t *testing.T, e models.Entry) []space.Dim {
	t.Helper()
	m := build(t, e)
	f, err := ops.InferModel(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.New(an, space.Options{Divisor: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s.Dims
}
