package train_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// renamed is a copy of a model with other names for some of its values.
func renamed(m *ir.Model, names map[string]string) *ir.Model {
	c := m.Clone()
	rename := func(s *string) {
		if to, ok := names[*s]; ok {
			*s = to
		}
	}
	for _, list := range [][]ir.Value{c.Graph.Inputs, c.Graph.Outputs, c.Graph.Info} {
		for i := range list {
			rename(&list[i].Name)
		}
	}
	for _, n := range c.Graph.Nodes {
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for i := range list {
				rename(&list[i])
			}
		}
	}
	return c
}

// TestTeacherOfOtherNames: a teacher takes its own inputs and gives its own output; what
// they are called makes no difference to a single bit.
func TestTeacherOfOtherNames(t *testing.T) {
	m, set := modeltest.WithImages(t, "resnet20-tiny", 64, 16)
	be := cpu.New(cpu.Options{Threads: 1})
	student, err := net.NewNetworkOn(modeltest.Normal(t, "resnet20-tiny", models.Options{Classes: 4, Seed: 9}), 16, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Graph
	other := renamed(m, map[string]string{g.Inputs[0].Name: "pixels", g.Outputs[0].Name: "scores"})
	w := train.DefaultWeights()
	w.Epochs, w.Objective = 1, net.Objective{Labels: .5, Distill: .5, Temperature: 2}
	run := func(m *ir.Model) (map[string]*ir.Tensor, []float64, *net.Fidelity) {
		teach, err := net.NewNetworkOn(m, 16, set, nil)
		if err != nil {
			t.Fatal(err)
		}
		var losses []float64
		observe := func(e train.Event) { losses = append(losses, e.Loss) }
		r, err := train.Train(context.Background(), be, student, teach, set.Part("train").All(), data.View{}, w, 1, train.Hooks{LogEvery: 1, Observe: observe})
		if err != nil {
			t.Fatal(err)
		}
		far, err := net.Compare(context.Background(), be, student, teach, set.Part("test").All())
		if err != nil {
			t.Fatal(err)
		}
		return r.Weights, losses, far
	}
	weights, losses, far := run(m)
	again, others, same := run(other)
	if len(losses) != 4 || !slices.Equal(losses, others) || !nettest.EqualWeights(weights, again) {
		t.Errorf("losses of 4 steps: want %v and the same weights, got %v", losses, others)
	}
	if !(far.Error > 0) || !reflect.DeepEqual(far, same) {
		t.Errorf("distance: want %+v, got %+v", far, same)
	}
}

// TestTeacherThatDoesNotFit: the error names the teacher and what is wrong with it.
func TestTeacherThatDoesNotFit(t *testing.T) {
	m, set := modeltest.WithImages(t, "fashion-tiny", 64, 16)
	be := cpu.New(cpu.Options{Threads: 1})
	student, err := net.NewNetworkOn(m, 16, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := train.DefaultWeights()
	w.Objective = net.Objective{Distill: 1, Temperature: 1}
	for _, c := range []struct {
		name  string
		model *ir.Model
		batch int
		say   []string
	}{
		{"another size of image", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 4, Size: 20}), 16, []string{`model input "image"`, "want samples of shape [1 20 20], got [1 16 16]"}},
		{"other classes", modeltest.Normal(t, "fashion-tiny", models.Options{Classes: 7}), 16, []string{`output "logits": want [16 4] as the network's "logits", got [16 7]`}},
		{"another batch", m, 8, []string{"want batch 16, got 8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			teach, err := net.NewNetwork(c.model, c.batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = train.Train(context.Background(), be, student, teach, set.Part("train").All(), data.View{}, w, 1, train.Hooks{})
			for _, say := range append(c.say, "teacher: ") {
				if err == nil || !strings.Contains(err.Error(), say) {
					t.Errorf("want an error that says %q, got %v", say, err)
				}
			}
		})
	}
}

// TestTeacherOfMoreFields: a teacher may take a field that the student goes without.
func TestTeacherOfMoreFields(t *testing.T) {
	open := func(text string) *data.Set {
		t.Helper()
		path := filepath.Join(t.TempDir(), "s.tsv")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := data.Open("tsv:"+path, data.Options{Seq: 4})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	parse := func(text string) *ir.Model {
		t.Helper()
		m, err := ir.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	student := parse(`model {
  ir 8
  opset _ 17
}
graph g {
  input input_ids int64[batch, words]
  output y float32[batch, words]
  node floats: (y) = Cast(input_ids) to=1
}
`)
	teacher := parse(`model {
  ir 8
  opset _ 17
}
graph g {
  input attention_mask int64[batch, words]
  input tokens int64[batch, words]
  output z float32[batch, words]
  node kept: (k) = Mul(tokens, attention_mask)
  node shifted: (s) = Sub(k, attention_mask)
  node back: (b) = Add(s, attention_mask)
  node floats: (z) = Cast(b) to=1
}
`)
	set := open("a b\t0\nd\t1\n")
	be := cpu.New(cpu.Options{Threads: 1})
	n, err := net.NewNetworkOn(student, 2, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	teach, err := net.NewNetworkOn(teacher, 2, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := net.Compare(context.Background(), be, n, teach, set.Parts[0].All())
	if err != nil {
		t.Fatal(err)
	}
	// Padding has number 0, so what the mask keeps is all that there is.
	if f.Error != 0 || f.Samples != 2 {
		t.Errorf("want no distance on 2 samples, got %+v", f)
	}
	teacher.Graph.Nodes[1].OpType = "Add"
	if teach, err = net.NewNetworkOn(teacher, 2, set, nil); err != nil {
		t.Fatal(err)
	}
	if f, err = net.Compare(context.Background(), be, n, teach, set.Parts[0].All()); err != nil || !(f.Error > 0) {
		t.Errorf("a mask that is added twice: want a distance, got %+v %v", f, err)
	}
}
