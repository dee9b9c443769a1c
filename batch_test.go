package entangle_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
)

// dense is a small detector for images of a bench: convolutions with running statistics,
// its scores as end says.
func dense(t *testing.T, b *runtest.Bench, end string) *entangle.Model {
	t.Helper()
	shape := b.Model.Graph.Inputs[0].Type.Sizes()
	r := rand.New(rand.NewPCG(1, 9))
	normal := func(name string, dims ...int) *ir.Tensor {
		v := make([]float32, ir.Prod(dims))
		for i := range v {
			v[i] = float32(r.NormFloat64() * 0.4)
		}
		return ir.NewFloat32(name, dims, v)
	}
	ones := func(name string, n int) *ir.Tensor {
		v := make([]float32, n)
		for i := range v {
			v[i] = 1
		}
		return ir.NewFloat32(name, []int{n}, v)
	}
	m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n  input image float32[1, 1, 1, 1]\n  output cls float32[1]\n" + end + `
  node conv0: (h0) = Conv(image, w0) kernel_shape=[3, 3] pads=[1, 1, 1, 1] strides=[2, 2]
  node norm: (h1) = BatchNormalization(h0, scale, bias, mean, var)
  node relu: (h2) = Relu(h1)
  node conv1: (h3) = Conv(h2, w1) kernel_shape=[3, 3] pads=[1, 1, 1, 1]
  node relu1: (h4) = Relu(h3)
  node conv2: (h5) = Conv(h4, w2)
}
`)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Graph
	g.Nodes = append(g.Nodes[len(g.Nodes)-6:], g.Nodes[:len(g.Nodes)-6]...)
	g.Inits = append(g.Inits, normal("w0", 8, shape[1], 3, 3), ones("scale", 8), normal("bias", 8), normal("mean", 8), ones("var", 8), normal("w1", 12, 8, 3, 3), normal("w2", 4, 12, 1, 1))
	g.Inputs[0].Type = ir.TensorType(ir.Float32, 1, shape[1], shape[2], shape[3])
	places := (shape[2] + 1) / 2 * ((shape[3] + 1) / 2)
	g.Outputs[0].Type = ir.TensorType(ir.Float32, places, 4)
	g.Inits = append(g.Inits, ir.NewInt64("rows", []int{2}, []int64{4, int64(places)}), ir.NewInt64("maps", []int{3}, []int64{1, 4, int64(places)}))
	if strings.Contains(end, "maps") {
		g.Outputs[0].Type = ir.TensorType(ir.Float32, 1, places, 4)
	}
	model, err := entangle.Normalise(m)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// TestFixedBatchIsTrained: a file with a fixed batch is trained at any where its batch can be
// followed, else at its own, in parts of a step, with its running statistics; and
// is written as it was declared.
func TestFixedBatchIsTrained(t *testing.T) {
	for _, c := range []struct {
		name, end string
		parts     int // of a step
		note      string
	}{
		{"open", "  node merge: (h6) = Reshape(h5, maps)\n  node turn: (cls) = Transpose(h6) perm=[0, 2, 1]", 1, ""},
		{"in parts", "  node merge: (h6) = Reshape(h5, rows)\n  node turn: (cls) = Transpose(h6) perm=[1, 0]", 16,
			`the model runs at batch 1 only: gradients of 16 batches make a step, running statistics stay: node "merge" (Reshape): `},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := runtest.New(t, "fashion-tiny")
			m := dense(t, b, c.end)
			j := b.Job
			j.Method, j.Space.Order = "uniform", "magnitude"
			j.Tune.Epochs, j.Tune.Rate = 4, 0.02
			j.Tune.Objective.Labels, j.Tune.Objective.Distill = 0, 1
			j.Search.Weights.Objective = j.Tune.Objective
			p, err := entangle.Prepare(m, b.Set, j)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Job.Tune.Accumulate; got != c.parts || p.Job.Data.Batch*got != 16 {
				t.Errorf("want %d parts of a step of 16 samples, got %d of %d", c.parts, got, p.Job.Data.Batch)
			}
			if got := strings.Join(p.Notes, "\n"); !strings.HasPrefix(got, c.note) || c.note == "" && got != "" {
				t.Errorf("want a note %q, got %q", c.note, got)
			}
			o, err := p.Compress(context.Background(), b.Be, entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			best := o.Candidates[0]
			if d := best.Test.Distance; d.Tuned.Error >= d.Inherited.Error {
				t.Errorf("want training to bring it nearer to the original, got %g from %g", d.Tuned.Error, d.Inherited.Error)
			}
			for k, list := range [][]ir.Value{best.Model.Graph.Inputs, best.Model.Graph.Outputs} {
				want := [][]ir.Value{m.Raw.Graph.Inputs, m.Raw.Graph.Outputs}[k][0]
				if got := list[0]; got.Name != want.Name || got.Type.String() != want.Type.String() {
					t.Errorf("want %s %s as in the source, got %s %s", want.Name, want.Type, got.Name, got.Type)
				}
			}
			kept := bytes.Contains(m.Raw.Graph.Init("mean").Raw, best.Model.Graph.Init("mean").Raw[:4])
			if (c.parts > 1) != kept {
				t.Errorf("want running statistics kept: %v, got %v", c.parts > 1, kept)
			}
		})
	}
}

// TestFixedBatchWantsMultiples: a batch that is no number of the file's is refused by its key.
func TestFixedBatchWantsMultiples(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	m := dense(t, b, "  node merge: (h6) = Reshape(h5, rows)\n  node turn: (cls) = Transpose(h6) perm=[1, 0]")
	m.Normal.Graph.Inputs[0].Type.Shape[0].Size = 3
	for i, x := range m.Normal.Graph.Inits {
		if x.Name == "rows" {
			v, _ := x.Int64s()
			m.Normal.Graph.Inits[i] = ir.NewInt64("rows", []int{2}, []int64{v[0], 3 * v[1]})
		}
	}
	b.Job.Data.Batch = 16
	_, err := entangle.Prepare(m, b.Set, b.Job)
	var job *entangle.JobError
	if !errors.As(err, &job) || !strings.Contains(err.Error(), "data.batch: want a multiple of 3, the batch that the model runs at, got 16") {
		t.Errorf("want data.batch refused, got %v", err)
	}
}

// TestStaleDeclarations: a file whose batch is open and whose results are declared for one
// sample is taken, with a note for each, and written as it was declared.
func TestStaleDeclarations(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	raw := dense(t, b, "  node merge: (h6) = Reshape(h5, maps)\n  node turn: (cls) = Transpose(h6) perm=[0, 2, 1]").Raw
	raw.Graph.Inputs[0].Type.Shape[0] = ir.Dim{Size: -1, Param: "N"}
	for i, x := range raw.Graph.Inits {
		if x.Name == "maps" {
			v, _ := x.Int64s()
			raw.Graph.Inits[i] = ir.NewInt64("maps", []int{3}, []int64{-1, v[1], v[2]})
		}
	}
	m, err := entangle.Normalise(raw)
	if err != nil {
		t.Fatal(err)
	}
	j := b.Job
	j.Method, j.Space.Order, j.Tune.Epochs = "uniform", "magnitude", 0
	j.Tune.Objective.Labels, j.Tune.Objective.Distill = 0, 1
	j.Search.Weights.Objective = j.Tune.Objective
	p, err := entangle.Prepare(m, b.Set, j)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Notes) != 1 || !strings.HasPrefix(p.Notes[0], `node "turn" (Transpose): output "cls": declared as float32[1,`) || p.Job.Data.Batch != 16 {
		t.Errorf("want a note of the declared batch of 1 and a batch of 16, got %q, %d", p.Notes, p.Job.Data.Batch)
	}
	_, small, err := p.Search(context.Background(), b.Be, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if in, out := small.Graph.Inputs[0].Type.String(), small.Graph.Outputs[0].Type.String(); in != raw.Graph.Inputs[0].Type.String() || out != raw.Graph.Outputs[0].Type.String() {
		t.Errorf("want the declared types of the source, got %s and %s", in, out)
	}
}

// TestSearchAtFixedBatch: every method of a search runs in parts of a step.
func TestSearchAtFixedBatch(t *testing.T) {
	for _, method := range []string{"search", "evolution"} {
		t.Run(method, func(t *testing.T) {
			b := runtest.New(t, "fashion-tiny")
			m := dense(t, b, "  node merge: (h6) = Reshape(h5, rows)\n  node turn: (cls) = Transpose(h6) perm=[1, 0]")
			j := b.Job
			j.Method, j.Tune.Epochs, j.Refine, j.Evolution.Trials = method, 0, 4, 4
			j.Evolution.Population, j.Evolution.Parents = 4, 2
			j.Search.Weights.Objective.Labels, j.Search.Weights.Objective.Distill = 0, 1
			j.Tune.Objective = j.Search.Weights.Objective
			p, err := entangle.Prepare(m, b.Set, j)
			if err != nil {
				t.Fatal(err)
			}
			r, small, err := p.Search(context.Background(), b.Be, entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := r.Cost["macs"], p.Budget[0].Limit; got > want {
				t.Errorf("want at most %g MACs, got %g", want, got)
			}
			if got, want := small.Graph.Outputs[0].Type.String(), m.Raw.Graph.Outputs[0].Type.String(); got != want {
				t.Errorf("want the output %s, got %s", want, got)
			}
		})
	}
}
