// Package latencytest stands for a runtime in tests of latency: its runs take what a function of
// the model says.
package latencytest

import (
	"errors"
	"time"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/ops"
)

// Runtime runs nothing, and tells its own time.
type Runtime struct {
	Opened int
	Dies   int // at the open of that number; 0: never
	// Bend changes a model's microseconds; nil leaves them.
	Bend func(m *ir.Model, us float64) float64
}

type session struct {
	took time.Duration
}

func (r *Runtime) Name() string { return "fake" }

// Describe says what it is.
func (r *Runtime) Describe() (runtimes.Info, error) {
	return runtimes.Info{Name: "fake", Version: "fake 1", Threads: 1}, nil
}

// Open counts, and fixes how long runs of the model take.
func (r *Runtime) Open(s runtimes.Source) (runtimes.Session, error) {
	r.Opened++
	if r.Opened == r.Dies {
		return nil, errors.New("the device is gone")
	}
	took, err := Microseconds(s.Model)
	if err == nil && r.Bend != nil {
		took = r.Bend(s.Model, took)
	}
	return &session{time.Duration(took * 1e3)}, err
}

func (s *session) Run(map[string]*ir.Tensor) (map[string]*ir.Tensor, error) { return nil, nil }
func (s *session) Close() error                                             { return nil }

// Time makes it latency.Clocked.
func (r *Runtime) Time(s runtimes.Session) time.Duration { return s.(*session).took }

// Microseconds is a time that no product of sizes gives, of a model at batch 1: products come in
// blocks of 4 channels, groups have an overhead, and in a model of more than one a part of it
// is hidden.
func Microseconds(m *ir.Model) (float64, error) {
	bind := map[string]int{ops.AnyDim: 1}
	for _, v := range m.Graph.Inputs {
		for _, d := range v.Type.Shape {
			if d.Param != "" {
				bind[d.Param] = 1
			}
		}
	}
	f, err := ops.InferModel(m, bind)
	if err != nil {
		return 0, err
	}
	total, groups := 30.0, latency.Patterns(m.Graph)
	for _, g := range groups {
		t := 2.0
		for _, n := range g {
			s := f.Sites[n]
			by := 1.0
			if n.OpType == "Conv" {
				c := s.In[1].Shape()[0]
				by = float64((c+3)/4*4) / float64(c)
			}
			t += s.Price().MACs * by / 2000
			t += float64(ir.Prod(s.Out[0].Shape())) / 5000
		}
		if len(groups) > 1 {
			t *= 0.8
		}
		total += t
	}
	return total, nil
}
