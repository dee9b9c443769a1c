package latency_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
)

// profiled is a runtime that tells of nodes what it is told to.
type profiled struct {
	runtimes.Runtime
	times map[*ir.Model][]runtimes.NodeTimes
}

func (p profiled) Describe() (runtimes.Info, error) {
	return runtimes.Info{Version: "Told 1", Threads: 3}, nil
}

func (p profiled) Profile(src runtimes.Source, _ map[string]*ir.Tensor, _, _ int) ([]runtimes.NodeTimes, error) {
	if p.times[src.Model] == nil {
		return nil, errors.New("no profile")
	}
	return p.times[src.Model], nil
}

func chain(ops ...string) *ir.Model {
	g := &ir.Graph{Name: "g"}
	last := "x"
	for i, op := range ops {
		n := &ir.Node{Name: "n" + string(rune('0'+i)), OpType: op, Inputs: []string{last}, Outputs: []string{"v" + string(rune('0'+i))}}
		if op == "Conv" {
			n.Inputs = append(n.Inputs, "w")
		}
		last, g.Nodes = n.Outputs[0], append(g.Nodes, n)
	}
	g.Inits = []*ir.Tensor{ir.NewFloat32("w", []int{1, 1, 1, 1}, []float32{1})}
	g.Inputs, g.Outputs = []ir.Value{{Name: "x"}}, []ir.Value{{Name: last}}
	return &ir.Model{Graph: g}
}

// TestMeasureNodes: times come to the groups whose nodes or values the runtime named its own
// after, sums by run, and what it adds stands by itself.
func TestMeasureNodes(t *testing.T) {
	before, after := chain("Conv", "Relu", "Flatten", "Shape"), chain("Conv", "Relu", "Flatten")
	rt := profiled{times: map[*ir.Model][]runtimes.NodeTimes{
		before: {{Name: "v1_nchwc", Op: "Conv", Times: []float64{4, 2, 3}}, {Name: "Reorder", Op: "ReorderOutput", Times: []float64{1, 1, 1}}, {Name: "n2", Op: "Flatten", Times: []float64{1, 2, 3}}, {Name: "n2/Fusion/", Op: "Flatten", Times: []float64{3, 2, 1}}},
		after:  {{Name: "fused n0", Op: "Conv", Times: []float64{1, 1, 2}}, {Name: "n22", Op: "Other", Times: []float64{7, 7, 7}}},
	}}
	src := [2]runtimes.Source{{Model: before}, {Model: after}}
	got, err := latency.MeasureNodes(rt, src, [2]map[string]*ir.Tensor{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Runtime != "Told 1" || got.Threads != 3 || len(got.Groups) != 4 {
		t.Fatalf("got %+v", got)
	}
	conv, flat, reorder, other := got.Groups[0], got.Groups[1], got.Groups[2], got.Groups[3]
	if !slices.Equal(conv.Nodes, []string{"n0", "n1"}) || conv.Kind != "Conv+Relu" || conv.Added || *conv.Before != (latency.Spread{P10: 2, P50: 3, P90: 4}) || conv.After.P50 != 1 {
		t.Errorf("convolution: %+v", conv)
	}
	if *flat.Before != (latency.Spread{P10: 4, P50: 4, P90: 4}) || flat.After != nil {
		t.Errorf("a node in two pieces: %+v", flat)
	}
	if !reorder.Added || reorder.Nodes[0] != "Reorder" || reorder.After != nil || !other.Added || other.Before != nil || other.After.P50 != 7 {
		t.Errorf("what the runtime adds: %+v, %+v", reorder, other)
	}
	if _, err := latency.MeasureNodes(rt, [2]runtimes.Source{{Model: before}, {Model: before.Clone()}}, [2]map[string]*ir.Tensor{}); err == nil || !strings.Contains(err.Error(), "no profile") {
		t.Errorf("a runtime that fails: %v", err)
	}
}
