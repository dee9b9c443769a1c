package search

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/search/train/optim"
)

// transfers is a backend that records what goes to and from the device.
type transfers struct {
	engine.Backend
	log []string
}

type tracked struct {
	engine.Buffer
	t *transfers
}

type trackedRun struct {
	engine.Executable
	t *transfers
}

func (t *transfers) note(what string, typ prim.Type) {
	t.log = append(t.log, fmt.Sprintf("%s %s", what, typ))
}

func (t *transfers) Upload(x *prim.Tensor) (engine.Buffer, error) {
	t.note("up", x.Type)
	b, err := t.Backend.Upload(x)
	return tracked{b, t}, err
}

func (b tracked) Read() (*prim.Tensor, error) {
	b.t.note("down", b.Type())
	return b.Buffer.Read()
}

func (t *transfers) Compile(p *prim.Program) (engine.Executable, error) {
	e, err := t.Backend.Compile(p)
	return trackedRun{e, t}, err
}

func (r trackedRun) Run(in []engine.Buffer) ([]engine.Buffer, error) {
	plain := make([]engine.Buffer, len(in))
	for i, b := range in {
		plain[i] = b.(tracked).Buffer
	}
	out, err := r.Executable.Run(plain)
	for i, b := range out {
		out[i] = tracked{b, r.t}
	}
	return out, err
}

// TestTransfers: in a search step two batches, their targets, coefficients and a few
// numbers go up, and the gradient of the coefficients comes down, once both batches are
// up, and with Overlap when both steps have been started; samples that live on the device
// go up as indices. Losses come down when logged.
func TestTransfers(t *testing.T) {
	_, super := nettest.Built(t, "fashion-tiny", 4)
	image := super.Facts.Values[super.Inputs[0]].Shape()
	views := halves(t, imagesFor(t, super, 64, 4))
	count := 0
	for _, d := range super.Super.Space.Dims {
		count += len(d.Choices)
	}
	batch, target := prim.Type{DType: prim.F32, Shape: image}.String(), prim.Type{DType: prim.F32, Shape: []int{4, super.Classes}}.String()
	coef, slope := fmt.Sprintf("f32[%d]", count), fmt.Sprintf("f32[%d]", count+1)
	for _, c := range []struct {
		limit   int
		sample  string
		overlap bool
	}{{0, batch, false}, {1 << 20, "i64[4]", false}, {0, batch, true}} {
		be := &transfers{Backend: cpu.New(cpu.Options{Threads: 1})}
		super.DataLimit = c.limit
		cfg := DefaultConfig()
		cfg.Weights.Augment, cfg.Overlap = "", &c.overlap
		s, err := newSearcher(be, super, nil, views.Weights, views.Alpha, cfg, nil, nil, 1, train.Hooks{LogEvery: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		step := func() []string {
			be.log = nil
			if err := s.advance(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := s.Tick(nil); err != nil {
				t.Fatal(err)
			}
			return be.log
		}
		want := []string{
			"up " + c.sample, "up " + target, // of the weight step
			"up " + coef, "up " + c.sample, "up " + target, "up i64[2]", "down " + slope,
			"up " + coef, "up f32[]", "up i64[2]",
		}
		if c.overlap { // the gradient is read when the weight step has been started
			at := slices.Index(want, "down "+slope)
			want = append(slices.Delete(want, at, at+1), "down "+slope)
		}
		if got := step(); !slices.Equal(got, want) {
			t.Errorf("first step: want %q, got %q", want, got)
		}
		if got := step(); !slices.Equal(got, append(want, "down f32[]", "down f32[]", "down f32[]", "down f32[]")) {
			t.Errorf("step with a log line: got %q", got)
		}
	}
}

// TestEvaluateAhead: a batch is given to the device before the results of the one before it
// are read.
func TestEvaluateAhead(t *testing.T) {
	plain, _ := nettest.Built(t, "fashion-tiny", 4)
	image := plain.Facts.Values[plain.Inputs[0]].Shape()
	set := imagesFor(t, plain, 4, 12)
	be := &transfers{Backend: cpu.New(cpu.Options{Threads: 1})}
	ev, err := net.NewEvaluator(be, plain)
	if err != nil {
		t.Fatal(err)
	}
	env := net.Env{}
	if err := plain.Load(be, env); err != nil {
		t.Fatal(err)
	}
	be.log = nil
	if s, err := ev.Score(t.Context(), env, set.Part("test").All()); err != nil || s.Samples != 12 {
		t.Fatalf("want 12 samples, got %v, %v", s, err)
	}
	up, down := "up "+prim.Type{DType: prim.F32, Shape: image}.String(), "down "+prim.Type{DType: prim.F32, Shape: []int{4, plain.Classes}}.String()
	if want := []string{up, up, down, up, down, down}; !slices.Equal(be.log, want) {
		t.Errorf("want %q, got %q", want, be.log)
	}
}

// TestBatchInputs: what runs over examples is marked in the programs of a search, and nothing
// else is: several devices share it out, whatever sizes weights have.
func TestBatchInputs(t *testing.T) {
	_, super := nettest.Built(t, "fashion-tiny", 8) // some weights have a first size of 8
	sgd, err := optim.ByName("sgd")
	if err != nil {
		t.Fatal(err)
	}
	be := cpu.New(cpu.Options{Threads: 1})
	weights, err := train.WeightStep(be, super, net.Objective{Labels: 1}, true, sgd, sgd.Defaults, 0)
	if err != nil {
		t.Fatal(err)
	}
	alphas, err := alphaStep(be, super, net.Objective{Labels: 1}, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, st := range map[string]*net.Step{"weights": weights, "architecture": alphas} {
		var got []string
		others := 0
		for _, in := range st.Program.Inputs {
			if in.Batch {
				got = append(got, in.Name)
			} else if s := st.Program.Nodes[in.ID].Type.Shape; len(s) > 0 && s[0] == 8 {
				others++
			}
		}
		slices.Sort(got)
		want := []string{net.TargetName, super.Inputs[0]}
		slices.Sort(want)
		if !slices.Equal(got, want) || others == 0 {
			t.Errorf("%s: want %q and inputs of the batch's size beside them, got %q and %d", name, want, got, others)
		}
	}
}
