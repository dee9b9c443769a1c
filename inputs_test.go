package entangle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/ir"
)

// plainNet is two convolutions and a Gemm of so many columns; inputs declares what it takes, first
// makes the value "image" of it.
func plainNet(t *testing.T, inputs, first, output, last string, columns int) *entangle.Model {
	t.Helper()
	m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n" + inputs + "\n  output " + output + "\n" + first + `
  node conv0: (h0) = Conv(image, w0) kernel_shape=[3, 3] pads=[1, 1, 1, 1]
  node relu0: (h1) = Relu(h0)
  node conv1: (h2) = Conv(h1, w1) kernel_shape=[3, 3] pads=[1, 1, 1, 1]
  node relu1: (h3) = Relu(h2)
  node pool: (h4) = GlobalAveragePool(h3)
  node flat: (h5) = Flatten(h4)
` + last + "\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 5))
	for _, w := range []struct {
		name string
		dims []int
	}{{"w0", []int{16, 3, 3, 3}}, {"w1", []int{16, 16, 3, 3}}, {"w2", []int{16, columns}}} {
		v := make([]float32, ir.Prod(w.dims))
		for i := range v {
			v[i] = float32(r.NormFloat64() * 0.2)
		}
		m.Graph.Inits = append(m.Graph.Inits, ir.NewFloat32(w.name, w.dims, v))
	}
	x, err := entangle.Normalise(m)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustSource(t *testing.T, m *entangle.Model) runtimes.Source {
	t.Helper()
	s, err := m.Source(true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const gemm = "  node fc: (y) = Gemm(h5, w2)"

// opened writes a file of arrays and opens it for a model.
func opened(m *entangle.Model, o data.Options, t *testing.T, list ...data.Array) (*data.Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.npz")
	var buf bytes.Buffer
	if err := data.WriteNPZ(&buf, list); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return entangle.OpenData(m, entangle.Data{Source: "npz:" + path, Options: o})
}

// pixels are n images [3, 8, 8] as bytes, and as the same floats times scale.
func pixels(n int, scale float32) (raw, floats data.Array) {
	r := rand.New(rand.NewPCG(1, 2))
	b, f := make([]uint8, n*3*64), make([]float32, n*3*64)
	for i := range b {
		b[i] = uint8(r.IntN(256))
		f[i] = float32(b[i]) * scale
	}
	return data.Array{Name: "x", Shape: []int{n, 3, 8, 8}, Data: b}, data.Array{Name: "x", Shape: []int{n, 3, 8, 8}, Data: f}
}

func classes(n, of int) data.Array {
	v := make([]int64, n)
	for i := range v {
		v[i] = int64(i % of)
	}
	return data.Array{Name: "labels", Shape: []int{n}, Data: v}
}

// quick is a job that cuts without training.
func quick() entangle.Job {
	j := entangle.DefaultJob()
	j.Method, j.Space.Order, j.Tune.Epochs, j.Calibrate, j.Data.Batch = "uniform", "magnitude", 0, 0, 16
	return j
}

func compressed(m *entangle.Model, set *data.Set, j entangle.Job) (*entangle.Outcome, error) {
	p, err := entangle.Prepare(m, set, j)
	if err != nil {
		return nil, err
	}
	return p.Compress(context.Background(), cpu.New(cpu.Options{Threads: 1}), entangle.Options{})
}

// TestBytesAsTheyAre: a model that takes pixels as unsigned bytes has the score of the same model on
// floats of 0…255, at the default scale; what would change the pixels is refused.
func TestBytesAsTheyAre(t *testing.T) {
	raw, floats := pixels(80, 1)
	whole := plainNet(t, "  input x uint8[N, 3, 8, 8]", "  node cast: (image) = Cast(x) to=1", "y float32[N, 4]", gemm, 4)
	plain := plainNet(t, "  input image float32[N, 3, 8, 8]", "", "y float32[N, 4]", gemm, 4)
	var loss [2]float64
	for i, c := range []struct {
		m *entangle.Model
		x data.Array
	}{{whole, raw}, {plain, floats}} {
		set, err := opened(c.m, data.Options{}, t, c.x, classes(80, 4))
		if err != nil {
			t.Fatal(err)
		}
		j := quick()
		j.Method, j.Space.Order = "search", "obs"
		j.Search.Weights.Epochs, j.Search.Weights.Rate, j.Search.Weights.Augment = 1, 1e-6, "flip"
		o, err := compressed(c.m, set, j)
		if err != nil {
			t.Fatal(err)
		}
		loss[i] = o.Original.Val.Loss
		f, err := entangle.NewFeeder(set.Part("train").All(), 16, mustSource(t, c.m))
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range f.Labelled() {
			if err != nil {
				t.Fatal(err)
			}
			if got, want := b.Feed[c.m.Normal.Graph.Inputs[0].Name].Type().Elem, c.m.Normal.Graph.Inputs[0].Type.Elem; got != want {
				t.Errorf("want %s fed, got %s", want, got)
			}
		}
	}
	if loss[0] != loss[1] || loss[0] == 0 {
		t.Errorf("want the loss on floats of 0…255, %g, got %g", loss[1], loss[0])
	}
	if _, err := opened(whole, data.Options{Mean: []float64{0.5}}, t, raw); err == nil || !strings.Contains(err.Error(), `data.mean`) || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("want a mean refused for input x, got %v", err)
	}
	set, err := opened(whole, data.Options{}, t, floats, classes(80, 4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compressed(whole, set, quick()); err == nil || !strings.Contains(err.Error(), "give pixels as unsigned bytes") {
		t.Errorf("want floats for whole numbers refused, got %v", err)
	}
}

// TestUnreadInput: an input that nothing reads needs no array, and runtimes get zeros for it.
func TestUnreadInput(t *testing.T) {
	for _, unread := range []string{"float32[N, 5]", "float32[]", "int64[N, length]"} {
		m := plainNet(t, "  input image float32[N, 3, 8, 8]\n  input extra "+unread, "", "y float32[N, 4]", gemm, 4)
		_, floats := pixels(60, 0.01)
		floats.Name = "image"
		set, err := opened(m, data.Options{}, t, floats, classes(60, 4))
		if err != nil {
			t.Fatal(err)
		}
		o, err := compressed(m, set, quick())
		if err != nil {
			t.Fatalf("%s: %v", unread, err)
		}
		if in := o.Candidates[0].Model.Graph.Inputs; len(in) != 2 || in[1].Name != "extra" {
			t.Errorf("%s: want the cut model to declare it, got %v", unread, in)
		}
		f, err := entangle.NewFeeder(set.Part("train").All(), 16, mustSource(t, m), mustSource(t, m))
		if err != nil {
			t.Fatal(err)
		}
		s := exporter.Subject{Source: mustSource(t, m), Runtime: native.New(cpu.New(cpu.Options{Threads: 1}), native.Options{Float: prim.F32})}
		if _, err := exporter.Execute(context.Background(), s, f.Pairs()); err != nil {
			t.Errorf("%s: %v", unread, err)
		}
	}
}

// TestOneSymbol: a file that names the batch and other sizes alike is taken with names of their own
// for those, and says so; one whose sizes really are one is left as it is.
func TestOneSymbol(t *testing.T) {
	m := plainNet(t, "  input image float32[N, 3, N, N]", "", "y float32[N, 4]", gemm, 4)
	if got := m.Normal.Graph.Inputs[0].Type.String(); got != "float32[N,3,image_2,image_3]" {
		t.Errorf("want sizes of their own, got %s", got)
	}
	if s := m.Symbols(); !strings.Contains(s, `"image_2"`) {
		t.Errorf("want it said, got %q", s)
	}
	_, floats := pixels(60, 0.01)
	floats.Name = "image"
	set, err := opened(m, data.Options{}, t, floats, classes(60, 4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compressed(m, set, quick()); err != nil {
		t.Error(err)
	}
	graph, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n  input near float32[N, N]\n  input x float32[N, 4]\n  output y float32[N, 4]\n  node sum: (y) = MatMul(near, x)\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	g, err := entangle.Normalise(graph)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Normal.Graph.Inputs[0].Type.String(); got != "float32[N,N]" || g.Symbols() != "" {
		t.Errorf("want neighbours of a graph as they are, got %s, %q", got, g.Symbols())
	}
}

// TestCheckDims: names that inputs leave open, their terms and those of unnamed sizes are known,
// others are refused with what there is.
func TestCheckDims(t *testing.T) {
	m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n  input x float32[batch, ?, \"past + 1\"]\n  output y float32[batch, ?, ?]\n  node relu: (y) = Relu(x)\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, known := range map[string]bool{"batch": true, "x_1": true, "x:1": true, "past": true, "past + 1": true, "*": true, "Batch": false, "1": true, "z": false} {
		err := entangle.CheckDims(map[string]int{name: 2}, &entangle.Model{Raw: m, Normal: m})
		if (err == nil) != known || err != nil && !strings.Contains(err.Error(), "batch, x_1, past + 1") {
			t.Errorf("%q: known %t, got %v", name, known, err)
		}
	}
}

// TestTooLargeToCompare: outputs beyond what counts as filled in by masks are an error that names
// them, and no distance of 0.
func TestTooLargeToCompare(t *testing.T) {
	m := plainNet(t, "  input image float32[N, 3, 8, 8]", "", "y float32[N, 4]", gemm, 4)
	_, floats := pixels(60, 1e18)
	floats.Name = "image"
	set, err := opened(m, data.Options{}, t, floats)
	if err != nil {
		t.Fatal(err)
	}
	j := quick()
	for _, o := range []*float64{&j.Search.Weights.Objective.Labels, &j.Tune.Objective.Labels} {
		*o = 0
	}
	p, err := entangle.Prepare(m, set, j)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Sensitivity(context.Background(), cpu.New(cpu.Options{Threads: 1}), entangle.Options{})
	if err == nil || !strings.Contains(err.Error(), `output "y"`) || !strings.Contains(err.Error(), "1e9") {
		t.Errorf("want an error that names the output, got %v", err)
	}
}

// TestClassesForOneNumber: integers as labels of one column are refused, floats and what is set are
// taken.
func TestClassesForOneNumber(t *testing.T) {
	m := plainNet(t, "  input image float32[N, 3, 8, 8]", "", "y float32[N, 1]", gemm, 1)
	_, floats := pixels(60, 0.01)
	floats.Name = "image"
	ages := classes(60, 30)
	numbers := data.Array{Name: "labels", Shape: ages.Shape}
	var v []float32
	for _, x := range ages.Data.([]int64) {
		v = append(v, float32(x))
	}
	numbers.Data = v
	for _, c := range []struct {
		labels data.Array
		set    string
		ok     bool
	}{{ages, "", false}, {ages, "y=values", true}, {numbers, "", true}} {
		set, err := opened(m, data.Options{}, t, floats, c.labels)
		if err != nil {
			t.Fatal(err)
		}
		j := quick()
		if c.set != "" {
			if err := j.Set("outputs", c.set); err != nil {
				t.Fatal(err)
			}
		}
		_, err = compressed(m, set, j)
		var job *entangle.JobError
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &job) || !strings.Contains(err.Error(), "--output y=values")) {
			t.Errorf("labels %T, output %q: want ok %t, got %v", c.labels.Data, c.set, c.ok, err)
		}
	}
	// A search ends, too, whose held-out images cannot be mixed.
	set, err := opened(m, data.Options{}, t, floats, numbers)
	if err != nil {
		t.Fatal(err)
	}
	j := quick()
	j.Method, j.Search.Weights.Epochs, j.Data.Batch, j.Data.Split.Weights, j.Data.Split.Alpha, j.Data.Split.Val = "search", 1, 4, 0.4, 0.4, 0.2
	if _, err := compressed(m, set, j); err != nil {
		t.Error(err)
	}
}

// TestTeacherOfClassNumbers: one that ends in ArgMax teaches by what that reads.
func TestTeacherOfClassNumbers(t *testing.T) {
	m := plainNet(t, "  input image float32[N, 3, 8, 8]", "", "y float32[N, 4]", gemm, 4)
	teacher := plainNet(t, "  input image float32[N, 3, 8, 8]", "", "c int64[N]", "  node fc: (z) = Gemm(h5, w2)\n  node best: (c) = ArgMax(z) axis=1 keepdims=0", 4)
	_, floats := pixels(60, 0.01)
	floats.Name = "image"
	set, err := opened(m, data.Options{}, t, floats, classes(60, 4))
	if err != nil {
		t.Fatal(err)
	}
	j := quick()
	j.Teacher = written(t, teacher.Raw)
	p, err := entangle.Prepare(m, set, j)
	if err != nil {
		t.Fatal(err)
	}
	if notes := fmt.Sprint(p.Notes); !strings.Contains(notes, `its output "z" teaches "y"`) {
		t.Errorf("want z to teach y, got %s", notes)
	}
}

// TestReconstructSettings: what the method cannot do without is not overridden in silence.
func TestReconstructSettings(t *testing.T) {
	j := entangle.DefaultJob()
	j.Method, j.Search.Relaxation, j.Search.Refit = entangle.Reconstruct, "drnas", false
	err := j.Check(nil, nil)
	if err == nil || !strings.Contains(err.Error(), "search.relaxation: want none") || !strings.Contains(err.Error(), "search.refit: want true") {
		t.Errorf("want both refused, got %v", err)
	}
}
