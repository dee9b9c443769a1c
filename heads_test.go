package entangle_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// head is one kind of network's end, on features [32, 8, 8], with what someone who knows it
// would set.
type head struct {
	name string
	wire func(n *models.Net, x models.Val)
	hand net.Settings
	tail func(m *ir.Model) // puts what has no gradient behind
}

// network builds a small network for images [3, 16, 16] with a head.
func (h head) network(t *testing.T) *ir.Model {
	t.Helper()
	entry := models.Entry{Name: "head", Defaults: models.Options{Classes: 2, Channels: 3, Size: 16, Width: 16, Depth: 1}, Wire: func(n *models.Net, o models.Options) {
		x := n.Input("image", 3, 16, 16)
		for i, stride := range []int{1, 2, 1} {
			name := fmt.Sprintf("block.%d", i)
			x = n.Relu(name+".relu", n.Conv(name, x, 16<<min(i, 1), models.ConvOptions{Kernel: 3, Stride: stride, Bias: true}))
		}
		h.wire(n, x)
	}}
	raw, err := entry.Build(models.Options{Scatter: true, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if h.tail != nil {
		h.tail(raw)
	}
	return raw
}

// largest puts an ArgMax over the classes behind an output of maps or rows, in its place.
func largest(axis, keep int) func(m *ir.Model) {
	return func(m *ir.Model) {
		g := m.Graph
		v := &g.Outputs[0]
		n := &ir.Node{Name: "decide", OpType: "ArgMax", Inputs: []string{v.Name}, Outputs: []string{"classes"}}
		n.SetAttr(ir.IntAttr("axis", axis))
		n.SetAttr(ir.IntAttr("keepdims", keep))
		g.Nodes = append(g.Nodes, n)
		shape := slices.Clone(v.Type.Shape)
		if shape[axis] = (ir.Dim{Size: 1}); keep == 0 {
			shape = slices.Delete(shape, axis, axis+1)
		}
		*v = ir.Value{Name: "classes", Type: ir.Type{Kind: ir.KindTensor, Elem: ir.Int64, Ranked: true, Shape: shape}}
	}
}

// suppress puts a NonMaxSuppression behind outputs boxes and scores, in their place.
func suppress(m *ir.Model) {
	g := m.Graph
	g.Inits = append(g.Inits, ir.NewInt64("most", []int{1}, []int64{20}), ir.NewFloat32("iou", []int{1}, []float32{0.5}), ir.NewFloat32("least", []int{1}, []float32{0.5}))
	g.Nodes = append(g.Nodes, &ir.Node{Name: "nms", OpType: "NonMaxSuppression", Inputs: []string{"boxes", "scores", "most", "iou", "least"}, Outputs: []string{"selected"}})
	g.Outputs = []ir.Value{{Name: "selected", Type: ir.TensorType(ir.Int64, -1, 3)}}
}

// linear is a matrix on the mean over the map.
func linear(n *models.Net, name string, x models.Val, out int) models.Val {
	return n.Linear(name, n.Flatten(name+".flat", n.GlobalAveragePool(name+".pool", x)), out)
}

// pointwise is a 1×1 convolution.
func pointwise(n *models.Net, name string, x models.Val, out int) models.Val {
	return n.Conv(name, x, out, models.ConvOptions{Kernel: 1, Bias: true})
}

// anchored turns a map [c·k, h, w] to [h·w·k, c].
func anchored(n *models.Net, name string, x models.Val, c int) models.Val {
	rows := x.Shape[0] * x.Shape[1] * x.Shape[2] / c
	t := n.Node("Transpose", name+".last", []models.Val{x}, []int{x.Shape[1], x.Shape[2], x.Shape[0]}, ir.IntsAttr("perm", 0, 2, 3, 1))
	return n.Reshape(name+".rows", t, rows, c)
}

func one(kind measure.Kind, outputs ...string) (s net.Settings) {
	for _, o := range outputs {
		s = append(s, net.Setting{Output: o, Kind: kind, Weight: 1})
	}
	return s
}

var heads = []head{
	{"one logit", func(n *models.Net, x models.Val) { n.Output("logit", linear(n, "fc", x, 1)) }, one(measure.Values, "logit"), nil},
	{"one probability", func(n *models.Net, x models.Val) { n.Output("p", n.Unary("Sigmoid", "sigmoid", linear(n, "fc", x, 1))) }, one(measure.Sigmoid, "p"), nil},
	{"sigmoid vector", func(n *models.Net, x models.Val) {
		n.Output("tags", n.Unary("Sigmoid", "sigmoid", linear(n, "fc", x, 12)))
	}, one(measure.Sigmoid, "tags"), nil},
	{"boxes and scores", func(n *models.Net, x models.Val) {
		n.Output("scores", n.Node("Softmax", "softmax", []models.Val{anchored(n, "score", pointwise(n, "score.conv", x, 4), 2)}, []int{128, 2}, ir.IntAttr("axis", 2)))
		n.Output("boxes", anchored(n, "box", pointwise(n, "box.conv", x, 8), 4))
	}, append(one(measure.Probabilities, "scores"), one(measure.Values, "boxes")...), nil},
	{"landmarks", func(n *models.Net, x models.Val) { n.Output("points", linear(n, "fc", x, 20)) }, one(measure.Values, "points"), nil},
	{"heat map", func(n *models.Net, x models.Val) {
		n.Output("heat", n.Unary("Sigmoid", "sigmoid", pointwise(n, "last", x, 3)))
	}, one(measure.Sigmoid, "heat"), nil},
	{"embedding", func(n *models.Net, x models.Val) {
		n.Output("face", n.Node("LpNormalization", "unit", []models.Val{linear(n, "fc", x, 16)}, []int{16}, ir.IntAttr("axis", -1), ir.IntAttr("p", 2)))
	}, one(measure.Embedding, "face"), nil},
	{"depth map", func(n *models.Net, x models.Val) { n.Output("depth", n.Relu("relu", pointwise(n, "last", x, 1))) }, one(measure.Values, "depth"), nil},
	{"segmentation", func(n *models.Net, x models.Val) {
		n.Output("mask", n.Node("Softmax", "softmax", []models.Val{pointwise(n, "last", x, 5)}, []int{5, 8, 8}, ir.IntAttr("axis", 1)))
	}, one(measure.Probabilities, "mask"), nil},
	{"CTC", func(n *models.Net, x models.Val) {
		steps := anchored(n, "step", pointwise(n, "last", n.Pool("AveragePool", "rows", x, 2, 2, 0), 11), 11)
		n.Output("text", n.Node("Softmax", "softmax", []models.Val{steps}, []int{16, 11}, ir.IntAttr("axis", 2)))
	}, one(measure.Probabilities, "text"), nil},
	{"span", func(n *models.Net, x models.Val) {
		for _, name := range []string{"start", "end"} {
			n.Output(name, n.Reshape(name+".flat", pointwise(n, name+".conv", x, 1), 64))
		}
	}, one(measure.Logits, "start", "end"), nil},
	{"value and class", func(n *models.Net, x models.Val) {
		n.Output("age", linear(n, "age.fc", x, 1))
		n.Output("gender", n.Node("Softmax", "softmax", []models.Val{linear(n, "gender.fc", x, 2)}, []int{2}, ir.IntAttr("axis", 1)))
	}, append(one(measure.Values, "age"), one(measure.Probabilities, "gender")...), nil},
	{"segmentation with ArgMax", func(n *models.Net, x models.Val) {
		n.Output("maps", pointwise(n, "last", x, 5))
	}, net.Settings{{Output: "maps", Kind: measure.Logits, Weight: 1, Axis: 1}}, largest(1, 0)},
	{"detector with NMS", func(n *models.Net, x models.Val) {
		n.Output("boxes", anchored(n, "box", pointwise(n, "box.conv", x, 8), 4))
		flat := n.Reshape("score.flat", pointwise(n, "score.conv", x, 4), 2, 128)
		n.Output("scores", n.Unary("Sigmoid", "sigmoid", flat))
	}, append(one(measure.Sigmoid, "scores"), one(measure.Values, "boxes")...), suppress},
}

// TestHeads: without labels, every kind of output is tuned as well by what the rule finds as
// by what someone who knows it would set, and better than the bare cut, each by its own measure.
func TestHeads(t *testing.T) {
	set, err := data.Synthetic(data.SyntheticOptions{Classes: 4, Shape: [3]int{3, 16, 16}, Train: 320, Test: 160, Noise: 0.3, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	set.Classes = nil
	for _, p := range set.Parts {
		p.Labels = nil
	}
	for _, h := range heads {
		t.Run(h.name, func(t *testing.T) {
			if testing.Short() && h.name != "value and class" {
				t.Skip("tunes twice: skipped by -short")
			}
			raw := h.network(t)
			tuned := func(s net.Settings) *entangle.Candidate {
				m, err := entangle.Normalise(raw)
				if err != nil {
					t.Fatal(err)
				}
				j := entangle.DefaultJob()
				j.Data.Batch, j.Seed, j.Method, j.Space.Divisor = 32, 3, "uniform", 2
				j.Target = entangle.Targets{{Metric: "macs", Share: 0.6}}
				j.Tune = nettest.Adam(24, 0.001)
				j.Tune.Objective = net.Objective{Distill: 1, Temperature: 2}
				j.Search.Weights.Objective, j.Outputs = j.Tune.Objective, s
				p, err := entangle.Prepare(m, set, j)
				if err != nil {
					t.Fatal(err)
				}
				o, err := p.Compress(context.Background(), cpu.New(cpu.Options{Threads: 2}), entangle.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return &o.Candidates[0]
			}
			mine, hand := tuned(nil), tuned(h.hand).Test.Distance
			found, seen := mine.Test.Distance, mine.Val.Distance
			for i, o := range found.Tuned.Outputs {
				// Both are measured as the rule has it, but for spans, whose places count.
				was, now, want := found.Inherited.Outputs[i], o, hand.Tuned.Outputs[i]
				t.Logf("%s as %s: %s cut, %s tuned (distance %.4f, %.4f); as %s %s (%.4f)", o.Name, o.Kind, was.Figure(), now.Figure(), was.Error, now.Error, want.Kind, want.Figure(), want.Error)
				if was, now := seen.Inherited.Outputs[i], seen.Tuned.Outputs[i]; len(seen.Tuned.Outputs) == 1 && !(now.Error < was.Error) {
					t.Errorf("%s: want it nearer than the cut's %.4f on validation, got %.4f", o.Name, was.Error, now.Error)
				}
				if now.Error > 1.1*was.Error+0.001 {
					t.Errorf("%s: want it as near as the cut's %.4f, got %.4f", o.Name, was.Error, now.Error)
				}
				if now.Error > 1.1*want.Error+0.005 {
					t.Errorf("%s: want it about as near as set by hand, %.4f, got %.4f", o.Name, want.Error, now.Error)
				}
			}
		})
	}
}

// labelled are heads with the labels that teach them, and what these are measured by.
var labelled = []struct {
	head
	labels, figure string
	least          float64 // that tuning adds, in points
}{
	{head{"two numbers", func(n *models.Net, x models.Val) {
		n.Output("centre", n.Linear("fc", n.Flatten("flat", n.Pool("AveragePool", "pool", x, 2, 2, 0)), 2))
	}, nil, nil}, "place", "R²", 20},
	{head{"one number", func(n *models.Net, x models.Val) { n.Output("area", linear(n, "fc", x, 1)) }, nil, nil}, "area", "R²", 20},
	{head{"one logit", func(n *models.Net, x models.Val) { n.Output("red", linear(n, "fc", x, 1)) }, nil, nil}, "red", "accuracy", 5},
	{head{"several labels", func(n *models.Net, x models.Val) {
		n.Output("corners", n.Linear("fc", n.Flatten("flat", n.Pool("AveragePool", "pool", x, 2, 2, 0)), 4))
	}, nil, nil}, "corners", "mean average precision", 10},
	{head{"mask", mapped, nil, nil}, "mask", "mean IoU", 10},
	{head{"mask with ArgMax", mapped, nil, largest(1, 0)}, "mask", "mean IoU", 10},
	{head{"class with ArgMax", classesOf, nil, largest(1, 0)}, "colour", "accuracy", 10},
}

// TestLabelledHeads: labels alone teach every kind of output that they can be for, never to less
// than the cut, by the measure of their kind.
func TestLabelledHeads(t *testing.T) {
	for _, h := range labelled {
		t.Run(h.name, func(t *testing.T) {
			if testing.Short() && h.name != "mask with ArgMax" {
				t.Skip("tunes: skipped by -short")
			}
			set := patched(t, h.labels)
			m, err := entangle.Normalise(h.network(t))
			if err != nil {
				t.Fatal(err)
			}
			j := entangle.DefaultJob()
			j.Data.Batch, j.Seed, j.Method, j.Space.Divisor, j.Space.Order = 32, 3, "uniform", 2, "magnitude"
			j.Target = entangle.Targets{{Metric: "macs", Share: 0.6}}
			j.Tune = nettest.Adam(8, 0.005)
			j.Tune.Objective = net.Objective{Labels: 1, Temperature: 1}
			j.Search.Weights.Objective = j.Tune.Objective
			p, err := entangle.Prepare(m, set, j)
			if err != nil {
				t.Fatal(err)
			}
			o, err := p.Compress(context.Background(), cpu.New(cpu.Options{Threads: 2}), entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []struct {
				part string
				entangle.Quality
				least float64
			}{{"validation", o.Candidates[0].Val, 0}, {"test", o.Candidates[0].Test, h.least}} {
				was, now := q.Inherited.Figure(), q.Tuned.Figure()
				t.Logf("%s, %s: %s cut, %s tuned", q.part, now.Name, was, now)
				if now.Name != h.figure || -was.Drop(now) < q.least {
					t.Errorf("%s: want %s, at least %g points above the cut's %s, got %s %s", q.part, h.figure, q.least, was, now.Name, now)
				}
			}
		})
	}
}
