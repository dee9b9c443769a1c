package cpu_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/ort"
	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/orttest"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/ops"
)

// inferred is a model to time at some batch.
type inferred struct {
	name  string
	model *ir.Model
	data  []byte
}

func inferredModels(b *testing.B) []inferred {
	b.Helper()
	var out []inferred
	dir, err := testenv.FindModels()
	if err != nil {
		b.Logf("resnet20: skipped: %v", err)
	} else if data, err := os.ReadFile(filepath.Join(dir, "resnet20.onnx")); err != nil {
		b.Logf("resnet20: skipped: %v", err)
	} else {
		m, err := importer.Decode(data, "")
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, inferred{"resnet20", m, data})
	}
	for _, e := range models.Transformers() {
		if e.Name != "vit" {
			continue
		}
		m, err := e.Build(models.Options{Depth: 12})
		if err != nil {
			b.Fatal(err)
		}
		data, err := exporter.Encode(m)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, inferred{"vit_tiny", m, data})
	}
	return out
}

// BenchmarkInference times models on the engine and on ONNX Runtime in turn, one
// thread each, by processor time; with -v it prints where the engine's time goes.
func BenchmarkInference(b *testing.B) {
	rt := ort.New(ort.Options{Library: orttest.Library("../.."), Threads: 1})
	_, absent := rt.Describe()
	if absent != nil {
		b.Logf("ONNX Runtime: skipped: %v", absent)
	}
	for _, m := range inferredModels(b) {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", m.name, batch), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				in := m.feed(batch)
				ours, log := m.onEngine(b, in)
				peer := func() {}
				if absent == nil {
					s, err := rt.Open(runtimes.Source{Data: m.data, Model: m.model})
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					peer = func() {
						if _, err := s.Run(in); err != nil {
							b.Fatal(err)
						}
					}
				}
				var times [2][]float64
				ours()
				peer()
				for b.Loop() {
					for k, run := range []func(){ours, peer} {
						start := cpu.ThreadTime()
						run()
						times[k] = append(times[k], 1e3*(cpu.ThreadTime()-start).Seconds())
					}
				}
				for k := range times {
					sort.Float64s(times[k])
				}
				mid := len(times[0]) / 2
				b.ReportMetric(times[0][mid], "cpu-ms")
				if absent == nil {
					b.ReportMetric(times[1][mid], "ort-cpu-ms")
					b.ReportMetric(times[0][mid]/times[1][mid], "ratio")
				}
				if testing.Verbose() {
					log()
				}
			})
		}
	}
}

// feed returns one random tensor per input.
func (m inferred) feed(batch int) map[string]*ir.Tensor {
	in := map[string]*ir.Tensor{}
	for _, name := range runtimes.FeedNames(m.model.Graph) {
		for _, v := range m.model.Graph.Inputs {
			if v.Name != name {
				continue
			}
			dims := []int{batch}
			n := batch
			for _, d := range v.Type.Shape[1:] {
				dims = append(dims, d.Size)
				n *= d.Size
			}
			r := rng.New(1, "inference/"+name)
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			in[name] = ir.NewFloat32(name, dims, x)
		}
	}
	return in
}

// onEngine returns a run of the model on the engine, inputs given as host tensors
// and outputs read back, and a function that prints the time of its kernels.
func (m inferred) onEngine(b *testing.B, in map[string]*ir.Tensor) (run, log func()) {
	b.Helper()
	c, bind := m.model.Clone(), map[string]int{}
	for i := range c.Graph.Inputs {
		v := &c.Graph.Inputs[i]
		if t := in[v.Name]; t != nil {
			if p := v.Type.Shape[0].Param; p != "" {
				bind[p] = t.Dims[0]
			}
			v.Type = t.Type()
		}
	}
	p, _, err := ops.Program(c, bind, prim.F32)
	if err != nil {
		b.Fatal(err)
	}
	prof := cpu.NewProfile()
	opt := cpu.Options{Threads: 1}
	if testing.Verbose() {
		opt.Trace = prof.Add
	}
	be := cpu.New(opt)
	exe, err := be.Compile(p)
	if err != nil {
		b.Fatal(err)
	}
	host := map[string]*prim.Tensor{}
	for name, t := range in {
		if host[name], err = ops.HostTensor(t, prim.F32); err != nil {
			b.Fatal(err)
		}
	}
	return func() {
		prof.Start(time.Now())
		if _, err := engine.ExecHost(be, exe, p, host); err != nil {
			b.Fatal(err)
		}
	}, func() { prof.Log(b) }
}
