package entangle_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/latencytest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// limited is a job of a tiny model with a limit of its latency.
func limited(t *testing.T, method string, targets ...entangle.Target) *runtest.Bench {
	t.Helper()
	b := runtest.New(t, "resnet20-tiny")
	b.Job.Method, b.Job.Target, b.Job.Tune.Epochs = method, targets, 0
	b.Job.Latency.Cache, b.Job.Latency.Calibrate, b.Job.Latency.Check = t.TempDir(), 20, 4
	return b
}

// TestLatencyTarget: the choice meets a latency on the runtime's clock, alone and with another
// limit, as a share and in milliseconds.
func TestLatencyTarget(t *testing.T) {
	for _, targets := range []entangle.Targets{
		{{Metric: latency.Name, Share: 0.6}},
		{{Metric: latency.Name, Limit: 0.1, Unit: "ms"}, {Metric: space.Params, Share: 0.7}},
	} {
		b := limited(t, "uniform", targets...)
		rt := &latencytest.Runtime{}
		p := b.Plan(t)
		if !p.Unpriced() {
			t.Fatal("want a plan without prices")
		}
		o, err := p.Compress(context.Background(), b.Be, entangle.Options{Runtime: rt})
		if err != nil {
			t.Fatal(err)
		}
		c := o.Candidates[0]
		us, err := latencytest.Microseconds(c.Model)
		if err != nil {
			t.Fatal(err)
		}
		x := c.Latency
		if x == nil || math.Abs(x.Measured-us/1e3) > 0.01*x.Measured || math.Abs(x.Predicted/x.Measured-1) > 0.1 || x.Measured > 1.03*x.Wanted {
			t.Errorf("%v: want %.4g ms within the limit, predicted and measured, got %+v", targets, us/1e3, x)
		}
		if len(targets) == 1 && x.Measured < 0.7*x.Wanted {
			t.Errorf("want the limit used, got %+v", x)
		}
		if q := o.Prediction; q == nil || q.Subnets != 4 || q.P90 > 0.1 {
			t.Errorf("want the prediction's errors in the outcome, got %+v", q)
		}
		if len(targets) > 1 && c.Cost[space.Params] > 0.7*o.Cost[space.Params] {
			t.Errorf("want both limits met, got %v of %v", c.Cost, o.Cost)
		}
	}
}

// TestLatencyCorrected: where subnets take longer than predicted the limit is corrected and
// the choice made again, from one search.
func TestLatencyCorrected(t *testing.T) {
	b := limited(t, "search", entangle.Target{Metric: latency.Name, Share: 0.6})
	p := b.Plan(t)
	slower := false
	whole := 0.0
	rt := &latencytest.Runtime{Bend: func(m *ir.Model, us float64) float64 {
		if whole = max(whole, us); slower && us < 0.95*whole {
			return us * 1.2
		}
		return us
	}}
	if err := p.Price(context.Background(), entangle.Options{Runtime: rt}); err != nil {
		t.Fatal(err)
	}
	slower = true
	begun := 0
	o, err := p.Compress(context.Background(), b.Be, entangle.Options{Runtime: rt, Observe: func(e train.Event) {
		if e.Stage == "search" && e.Kind == "step" && e.Step == 1 {
			begun++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	x := o.Candidates[0].Latency
	if len(x.Tries) < 2 || len(x.Tries) > 4 || x.Tries[0].Measured < 1.05*x.Wanted || x.Measured > 1.03*x.Wanted || x.Measured < 0.85*x.Wanted {
		t.Errorf("want a miss, then a choice within the limit, got %+v", x)
	}
	if begun > 1 {
		t.Errorf("want one search, got %d", begun)
	}
	if text := x.Text(); !strings.Contains(text, "corrected") || strings.Contains(text, "MISSED") {
		t.Errorf("want the correction told, got %s", text)
	}
}

// TestLatencyRefused: what the smallest subnet was measured to miss is refused with its time.
func TestLatencyRefused(t *testing.T) {
	b := limited(t, "uniform", entangle.Target{Metric: latency.Name, Limit: 0.001, Unit: "ms"})
	err := b.Plan(t).Price(context.Background(), entangle.Options{Runtime: &latencytest.Runtime{}})
	var unmet *decide.TargetError
	if !errors.As(err, &unmet) || unmet.Measured <= 0.03 || !strings.Contains(err.Error(), "was measured at") {
		t.Errorf("want a refusal with the smallest subnet's time, got %v", err)
	}
}

// TestLatencyResumes: a run that was stopped while it tuned goes on with the choice that it had
// timed, though the runtime is slower by then, or gone.
func TestLatencyResumes(t *testing.T) {
	b := limited(t, "search", entangle.Target{Metric: latency.Name, Share: 0.6})
	b.Job.Tune.Epochs = 2
	dir, slower := t.TempDir(), false
	rt := &latencytest.Runtime{Bend: func(m *ir.Model, us float64) float64 {
		if slower && len(m.Graph.Nodes) > 10 {
			return us * us / 100
		}
		return us
	}}
	run := func(ctx context.Context, observe func(train.Event)) (*entangle.Outcome, error) {
		return b.Plan(t).Compress(ctx, b.Be, entangle.Options{Runtime: rt, Checkpoints: dir, Observe: observe})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var stopped *train.Interrupted
	if _, err := run(ctx, func(e train.Event) {
		if e.Stage == "finetune-search" && e.Kind == "step" {
			cancel()
		}
	}); !errors.As(err, &stopped) || stopped.Stage != "finetune-search" {
		t.Fatalf("want it stopped while it tunes, got %v", err)
	}
	slower = true
	opened := rt.Opened
	o, err := run(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if x := o.Candidates[0].Latency; x == nil || x.Measured > 1.03*x.Wanted || rt.Opened != opened {
		t.Errorf("want what was timed before, got %+v after %d more models", x, rt.Opened-opened)
	}
}

// TestLatencyFamily: a family of latencies gives another size by latency; one of another metric has
// no prices for it.
func TestLatencyFamily(t *testing.T) {
	b := limited(t, "search", entangle.Target{Metric: latency.Name, Share: 0.8}, entangle.Target{Metric: latency.Name, Share: 0.6})
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Epochs = search.InRounds, 4, 1
	b.Job.Verify, b.Job.Device, b.Job.Out = false, "cpu", filepath.Join(t.TempDir(), "sizes")
	rt := &latencytest.Runtime{}
	f, err := b.Plan(t).Family(context.Background(), entangle.Options{Runtime: rt})
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: latency.Name, Share: 0.7}}, "", entangle.Options{Runtime: rt})
	if err != nil {
		t.Fatal(err)
	}
	x := m.Candidates[0].Latency
	if x.Measured > 1.03*x.Wanted || math.Abs(x.Wanted/x.Original-0.7) > 1e-9 || x.Measured < f.Members[1].Candidates[0].Latency.Measured {
		t.Errorf("want 0.7 of the original's latency, got %+v", x)
	}
	b.Job.Target = entangle.Targets{{Metric: space.MACs, Share: 0.8}, {Metric: space.MACs, Share: 0.6}}
	var job *entangle.JobError
	if _, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: latency.Name, Share: 0.7}}, "", entangle.Options{Runtime: rt}); !errors.As(err, &job) || !strings.Contains(err.Error(), "no prices") {
		t.Errorf("a latency of a family without prices: %v", err)
	}
}
