package net

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
)

// The product of softmaxed.
var softmaxedWeight = [2][3]float64{{.5, -1, .25}, {2, .75, -.5}}

// softmaxed is x f32[batch, 2, 2] → z = x·w, w f32[2, 3] → y, the softmax of z.
func softmaxed(t *testing.T, opset, axis int) *Network {
	t.Helper()
	m, err := ir.Parse(fmt.Sprintf(`model {
  ir 8
  opset _ %d
}
graph g {
  input x float32[batch, 2, 2]
  output y float32[batch, 2, 3]
  init w float32[2, 3] = [0.5, -1, 0.25, 2, 0.75, -0.5]
  node product: (z) = MatMul(x, w)
  node softmax: (y) = Softmax(z) axis=%d
}
`, opset, axis))
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNetwork(m, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMeaningsByOperator: an output is what the operator makes of it that stands before
// those that only move its elements.
func TestMeaningsByOperator(t *testing.T) {
	for _, c := range []struct {
		nodes string
		shape string
		opset int
		want  Meaning
	}{
		{"Softmax(z) axis=-1", "batch, 2, 3", 13, Meaning{Kind: measure.Probabilities, value: "z", axis: 2}},
		{"Softmax(z) axis=1", "batch, 2, 3", 13, Meaning{Kind: measure.Probabilities, value: "z", axis: 1}},
		{"Softmax(z) axis=2", "batch, 2, 3", 11, Meaning{Kind: measure.Probabilities, value: "z", axis: 2}},
		{"Softmax(z) axis=1", "batch, 2, 3", 11, Meaning{Kind: measure.Values, value: "y", axis: 2}},
		{"Softmax(z) axis=1", "batch, 3, 1, 1", 11, Meaning{Kind: measure.Probabilities, value: "z", axis: 1}},
		{"Softmax(z) axis=-1", "batch, 1", 13, Meaning{Kind: measure.Values, value: "y", axis: 1}},
		{"LogSoftmax(z) axis=-1", "batch, 3", 13, Meaning{Kind: measure.Logits, value: "y", axis: 1}},
		{"Sigmoid(z)", "batch, 3", 13, Meaning{Kind: measure.Sigmoid, value: "z", axis: 1}},
		{"Sigmoid(z)", "batch, 1", 13, Meaning{Kind: measure.Sigmoid, value: "z", axis: 1}},
		{"Relu(z)", "batch, 3", 13, Meaning{Kind: measure.Values, value: "y", axis: 1}},
		{"Relu(z)", "batch, 1", 13, Meaning{Kind: measure.Values, value: "y", axis: 1}},
		{"LpNormalization(z) axis=-1", "batch, 3", 13, Meaning{Kind: measure.Embedding, value: "y", axis: 1}},
	} {
		n := oneNode(t, c.opset, c.shape, c.nodes)
		n.labels = Labels{}
		if err := n.Means(nil); err != nil {
			t.Errorf("%s: %v", c.nodes, err)
			continue
		}
		got := n.Outputs[0]
		if got.Kind != c.want.Kind || got.value != c.want.value || got.axis != c.want.axis || got.Reason == "" || got.Labels {
			t.Errorf("%s of [%s], opset %d: want %+v, got %+v", c.nodes, c.shape, c.opset, c.want, got)
		}
	}
}

// oneNode is z f32[shape] → w·z → one node → y.
func oneNode(t *testing.T, opset int, shape, node string) *Network {
	t.Helper()
	m, err := ir.Parse(fmt.Sprintf("model {\n  ir 8\n  opset _ %d\n}\ngraph g {\n  input x float32[%s]\n  output y float32[%s]\n  init w float32[1] = [2]\n  node scale: (z) = Mul(x, w)\n  node last: (y) = %s\n}\n", opset, shape, shape, node))
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNetwork(m, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMeaningsByLabels: what no operator tells, labels and shape do.
func TestMeaningsByLabels(t *testing.T) {
	classes, tokens := Labels{Any: true, Classes: 5}, Labels{Any: true, Shape: []int{6}, Tokens: true}
	for _, c := range []struct {
		node, shape string
		labels      Labels
		kind        measure.Kind
		axis        int
		target      bool
	}{
		{"Relu(z)", "batch, 5", classes, measure.Logits, 1, true},
		{"Relu(z)", "batch, 5, 1, 1", classes, measure.Logits, 1, true},
		{"Relu(z)", "batch, 1", classes, measure.Values, 1, true},
		{"Relu(z)", "batch, 1", Labels{Any: true, Classes: 2}, measure.Sigmoid, 1, true},
		{"Sigmoid(z)", "batch, 5", classes, measure.Sigmoid, 1, true},
		{"Relu(z)", "batch, 5, 4", classes, measure.Values, 2, false},
		{"Relu(z)", "batch, 5", Labels{}, measure.Values, 1, false},
		{"Relu(z)", "batch, 6, 9", tokens, measure.NextToken, 2, true},
		{"Softmax(z) axis=2", "batch, 6, 9", tokens, measure.NextToken, 2, true},
		{"Softmax(z) axis=1", "batch, 6, 9", tokens, measure.Probabilities, 1, false},
		{"Relu(z)", "batch, 3, 4, 6", Labels{Any: true, Shape: []int{4, 6}}, measure.Logits, 1, true},
		{"Relu(z)", "batch, 4, 6, 3", Labels{Any: true, Shape: []int{4, 6}}, measure.Logits, 3, true},
		{"Relu(z)", "batch, 1, 4, 6", Labels{Any: true, Shape: []int{4, 6}}, measure.Sigmoid, 3, true},
		{"Relu(z)", "batch, 7", Labels{Any: true, Shape: []int{7}}, measure.Sigmoid, 1, true},
		{"Relu(z)", "batch, 7", Labels{Any: true, Float: true, Shape: []int{7}}, measure.Values, 1, true},
		{"Relu(z)", "batch, 1", Labels{Any: true, Float: true, Shape: []int{}}, measure.Values, 1, true},
		{"Relu(z)", "batch, 7", Labels{Any: true, Float: true, Shape: []int{8}}, measure.Values, 1, false},
	} {
		n := oneNode(t, 13, c.shape, c.node)
		n.labels = c.labels
		if err := n.Means(nil); err != nil {
			t.Errorf("%s [%s]: %v", c.node, c.shape, err)
			continue
		}
		if got := n.Outputs[0]; got.Kind != c.kind || got.axis != c.axis || got.Labels != c.target {
			t.Errorf("%s of [%s] with %s: want %s along %d, the target: %t, got %+v", c.node, c.shape, c.labels, c.kind, c.axis, c.target, got)
		}
	}
}

// TestSettings: what is set goes before what is found; what cannot be is refused.
func TestSettings(t *testing.T) {
	n := oneNode(t, 13, "batch, 5", "Softmax(z) axis=1")
	for _, c := range []struct{ text, want string }{
		{"y=values", ""}, {"y=probabilities:2.5", ""}, {"y=sigmoid:0", ""}, {"y=embedding", ""},
		{"y", `want NAME=KIND or NAME=KIND:WEIGHT, got "y"`},
		{"y=boxes", `output "y": want one of the kinds`},
		{"y=values:-1", `want a weight of 0 or more, got "-1"`},
		{"y=values,y=logits", `output "y": given twice`},
		{"z=values", `output "z": want one of the float outputs "y"`},
	} {
		var s Settings
		err := s.UnmarshalText([]byte(c.text))
		if err == nil {
			if text, _ := s.MarshalText(); string(text) != c.text {
				t.Errorf("%s: written as %s", c.text, text)
			}
			err = n.Means(s)
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.text, c.want, err)
		}
	}
	one := oneNode(t, 13, "batch, 1", "Relu(z)")
	if err := one.Means(Settings{{Output: "y", Kind: measure.Logits, Weight: 1}}); err == nil || !strings.Contains(err.Error(), "want two classes or more") {
		t.Errorf("one column: want a refusal, got %v", err)
	}
}

// TestDistributionLoss: T²·KL as a mean over rows, of logits of any rank.
func TestDistributionLoss(t *testing.T) {
	n := softmaxed(t, 13, -1)
	g := &Lowered{Builder: prim.NewBuilder(), values: map[string]prim.ID{}, asked: map[string]prim.ID{}}
	g.values["z"] = g.Builder.Input("z", prim.Type{DType: prim.F32, Shape: []int{2, 2, 3}})
	z := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{2, 2, 3}})
	teacher := prim.NewTensor(z.Type)
	for i := range z.F32 {
		z.F32[i], teacher.F32[i] = float32(i%5)-1.5, float32(i*i%7)
	}
	const temperature = 2.0
	loss, _, grads := evaluated(t, n, g, Objective{Distill: .5, Temperature: temperature}, false, map[string]*prim.Tensor{"z": z, teacherName("z"): teacher}, "z")
	want := 0.0
	for r := range 4 {
		p, q := softmaxRow(teacher.F32[3*r:3*r+3], temperature), softmaxRow(z.F32[3*r:3*r+3], temperature)
		for k := range p {
			want += .5 * temperature * temperature / 4 * p[k] * math.Log(p[k]/q[k])
			near(t, "gradient", float64(grads["z"][3*r+k]), .5*temperature/4*(q[k]-p[k]))
		}
	}
	near(t, "loss", loss, want)
}

func softmaxRow(x []float32, temperature float64) []float64 {
	p, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		p[i] = math.Exp(float64(v) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// TestProbeOfProbabilities: the mean over signs of the squared slope of a weight is
// the curvature of KL(p ‖ ·) along it, Σ_rows x²·p(1−p), over 4·rows.
func TestProbeOfProbabilities(t *testing.T) {
	n := softmaxed(t, 13, -1)
	be := ref.New()
	st, err := n.probeStep(be, 1)
	if err != nil {
		t.Fatal(err)
	}
	x := prim.F32Tensor([]float32{1, 2, -1, .5, 0, 1, .25, -.75}, 2, 2, 2)
	mean := make([]float64, 6)
	const rows, signs = 4, 1 << 12
	env := Env{}
	if err := n.Load(be, env); err != nil {
		t.Fatal(err)
	}
	for s := range signs {
		probe := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{2, 2, 3}})
		for i := range probe.F32 {
			probe.F32[i] = float32(2*(s>>i&1) - 1)
		}
		for name, v := range map[string]*prim.Tensor{"x": x, probeName("z"): probe} {
			if env[name], err = be.Upload(v); err != nil {
				t.Fatal(err)
			}
		}
		out, err := st.Run(env, nil)
		if err != nil {
			t.Fatal(err)
		}
		grad, err := out[gradName("w")].Read()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range grad.F32 {
			mean[i] += float64(v) * float64(v) / signs
		}
	}
	for i := range 2 {
		for k := range 3 {
			want := 0.0
			for r := range rows {
				row := x.F32[2*r : 2*r+2]
				var z [3]float32
				for c := range z {
					z[c] = float32(float64(row[0])*softmaxedWeight[0][c] + float64(row[1])*softmaxedWeight[1][c])
				}
				p := softmaxRow(z[:], 1)[k]
				want += float64(row[i]) * float64(row[i]) * p * (1 - p) / (4 * rows)
			}
			near(t, fmt.Sprintf("slope of w[%d,%d]", i, k), mean[3*i+k], want)
		}
	}
}

// TestApartness: rows agree by their largest class, samples when all of their rows
// do; what pads a batch does not count.
func TestApartness(t *testing.T) {
	want := prim.F32Tensor([]float32{3, 1, 0, 4, 1, 2, 5, 0, 9, 9}, 5, 1, 2)
	got := prim.F32Tensor([]float32{3, 1, 4, 0, 1, 2, 5, 0, 0, 0}, 5, 1, 2)
	classes := Meaning{Output: "y", Kind: measure.Logits, value: "y", axis: 2}
	measured := func(x Meaning, want, got *prim.Tensor, batch, valid int) OutputError {
		a := apartness{tally: newTally(Meaning{Kind: measure.Values}, want.Shape, batch)}
		a.add(x, want, got, batch, valid)
		return a.result(x)
	}
	e := measured(classes, want, got, 5, 4)
	if e.Rows != 4 || e.Agreement != .75 || e.Whole != .75 {
		t.Errorf("one row per sample: %+v", e)
	}
	near(t, "error", e.Error, math.Sqrt(32.0/(9+1+16+1+4+25)))

	if e := measured(classes, prim.F32Tensor(want.F32[:8], 2, 2, 2), prim.F32Tensor(got.F32[:8], 2, 2, 2), 2, 2); e.Rows != 4 || e.Agreement != .75 || e.Whole != .5 {
		t.Errorf("two rows per sample: %+v", e)
	}
	// Along the first axis behind the samples rows are (3, 0), (1, 4) and (1, 5), (2, 0).
	if e := measured(Meaning{Kind: measure.Probabilities, axis: 1}, prim.F32Tensor(want.F32[:8], 2, 2, 2), prim.F32Tensor([]float32{0, 1, 3, 4, 1, 2, 5, 0}, 2, 2, 2), 2, 2); e.Rows != 4 || e.Agreement != .75 {
		t.Errorf("rows along the first axis: %+v", e)
	}
	e = measured(Meaning{Kind: measure.Values}, want, got, 5, 4)
	if e.Rows != 0 || e.Agreement != 0 || e.R2 == nil {
		t.Fatalf("values: %+v", e)
	}
	// By column: 3 0 1 5 and 1 4 2 0, off by 0 4 0 0 and 0 −4 0 0.
	near(t, "R²", *e.R2, 1-(4/(35.0/4-81.0/16)+4/(21.0/4-49.0/16))/2)
	e = measured(Meaning{Kind: measure.Embedding, axis: 2}, want, got, 5, 4)
	near(t, "cosine", *e.Cosine, 3.0/4)
	if e := measured(Meaning{Kind: measure.Sigmoid, Output: "y", value: "z"}, want, got, 5, 4); e.Rows != 8 || e.Agreement != .75 || e.Whole != .75 {
		t.Errorf("yes or no: %+v", e)
	}
}
