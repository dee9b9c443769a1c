package entangle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// written writes a model and returns its path.
func written(t *testing.T, m *ir.Model) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "teacher.onnx")
	if err := entangle.Export(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// renamed is a copy of a model whose value of that name has another.
func renamed(t *testing.T, m *ir.Model, from, to string) *ir.Model {
	t.Helper()
	c := m.Clone()
	for _, list := range [][]ir.Value{c.Graph.Inputs, c.Graph.Outputs, c.Graph.Info} {
		for i := range list {
			if list[i].Name == from {
				list[i].Name = to
			}
		}
	}
	for _, n := range c.Graph.Nodes {
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for i := range list {
				if list[i] == from {
					list[i] = to
				}
			}
		}
	}
	if err := ir.Verify(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTeacherIsLearnedFrom: a run whose teacher is the model itself, under other names, is
// the run without one to the bit; another teacher gives another network, whose distance is
// still the one from the original.
func TestTeacherIsLearnedFrom(t *testing.T) {
	type result struct {
		model []byte
		far   float64
	}
	run := func(teacher *ir.Model) result {
		b := runtest.New(t, "multi-output-tiny")
		out := b.Model.Graph.Outputs
		slices.Reverse(out)
		b.Job.Search.Weights.Objective = net.Objective{Distill: 1, Temperature: 1}
		b.Job.Tune.Objective = b.Job.Search.Weights.Objective
		b.Job.Target[0].Share, b.Job.Out, b.Job.Verify, b.Job.Device = 0.6, filepath.Join(t.TempDir(), "s.onnx"), false, "cpu"
		if teacher != nil {
			b.Job.Teacher = written(t, teacher)
		}
		p := b.Plan(t)
		o, err := p.Run(context.Background(), entangle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		// Its distance from the original, by another way than the run's.
		n, err := net.NewNetworkOn(o.Candidates[0].Model, 16, b.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		original, err := net.NewNetworkOn(b.Model, 16, b.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := net.Compare(context.Background(), b.Be, n, original, b.Set.Part("test").All())
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Candidates[0].Test.Distance.Tuned.Error; got != f.Error {
			t.Errorf("distance: want %g, that from the original, got %g", f.Error, got)
		}
		text, err := os.ReadFile(b.Job.Out)
		if err != nil {
			t.Fatal(err)
		}
		return result{text, f.Error}
	}
	model := runtest.New(t, "multi-output-tiny").Model
	slices.Reverse(model.Graph.Outputs)
	alone := run(nil)
	for _, v := range []ir.Value{model.Graph.Inputs[0], model.Graph.Outputs[0], model.Graph.Outputs[1]} {
		if same := run(renamed(t, model, v.Name, "other")); !bytes.Equal(alone.model, same.model) {
			t.Errorf("a teacher that is the model, its %q under another name, gives another network", v.Name)
		}
	}
	wide := modeltest.Normal(t, "multi-output-tiny", models.Options{Classes: 4, Seed: 11})
	slices.Reverse(wide.Graph.Outputs)
	if other := run(wide); bytes.Equal(alone.model, other.model) || other.far <= alone.far {
		t.Errorf("another teacher: distance %g, without one %g: want another network, further from the original", other.far, alone.far)
	}
}

// TestTeacherRefused: what a teacher lacks is told under its key, with what was wanted and got.
func TestTeacherRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		teacher *ir.Model
		set     func(*entangle.Job)
		want    []string
	}{
		{"another size of image", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Size: 20}), nil, []string{"teacher: ", `model input "image": want samples of shape [1 20 20], got [1 16 16]`}},
		{"other classes", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 7}), nil, []string{"teacher: ", `teacher.onnx: output "logits": want the shape [16 4] of the model's "logits", got [16 7]`}},
		{"other classes and name", renamed(t, modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 7}), "logits", "scores"), nil, []string{"teacher: ", `output "scores": want the shape [16 4] of the model's "logits", got [16 7]`}},
		{"no use", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4}), func(j *entangle.Job) {
			for _, o := range []*net.Objective{&j.Search.Weights.Objective, &j.Tune.Objective} {
				o.Labels, o.Distill = 1, 0
			}
		}, []string{"teacher: want search.weights.objective.distill or tune.objective.distill above 0 to learn from it"}},
		{"another than before", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4}), func(j *entangle.Job) { j.Record.Teacher = "ab12" }, []string{"record.teacher_sha256: ", "is another teacher than the job was made with: want ab12, got "}},
		{"none", nil, func(j *entangle.Job) { j.Record.Teacher = "ab12" }, []string{`record.teacher_sha256: want the teacher that the job was made with, of SHA-256 "ab12", got none`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := runtest.New(t, "fashion-tiny")
			b.Job.Tune.Objective.Distill = 1
			if c.teacher != nil {
				b.Job.Teacher = written(t, c.teacher)
			}
			if c.set != nil {
				c.set(&b.Job)
			}
			_, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
			var job *entangle.JobError
			if !errors.As(err, &job) {
				t.Fatalf("want a JobError, got %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q, got %v", want, err)
				}
			}
		})
	}
	b := runtest.New(t, "fashion-tiny")
	b.Job.Teacher = filepath.Join(t.TempDir(), "broken.onnx")
	if err := os.WriteFile(b.Job.Teacher, []byte("no model"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
	var model *entangle.ModelError
	if !errors.As(err, &model) || !strings.HasPrefix(err.Error(), "teacher: ") {
		t.Errorf("want a ModelError of the teacher, got %v", err)
	}
}

// TestTeacherIsRecorded: job.yaml names the teacher's digest, and a folder with checkpoints
// refuses another.
func TestTeacherIsRecorded(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Out, b.Job.Verify, b.Job.Method = filepath.Join(t.TempDir(), "s.onnx"), false, "uniform"
	b.Job.Tune.Objective.Distill = 1
	b.Job.Teacher = written(t, modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Width: 8, Seed: 3}))
	if _, err := b.Plan(t).Run(context.Background(), entangle.Options{}); err != nil {
		t.Fatal(err)
	}
	var j entangle.Job
	if err := j.Read(filepath.Join(b.Job.Folder(), "job.yaml")); err != nil || len(j.Record.Teacher) != 64 || j.Teacher != b.Job.Teacher {
		t.Fatalf("job.yaml has the teacher %q with %q, %v", j.Teacher, j.Record.Teacher, err)
	}
	if err := os.Remove(b.Job.Out); err != nil {
		t.Fatal(err)
	}
	if err := entangle.Export(b.Job.Teacher, modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Width: 8, Seed: 4})); err != nil {
		t.Fatal(err)
	}
	_, err := b.Plan(t).Run(context.Background(), entangle.Options{})
	if err == nil || !strings.Contains(err.Error(), "record.teacher_sha256 was "+j.Record.Teacher) {
		t.Errorf("another teacher in the folder: got %v", err)
	}
	b.Job.Record.Teacher = j.Record.Teacher
	if _, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job); err == nil || !strings.Contains(err.Error(), "is another teacher than the job was made with: want "+j.Record.Teacher) {
		t.Errorf("another teacher beside job.yaml: got %v", err)
	}
}

// twins is a model with two inputs of one shape and two outputs.
func twins(t *testing.T, left, right, boxes, scores string, wide int) *entangle.Model {
	t.Helper()
	m, err := ir.Parse(fmt.Sprintf(`model {
  ir 8
  opset _ 17
}
graph g {
  input %[1]s float32[batch, 4]
  input %[2]s float32[batch, 4]
  output %[3]s float32[batch, 2, %[5]d]
  output %[4]s float32[batch, 3]
  init w float32[4, 6] = [%[6]s]
  init v float32[4, 6] = [%[6]s]
  init u float32[6, 3] = [%[7]s]
  init q float32[6, %[8]d] = [%[9]s]
  init s int64[3] = [0, 2, %[5]d]
  node a: (p) = MatMul(%[1]s, w)
  node b: (r) = MatMul(%[2]s, v)
  node c: (h) = Sub(p, r)
  node d: (k) = Relu(h)
  node e: (%[4]s) = MatMul(k, u)
  node f: (l) = MatMul(k, q)
  node g: (%[3]s) = Reshape(l, s)
}
`, left, right, boxes, scores, wide, values(24), values(18), 2*wide, values(12*wide)))
	if err != nil {
		t.Fatal(err)
	}
	return runtest.Wrap(m)
}

// values lists n numbers.
func values(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%.2f", float64(i%7)/7-0.4))
	}
	return strings.Join(out, ", ")
}

// arrays is a set of the part train.
func arrays(t *testing.T, list ...data.Array) *data.Set {
	t.Helper()
	var b bytes.Buffer
	if err := data.WriteNPZ(&b, list); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "train.npz")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("npz:"+path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestTeacherByPlace: inputs that shapes alone do not tell apart, and outputs of other names,
// are taken by their place, and notes say so; what fits by neither is named.
func TestTeacherByPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 64*4)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	set := arrays(t, data.Array{Name: "left", Shape: []int{64, 4}, Data: x}, data.Array{Name: "right", Shape: []int{64, 4}, Data: slices.Repeat([]float32{.5}, 64*4)})
	j := entangle.DefaultJob()
	j.Data.Batch, j.Tune.Objective = 8, net.Objective{Distill: 1, Temperature: 1}
	for _, c := range []struct {
		name    string
		teacher *entangle.Model
		notes   []string
		want    string
	}{
		{"the same names", twins(t, "left", "right", "boxes", "scores", 4), nil, ""},
		{"one output of another name", twins(t, "left", "right", "boxes", "classes", 4), []string{`teacher: its output "classes" teaches "scores"`}, ""},
		{"all by place", twins(t, "x", "y", "loc", "conf", 4), []string{`teacher: its input "x" takes what the model's "left" takes`, `teacher: its input "y" takes what the model's "right" takes`,
			`teacher: its output "loc" teaches "boxes"`, `teacher: its output "conf" teaches "scores"`}, ""},
		{"a name that it has inside", runtest.Wrap(renamed(t, twins(t, "left", "right", "loc", "scores", 4).Raw, "l", "boxes")), []string{`teacher: its output "loc" teaches "boxes"`}, ""},
		{"another shape", twins(t, "left", "right", "loc", "scores", 5), nil, `teacher: output "loc": want the shape [8 2 4] of the model's "boxes", got [8 2 5]`},
		{"swapped", twins(t, "right", "left", "scores", "boxes", 4), nil, `output "boxes": want the shape [8 2 4] of the model's "boxes", got [8 3]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, err := entangle.PrepareTraining(twins(t, "left", "right", "boxes", "scores", 4), c.teacher, set, j)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("want %q, got %v", c.want, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tr.Notes, c.notes) {
				t.Errorf("want the notes %q, got %q", c.notes, tr.Notes)
			}
			// The same weights: nothing is to be learned.
			tr.Job.Tune.Epochs, tr.Job.Calibrate = 0, 0
			_, _, q, err := tr.Train(context.Background(), runtest.New(t, "fashion-tiny").Be, "finetune", entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if q.Distance == nil || q.Distance.Inherited.Error != 0 || len(q.Distance.Inherited.Outputs) != 2 {
				t.Errorf("distance %+v: want 0 on two outputs", q.Distance)
			}
		})
	}
}

// TestTeacherOfOneBatch: a teacher that runs at one batch size makes that the batch, in parts of a
// step; a batch that is no multiple of it is refused.
func TestTeacherOfOneBatch(t *testing.T) {
	fixed, err := ir.Parse(fmt.Sprintf(`model {
  ir 8
  opset _ 17
}
graph g {
  input x float32[2, 4]
  output y float32[2, 3]
  init w float32[4, 3] = [%s]
  init rows int64[2] = [3, 2]
  init back int64[2] = [2, 3]
  node a: (p) = MatMul(x, w)
  node b: (q) = Reshape(p, rows)
  node c: (r) = Relu(q)
  node d: (y) = Reshape(r, back)
}
`, values(12)))
	if err != nil {
		t.Fatal(err)
	}
	open, err := ir.Parse(fmt.Sprintf(`model {
  ir 8
  opset _ 17
}
graph g {
  input x float32[batch, 4]
  output y float32[batch, 3]
  init w float32[4, 3] = [%s]
  node a: (y) = MatMul(x, w)
}
`, values(12)))
	if err != nil {
		t.Fatal(err)
	}
	set := arrays(t, data.Array{Name: "x", Shape: []int{64, 4}, Data: make([]float32, 256)})
	j := entangle.DefaultJob()
	j.Data.Batch, j.Tune.Objective = 8, net.Objective{Distill: 1, Temperature: 1}
	tr, err := entangle.PrepareTraining(runtest.Wrap(open), runtest.Wrap(fixed), set, j)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Job.Data.Batch != 2 || tr.Job.Tune.Accumulate != 4 || len(tr.Notes) != 1 || !strings.HasPrefix(tr.Notes[0], "the teacher runs at batch 2 only: gradients of 4 batches make a step: ") {
		t.Errorf("batch %d, %d a step, notes %q", tr.Job.Data.Batch, tr.Job.Tune.Accumulate, tr.Notes)
	}
	j.Data.Batch = 7
	if _, err := entangle.PrepareTraining(runtest.Wrap(open), runtest.Wrap(fixed), set, j); err == nil || !strings.Contains(err.Error(), "teacher: it runs at batch 2 only: want a batch that is a multiple of it, and a model that runs at it, got 7: ") {
		t.Errorf("batch 7: got %v", err)
	}
}
