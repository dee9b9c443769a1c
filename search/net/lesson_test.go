package net

import (
	"fmt"
	"math"
	"slices"
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

// TestLessons: probabilities along the last axis are learned by the logits behind
// them, other outputs as they are.
func TestLessons(t *testing.T) {
	for _, c := range []struct {
		opset, axis int
		want        lesson
	}{
		{13, -1, lesson{"y", "z", true}},
		{13, 2, lesson{"y", "z", true}},
		{13, 1, lesson{"y", "y", false}},
		{11, 2, lesson{"y", "z", true}},
		{11, 1, lesson{"y", "y", false}},
	} {
		if got := softmaxed(t, c.opset, c.axis).lessons(); !slices.Equal(got, []lesson{c.want}) {
			t.Errorf("opset %d, axis %d: want %v, got %v", c.opset, c.axis, c.want, got)
		}
	}
}

// TestScored: an output is probabilities when its operator normalises over the classes.
func TestScored(t *testing.T) {
	shape := func(sizes ...int) ir.Type { return ir.TensorType(ir.Float32, sizes...) }
	softmax, logits := measure.Output{Name: "y", Kind: measure.Probabilities}, measure.Output{Name: "y"}
	for _, c := range []struct {
		op    string
		opset int64
		axis  int
		t     ir.Type
		want  measure.Output
	}{
		{"Softmax", 13, -1, shape(4, 10), softmax},
		{"Softmax", 13, 1, shape(-1, 10), softmax},
		{"Softmax", 13, 0, shape(4, 10), logits},
		{"Softmax", 11, 1, shape(4, 10), softmax},
		{"Softmax", 13, 1, shape(4, 10, 1, 1), softmax},
		{"Softmax", 13, 3, shape(4, 10, 1, 1), logits},
		{"Softmax", 13, -1, shape(4, 6, 10), softmax},
		{"Softmax", 13, 1, shape(4, 6, 10), logits},
		{"Softmax", 9, 1, shape(4, 6, 10), softmax}, // over positions as well: the same up to a factor
		{"Softmax", 13, -1, ir.Type{Kind: ir.KindTensor, Elem: ir.Float32}, softmax},
		{"LogSoftmax", 13, -1, shape(4, 10), logits},
		{"Relu", 13, -1, shape(4, 10), logits},
	} {
		node := &ir.Node{OpType: c.op, Inputs: []string{"z"}, Outputs: []string{"y"}, Attrs: []ir.Attr{ir.IntAttr("axis", c.axis)}}
		m := &ir.Model{Opsets: []ir.Opset{{Version: c.opset}}, Graph: &ir.Graph{Nodes: []*ir.Node{node}, Outputs: []ir.Value{{Name: "y", Type: c.t}, {Name: "z"}}}}
		behind := map[measure.Kind]string{measure.Logits: "y", measure.Probabilities: "z"}[c.want.Kind]
		if got, z := Scored(m, c.t); got != c.want || z != behind {
			t.Errorf("%s of opset %d over axis %d of %s: want %v from %s, got %v from %s", c.op, c.opset, c.axis, c.t, c.want, behind, got, z)
		}
	}
}

// TestDistributionLoss: T²·KL as a mean over rows, of logits of any rank.
func TestDistributionLoss(t *testing.T) {
	n := softmaxed(t, 13, -1)
	g := &Lowered{Builder: prim.NewBuilder(), values: map[string]prim.ID{}}
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
	var one apartness
	one.add(want, got, 5, 4, true)
	e := one.result("y")
	if e.Rows != 4 || e.Agreement != .75 || e.Whole != .75 {
		t.Errorf("one row per sample: %+v", e)
	}
	near(t, "error", e.Error, math.Sqrt(32.0/(9+1+16+1+4+25)))

	var two apartness
	two.add(prim.F32Tensor(want.F32[:8], 2, 2, 2), prim.F32Tensor(got.F32[:8], 2, 2, 2), 2, 2, true)
	if e := two.result("y"); e.Rows != 4 || e.Agreement != .75 || e.Whole != .5 {
		t.Errorf("two rows per sample: %+v", e)
	}
	var plain apartness
	plain.add(want, got, 5, 4, false)
	if e := plain.result("y"); e.Rows != 0 || e.Agreement != 0 {
		t.Errorf("no classes: %+v", e)
	}
}
