package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// build trains a detector on so many images and writes it into a folder, with other images
// beside it that have no labels: images/train.npz and images/test.npz.
func build(ctx context.Context, dir string, images int, epochs float64) error {
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o777); err != nil {
		return err
	}
	known := filepath.Join(dir, "known.npz")
	for _, x := range []struct {
		path   string
		scenes []scene
		labels bool
	}{{known, draw(1, images), true}, {filepath.Join(dir, "images", "train.npz"), draw(2, images), false}, {filepath.Join(dir, "images", "test.npz"), draw(3, 300), false}} {
		if err := write(x.path, x.scenes, x.labels); err != nil {
			return err
		}
	}
	set, err := data.Open("npz:"+known, data.Options{})
	if err != nil {
		return err
	}
	m, err := network()
	if err != nil {
		return err
	}
	pupil, err := entangle.Normalise(m)
	if err != nil {
		return err
	}
	teacher, err := entangle.Normalise(answers())
	if err != nil {
		return err
	}
	j := entangle.DefaultJob()
	j.Device, j.Data.Batch, j.Calibrate = "cpu", 50, 0
	j.Tune.Epochs, j.Tune.Optimiser, j.Tune.Rate, j.Tune.Augment = train.Epochs(epochs), "adam", 0.004, "none"
	j.Tune.Objective.Labels, j.Tune.Objective.Distill = 0, 1
	j.Outputs = net.Settings{{Output: "scores", Kind: measure.Values, Weight: 1}} // the teacher has no logits of them
	t, err := entangle.PrepareTraining(pupil, teacher, set, j)
	if err != nil {
		return err
	}
	tell := func(e train.Event) {
		if e.Kind == "step" && e.Step%60 == 0 {
			fmt.Fprintf(os.Stderr, "step %d of %d: loss %.4f\n", e.Step, e.Total, e.Loss)
		}
	}
	trained, _, _, err := t.Train(ctx, cpu.New(cpu.Options{}), "train", entangle.Options{Observe: tell})
	if err != nil {
		return err
	}
	trained.Graph.Inputs = trained.Graph.Inputs[:1]
	return entangle.Export(filepath.Join(dir, "detector.onnx"), trained)
}

// truths are the fields of the training data that only the teacher reads.
var truths = []struct {
	name, output string
	channels     int
}{{"boxes.true", "boxes", 4}, {"scores.true", "scores", 1}}

// network is a small detector: image [batch, 1, 32, 32] to boxes [batch, 4, 4, 4] and scores
// [batch, 1, 4, 4]. Its weights are random. It takes what the teacher takes, and leaves it.
func network() (*ir.Model, error) {
	n := models.NewNet("detector", models.Options{Seed: 1})
	x := n.Input("image", 1, side, side)
	for _, t := range truths {
		n.Input(t.name, t.channels, cells, cells)
	}
	for i, l := range []struct{ width, stride int }{{16, 1}, {32, 2}, {32, 2}, {64, 2}, {64, 1}} {
		x = n.ConvBNRelu(fmt.Sprintf("trunk%d", i), x, l.width, models.ConvOptions{Kernel: 3, Stride: l.stride})
	}
	b := n.ConvBNRelu("boxes.in", x, 64, models.ConvOptions{Kernel: 3})
	n.Output("boxes", n.Conv("boxes.out", b, 4, models.ConvOptions{Kernel: 1, Bias: true}))
	s := n.ConvBNRelu("scores.in", x, 32, models.ConvOptions{Kernel: 1})
	n.Output("scores", n.Unary("Sigmoid", "scores.out", n.Conv("scores.logit", s, 1, models.ConvOptions{Kernel: 1, Bias: true})))
	return n.Model()
}

// answers is a teacher that knows the answer: its outputs are what the data say. Distilling
// from it is training on targets of any shape.
func answers() *ir.Model {
	g := &ir.Graph{Name: "answers", Inputs: []ir.Value{{Name: "image", Type: open(1, side)}}}
	for _, t := range truths {
		g.Inputs = append(g.Inputs, ir.Value{Name: t.name, Type: open(t.channels, cells)})
		g.Outputs = append(g.Outputs, ir.Value{Name: t.output, Type: open(t.channels, cells)})
		g.Nodes = append(g.Nodes, &ir.Node{Name: t.output, OpType: "Identity", Inputs: []string{t.name}, Outputs: []string{t.output}})
	}
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: g}
}

// open is the type of maps, the batch open.
func open(channels, size int) ir.Type {
	t := ir.TensorType(ir.Float32, -1, channels, size, size)
	t.Shape[0] = ir.Dim{Size: -1, Param: "batch"}
	return t
}

// write writes images, with what a perfect detector gives of them where that is wanted.
func write(path string, scenes []scene, labels bool) error {
	image := data.Array{Name: "image", Shape: []int{len(scenes), 1, side, side}}
	var pixels, boxes, scores []float32
	for _, s := range scenes {
		b, c := targets(s)
		pixels, boxes, scores = append(pixels, s.pixels...), append(boxes, b...), append(scores, c...)
	}
	image.Data = pixels
	arrays := []data.Array{image}
	if labels {
		for i, x := range [][]float32{boxes, scores} {
			arrays = append(arrays, data.Array{Name: truths[i].name, Shape: []int{len(scenes), truths[i].channels, cells, cells}, Data: x})
		}
	}
	var b bytes.Buffer
	if err := data.WriteNPZ(&b, arrays); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}
