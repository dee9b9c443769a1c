package xla

import (
	"context"
	"math"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/workloads"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// TestWorkloadSteps runs one whole training step of each network that is small enough,
// and of a supernet (α, then weights), and compares every updated number with the oracle's.
func TestWorkloadSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("interprets whole training steps: skipped by -short")
	}
	for _, name := range []string{"resnet20", "mobilenet", "resnet20_super"} {
		t.Run(name, func(t *testing.T) {
			w, err := workloads.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := w.Build(2)
			if err != nil {
				t.Fatal(err)
			}
			be := newBackend(interpreter{}, lower.Options{})
			for _, ph := range s.Phases {
				in := inputs(s, ph)
				want, err := engine.RunHost(ref.New(), ph.Program, in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := engine.RunHost(be, ph.Program, in)
				if err != nil {
					t.Fatal(err)
				}
				// As a whole: a ReLU whose input is next to zero passes one gradient or not, and
				// single elements before it then differ. Some outputs are zero but for rounding.
				for _, o := range ph.Program.Outputs {
					if e := relativeError(got[o.Name], want[o.Name]); e > 0.02 && enginetest.Check(got[o.Name], want[o.Name], enginetest.Tolerance{Abs: 1e-4}) != nil {
						t.Errorf("%s phase: output %q: off by %g of its size", ph.Name, o.Name, e)
					}
				}
				if e := relativeError(got["loss"], want["loss"]); e > 1e-5 {
					t.Errorf("%s phase: loss: off by %g of its size", ph.Name, e)
				}
			}
		})
	}
}

// inputs returns what the phase of a step begins with, by input name.
func inputs(s *workloads.Step, ph workloads.Phase) map[string]*prim.Tensor {
	in := map[string]*prim.Tensor{}
	for _, x := range ph.Program.Inputs {
		if in[x.Name] = ph.Data[x.Name]; in[x.Name] == nil {
			in[x.Name] = s.Init[x.Name]
		}
	}
	return in
}

// relativeError is the size of the difference of F32 values over the size of what is wanted.
func relativeError(got, want *prim.Tensor) float64 {
	off, size := 0.0, 1e-12
	for i, v := range want.F32 {
		d := float64(got.F32[i]) - float64(v)
		off, size = off+d*d, size+float64(v)*float64(v)
	}
	return math.Sqrt(off / size)
}

// TestSearch runs a whole small search, forward passes, gradients of α, weight steps and
// all, on the interpreter: the same distributions over choices as on the oracle.
func TestSearch(t *testing.T) {
	if testing.Short() {
		t.Skip("interprets a search: skipped by -short")
	}
	for _, name := range []string{"fashion-tiny", "vit-tiny"} {
		t.Run(name, func(t *testing.T) {
			want, got := decide(t, name, ref.New()), decide(t, name, newBackend(interpreter{}, lower.Options{}))
			for i, m := range want.Mean {
				for k, v := range m {
					if math.Abs(v-got.Mean[i][k]) > 1e-4 {
						t.Errorf("dimension %d: mean coefficients: want %v, got %v", i, m, got.Mean[i])
					}
				}
			}
		})
	}
}

func decide(t *testing.T, name string, be engine.Backend) *search.Decision {
	t.Helper()
	m, set := modeltest.WithImages(t, name, 60, 16)
	j := entangle.Job{Space: space.Options{Divisor: 2}, Batch: 8, Seed: 5, Splits: search.Splits{Weights: .4, Alpha: .4, Val: .2}, Order: "l1",
		Super: space.Every, Search: search.DefaultConfig(), Target: entangle.Target{Metric: space.MACs, Share: 0.5}, Calibrate: 2, Tune: train.DefaultWeights()}
	j.Search.Weights.Epochs = 1
	p, err := entangle.Prepare(m, set, j)
	if err != nil {
		t.Fatal(err)
	}
	super, err := space.Entangle(p.An, p.Space, space.Every)
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.NewNetworkOn(p.Model, j.Batch, set, super)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := search.Run(context.Background(), be, n, nil, p.Views.Weights, p.Views.Alpha, p.Views.Val, j.Search, j.Seed, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return dec
}
