package main

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// tailed is a copy of a model whose first output goes through one operator more.
func tailed(m *ir.Model, op string) *ir.Model {
	c := m.Clone()
	if op == "" {
		return c
	}
	out := &c.Graph.Outputs[0]
	c.Graph.Nodes = append(c.Graph.Nodes, &ir.Node{Name: "tail", OpType: op, Inputs: []string{out.Name}, Outputs: []string{"scores"}, Attrs: []ir.Attr{ir.IntAttr("axis", out.Type.Rank()-1)}})
	out.Name = "scores"
	return c
}

// TestEvalAgreesWithTrain: the score that training and compressing tell and that of eval,
// which sees the outputs of a runtime only, are equal whatever a model's output is.
func TestEvalAgreesWithTrain(t *testing.T) {
	images := func(name string) (*ir.Model, *data.Set) { return modeltest.WithImages(t, name, 8, 30) }
	words := func(name string) (*ir.Model, *data.Set) {
		set, err := data.Open("lm:"+nettest.Chain(t), data.Options{Seq: 8, Limit: 30})
		if err != nil {
			t.Fatal(err)
		}
		return modeltest.Normal(t, name, models.Options{Vocab: 12}), set
	}
	for _, c := range []struct {
		model string
		open  func(string) (*ir.Model, *data.Set)
	}{{"fashion-tiny", images}, {"multi-output-tiny", images}, {"decoder-tiny", words}} {
		m, set := c.open(c.model)
		part := set.Part("test")
		plain := 0.0
		for _, op := range []string{"", "Softmax", "LogSoftmax"} {
			m := tailed(m, op)
			n, err := net.NewNetworkOn(m, 8, set, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := net.Evaluate(context.Background(), cpu.New(cpu.Options{Threads: 1}), n, part.All())
			if err != nil {
				t.Fatal(err)
			}
			if op == "" {
				plain = want.Loss
			} else if math.Abs(want.Loss-plain) > 1e-5 {
				t.Errorf("%s: with %s: want %v nats as without, got %v", c.model, op, plain, want.Loss)
			}
			b, err := exporter.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			for name, open := range map[string]func(t *testing.T) runtimes.Runtime{
				"cpu": func(*testing.T) runtimes.Runtime {
					return native.New(cpu.New(cpu.Options{Threads: 1}), native.Options{Float: prim.F32, Threads: 1})
				},
				"ref": func(*testing.T) runtimes.Runtime {
					return native.New(ref.New(), native.Options{Float: prim.F64, Threads: 1})
				},
				"ort": func(t *testing.T) runtimes.Runtime { return orttest.Open(t) },
			} {
				t.Run(fmt.Sprintf("%s/%s/%s", c.model, op, name), func(t *testing.T) {
					src := runtimes.Source{Model: m, Data: b}
					f, err := entangle.NewFeeder(part.All(), 8, src)
					if err != nil {
						t.Fatal(err)
					}
					out, err := net.ScoredOn(m, set, nil)
					if err != nil {
						t.Fatal(err)
					}
					got, err := exporter.MeasureQuality(context.Background(), exporter.Subject{Source: src, Runtime: open(t)}, out, f.Labelled())
					if err != nil {
						t.Fatal(err)
					}
					if math.Abs(got.Loss-want.Loss) > 1e-5 {
						t.Errorf("cross-entropy: want %v, got %v", want.Loss, got.Loss)
					}
					if math.Abs(got.Confidence-want.Confidence) > 1e-5 {
						t.Errorf("confidence: want %v, got %v", want.Confidence, got.Confidence)
					}
					got.Loss, got.Confidence = want.Loss, want.Confidence
					if got.Score != *want {
						t.Errorf("want %+v, got %+v", *want, got.Score)
					}
				})
			}
		}
	}
}

// TestVerifyBindsBothModels: the second model takes the data by its own names, its fixed
// batch included.
func TestVerifyBindsBothModels(t *testing.T) {
	m, set := modeltest.WithImages(t, "fashion-tiny", 4, 10)
	other := m.Clone()
	from := other.Graph.Inputs[0].Name
	other.Graph.Inputs[0].Name = "pixels"
	other.Graph.Inputs[0].Type.Shape[0] = ir.Dim{Size: 4}
	for _, n := range other.Graph.Nodes {
		for i, name := range n.Inputs {
			if name == from {
				n.Inputs[i] = "pixels"
			}
		}
	}
	rt := native.New(cpu.New(cpu.Options{Threads: 1}), native.Options{Float: prim.F32, Threads: 1})
	sides := [2]exporter.Subject{{Source: runtimes.Source{Model: m}, Runtime: rt}, {Source: runtimes.Source{Model: other}, Runtime: rt}}
	f, err := entangle.NewFeeder(set.Part("test").All(), 16, sides[0].Source, sides[1].Source)
	if err != nil {
		t.Fatal(err)
	}
	v, err := exporter.Verify(context.Background(), sides[0], sides[1], exporter.VerifyOptions{Inputs: f.Pairs()})
	if err != nil || v.Batches != 3 || v.Samples != 12 || v.Outputs[0].MaxAbs != 0 {
		t.Errorf("want 3 whole batches of 4 and no difference, got %v %v", v, err)
	}
}
