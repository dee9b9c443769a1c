package net

import (
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
)

// outputs is a network that is nothing but its outputs, each a program input.
func outputs(batch int, shapes map[string][]int, names ...string) (*Network, *Lowered) {
	n := &Network{Batch: batch, Model: &ir.Model{Graph: &ir.Graph{}}, Facts: &ops.Facts{Values: map[string]ops.Fact{}}}
	g := &Lowered{Builder: prim.NewBuilder(), values: map[string]prim.ID{}, asked: map[string]prim.ID{}}
	for _, name := range names {
		t := ir.TensorType(ir.Float32, shapes[name]...)
		n.Model.Graph.Outputs = append(n.Model.Graph.Outputs, ir.Value{Name: name, Type: t})
		n.Facts.Values[name] = ops.Fact{Type: t}
		g.values[name] = g.Builder.Input(name, prim.Type{DType: prim.F32, Shape: shapes[name]})
	}
	if err := n.Means(nil); err != nil {
		panic(err)
	}
	return n, g
}

// classes makes the first output, [batch, classes], the target.
func classes(n *Network) *Network {
	n.labels = Labels{Any: true, Classes: 3}
	if err := n.Means(nil); err != nil {
		panic(err)
	}
	return n
}

// evaluated runs loss and its gradient with respect to the named outputs.
func evaluated(t *testing.T, n *Network, g *Lowered, o Objective, labelled bool, in map[string]*prim.Tensor, names ...string) (loss, correct float64, grads map[string][]float32) {
	t.Helper()
	v, c := n.Loss(g, o, labelled)
	var wrt []prim.ID
	for _, name := range names {
		wrt = append(wrt, g.values[name])
	}
	d, err := engine.Grad(g.Builder, v, wrt)
	if err != nil {
		t.Fatal(err)
	}
	g.Builder.Output("loss", v)
	if c != prim.Invalid {
		g.Builder.Output("correct", c)
	}
	for i, name := range names {
		g.Builder.Output("grad/"+name, d[i])
	}
	p, err := g.Builder.Program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	grads = map[string][]float32{}
	for _, name := range names {
		grads[name] = out["grad/"+name].F32
	}
	if c != prim.Invalid {
		correct = out["correct"].Float(0)
	}
	return out["loss"].Float(0), correct, grads
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 2e-6*(1+math.Abs(want)) {
		t.Errorf("%s: want %.8g, got %.8g", what, want, got)
	}
}

// Two samples of three classes whose softmax is known: (1/2, 1/4, 1/4) and (1/8, 1/8, 3/4).
func twoSamples() *prim.Tensor {
	l := func(p float64) float32 { return float32(math.Log(p)) }
	return prim.F32Tensor([]float32{l(.5), l(.25), l(.25), 5 + l(.125), 5 + l(.125), 5 + l(.75)}, 2, 3)
}

// TestCrossEntropy: −mean log p(label), gradient (p − target)/batch, one of two right.
func TestCrossEntropy(t *testing.T) {
	n, g := outputs(2, map[string][]int{"z": {2, 3}}, "z")
	classes(n)
	in := map[string]*prim.Tensor{"z": twoSamples(), TargetName: prim.F32Tensor([]float32{1, 0, 0, 0, 1, 0}, 2, 3)}
	loss, correct, grads := evaluated(t, n, g, Objective{Labels: 2}, true, in, "z")
	near(t, "loss", loss, 2*(math.Log(2)+math.Log(8))/2)
	near(t, "correct", correct, 1)
	for i, want := range []float64{-.5, .25, .25, .125, -.875, .75} {
		near(t, "gradient", float64(grads["z"][i]), want)
	}
}

// TestDistillation: T²·KL(teacher ‖ student) at T = 2, gradient T·(student − teacher)/batch.
func TestDistillation(t *testing.T) {
	n, g := outputs(2, map[string][]int{"z": {2, 3}}, "z")
	classes(n)
	const temperature = 2.0
	z := twoSamples()
	for i := range z.F32 {
		z.F32[i] *= temperature
	}
	teacher := prim.F32Tensor([]float32{0, 0, 0, 3, 3, 3}, 2, 3)
	loss, _, grads := evaluated(t, n, g, Objective{Distill: 3, Temperature: temperature}, false, map[string]*prim.Tensor{"z": z, teacherName("z"): teacher}, "z")
	third := math.Log(1.0 / 3)
	first := third - (math.Log(.5)+2*math.Log(.25))/3
	second := third - (2*math.Log(.125)+math.Log(.75))/3
	near(t, "loss", loss, 3*4*(first+second)/2)
	for i, p := range []float64{.5, .25, .25, .125, .125, .75} {
		near(t, "gradient", float64(grads["z"][i]), 3*temperature*(p-1.0/3)/2)
	}
}

// TestTeacherIsMinimum: where student and teacher agree, loss and slope are 0.
func TestTeacherIsMinimum(t *testing.T) {
	n, g := outputs(2, map[string][]int{"z": {2, 3}}, "z")
	classes(n)
	loss, _, grads := evaluated(t, n, g, Objective{Distill: 1, Temperature: 4}, false, map[string]*prim.Tensor{"z": twoSamples(), teacherName("z"): twoSamples()}, "z")
	near(t, "loss", loss, 0)
	for _, v := range grads["z"] {
		near(t, "gradient", float64(v), 0)
	}
}

// TestOutputDistance: without a scale, values have the mean squared difference relative to the
// teacher's mean square; outputs share alike.
func TestOutputDistance(t *testing.T) {
	n, g := outputs(2, map[string][]int{"a": {2, 2, 1}, "b": {2, 1, 1}}, "a", "b")
	in := map[string]*prim.Tensor{
		"a": prim.F32Tensor([]float32{1, 2, 3, 4}, 2, 2, 1), teacherName("a"): prim.F32Tensor([]float32{1, 0, 3, 2}, 2, 2, 1),
		"b": prim.F32Tensor([]float32{10, 10}, 2, 1, 1), teacherName("b"): prim.F32Tensor([]float32{20, 10}, 2, 1, 1),
	}
	loss, _, grads := evaluated(t, n, g, Objective{Distill: 1, Temperature: 1}, false, in, "a", "b")
	near(t, "loss", loss, (8.0/14+100.0/500)/2)
	for i, want := range []float64{0, 2.0 / 14, 0, 2.0 / 14} {
		near(t, "gradient of a", float64(grads["a"][i]), want)
	}
	for i, want := range []float64{-10.0 / 500, 0} {
		near(t, "gradient of b", float64(grads["b"][i]), want)
	}
}

// TestObjectiveCheck: what cannot be minimised is refused with a reason.
func TestObjectiveCheck(t *testing.T) {
	one, _ := outputs(2, map[string][]int{"z": {2, 3}}, "z")
	classes(one)
	maps, _ := outputs(2, map[string][]int{"z": {2, 3, 4}}, "z")
	classes(maps)
	for _, c := range []struct {
		n        *Network
		o        Objective
		labelled bool
		want     string
	}{
		{one, Objective{}, true, "one of them positive"},
		{one, Objective{Labels: -1, Distill: 2, Temperature: 1}, true, "want weights ≥ 0"},
		{one, Objective{Labels: 1, Smoothing: 1}, true, "label smoothing: want a number in [0, 1), got 1"},
		{one, Objective{Distill: 1}, true, "temperature: want a positive number, got 0"},
		{one, Objective{Labels: 1}, false, "the data has none"},
		{maps, Objective{Labels: 1}, true, "want an output that 3 classes are for"},
		{maps, Objective{Distill: 1, Temperature: 1}, false, ""},
		{one, Objective{Labels: 1}, true, ""},
	} {
		err := c.o.Check(c.n, c.labelled)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: want %q, got %v", c.o, c.want, err)
		}
	}
}

// TestFilledValuesDoNotCount: what a mask fills in, infinite or large, is neither in the loss
// nor in its slope, whatever the student has there.
func TestFilledValuesDoNotCount(t *testing.T) {
	inf := float32(math.Inf(-1))
	for _, scaled := range []bool{false, true} {
		n, g := outputs(1, map[string][]int{"a": {1, 4}}, "a")
		if scaled {
			n.Scales = map[string]Scale{"a": {Teacher: &Variance{axis: -1, v: []float64{5}}}}
		}
		in := map[string]*prim.Tensor{"a": prim.F32Tensor([]float32{1, inf, 7, 3}, 1, 4), teacherName("a"): prim.F32Tensor([]float32{2, inf, -1e9, 1}, 1, 4)}
		loss, _, grads := evaluated(t, n, g, Objective{Distill: 1, Temperature: 1}, false, in, "a")
		near(t, "loss", loss, (1.0+4)/5/map[bool]float64{true: 4, false: 1}[scaled])
		for i, want := range []float64{-2, 0, 0, 4} {
			near(t, "gradient", float64(grads["a"][i]), want/5/map[bool]float64{true: 4, false: 1}[scaled])
		}
	}
}

// TestFilledLogits: a class that a mask takes away, in teacher and student alike, changes
// nothing of the other classes' divergence and cross-entropy.
func TestFilledLogits(t *testing.T) {
	inf := float32(math.Inf(-1))
	for _, o := range []Objective{{Distill: 1, Temperature: 2}, {Labels: 1}} {
		var want float64
		var slopes []float32
		for i, z := range [][]float32{{1, 2}, {1, inf, 2}} {
			k := len(z)
			n, g := outputs(1, map[string][]int{"z": {1, k}}, "z")
			classes(n)
			n.Classes = k
			label, teacher := make([]float32, k), make([]float32, k)
			label[0], teacher[k-1] = 1, 1
			if i > 0 {
				teacher[1] = inf
			}
			in := map[string]*prim.Tensor{"z": prim.F32Tensor(z, 1, k)}
			if o.Labels > 0 {
				in[TargetName] = prim.F32Tensor(label, 1, k)
			} else {
				in[teacherName("z")] = prim.F32Tensor(teacher, 1, k)
			}
			loss, _, grads := evaluated(t, n, g, o, o.Labels > 0, in, "z")
			if i == 0 {
				want, slopes = loss, grads["z"]
				continue
			}
			near(t, "loss", loss, want)
			near(t, "gradient", float64(grads["z"][0]), float64(slopes[0]))
			near(t, "gradient of the masked class", float64(grads["z"][1]), 0)
			near(t, "gradient", float64(grads["z"][2]), float64(slopes[1]))
		}
	}
}

// TestOutputsOfOneValue: logits and their Softmax as two outputs are learned as one value, and
// ask for it once.
func TestOutputsOfOneValue(t *testing.T) {
	n, g := outputs(2, map[string][]int{"z": {2, 3}, "p": {2, 3}}, "z", "p")
	classes(n)
	for i := range n.Outputs {
		n.Outputs[i].Kind, n.Outputs[i].value, n.Outputs[i].axis, n.Outputs[i].Weight = measure.Logits, "z", 1, 1
	}
	loss, _, grads := evaluated(t, n, g, Objective{Distill: 1, Temperature: 4}, false, map[string]*prim.Tensor{"z": twoSamples(), "p": twoSamples(), teacherName("z"): twoSamples()}, "z")
	near(t, "loss", loss, 0)
	for _, v := range grads["z"] {
		near(t, "gradient", float64(v), 0)
	}
}

// TestTeachersLogits: what is taught by logits takes the teacher's logits, also those before its
// Softmax or Sigmoid, never their probabilities in their place.
func TestTeachersLogits(t *testing.T) {
	raw := func(k measure.Kind) Meaning { return Meaning{Output: "y", Kind: k, value: "y", axis: 1} }
	made := func(k measure.Kind) Meaning { return Meaning{Output: "y", Kind: k, value: "z", axis: 1} }
	for _, c := range []struct {
		own, teacher Meaning
		want, fails  string
	}{
		{raw(measure.Sigmoid), made(measure.Sigmoid), "z", ""},
		{raw(measure.Logits), made(measure.Probabilities), "z", ""},
		{made(measure.Probabilities), made(measure.Logits), "z", ""},
		{raw(measure.Logits), raw(measure.Values), "y", ""},
		{raw(measure.Values), made(measure.Sigmoid), "y", ""},
		{made(measure.Sigmoid), raw(measure.Sigmoid), "", "want a Softmax, LogSoftmax or Sigmoid that makes it"},
		{raw(measure.Logits), made(measure.Sigmoid), "", "want logits as the network's"},
		{made(measure.Sigmoid), made(measure.Probabilities), "", "want sigmoid as the network's"},
	} {
		n, _ := outputs(2, map[string][]int{"y": {2, 3}, "z": {2, 3}}, "y", "z")
		teacher, _ := outputs(2, map[string][]int{"y": {2, 3}, "z": {2, 3}}, "y", "z")
		n.Outputs, teacher.Outputs = []Meaning{c.own}, []Meaning{c.teacher}
		got, err := n.of(teacher, n.Outputs)
		switch {
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%v of %v: want an error that says %q, got %v", c.own, c.teacher, c.fails, err)
		case c.fails == "" && (err != nil || got[0].value != c.want):
			t.Errorf("%v of %v: want %q, got %v, %v", c.own, c.teacher, c.want, got, err)
		}
	}
}
