package entangle_test

import (
	"context"
	"errors"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/train"
)

// TestEstimateCountsTheStepsOfARun: the steps that a dry run counts are those that the run
// takes, each with a time of its own, and the sum is theirs.
func TestEstimateCountsTheStepsOfARun(t *testing.T) {
	for _, method := range []string{"search", "uniform", "evolution"} {
		t.Run(method, func(t *testing.T) {
			b := runtest.New(t, "resnet20-tiny")
			b.Job.Method, b.Job.Search.AlphaFrom, b.Job.Refine = method, 0.5, 4
			b.Job.Evolution.Population, b.Job.Evolution.Trials = 4, 6
			p := b.Plan(t)
			x, err := p.Estimate(context.Background(), entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			totals := map[string]int{}
			if _, err := p.Compress(context.Background(), b.Be, entangle.Options{Observe: func(e train.Event) { totals[e.Stage] = max(totals[e.Stage], e.Total) }}); err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"fine-tuning": totals["finetune-"+method]}
			switch method {
			case "search":
				want["search, weight steps"] = totals["search"]
				want["search, architecture steps"] = totals["search"] / 2
				want["trials of subnets"] = totals["refine"]
			case "evolution":
				want["search, weight steps"] = totals["supernet"]
				want["trials of subnets"] = totals["evolution"]
			}
			sum, got := 0.0, map[string]int{}
			for _, part := range x.Parts {
				got[part.Name] = part.Steps
				sum += part.Seconds
				if part.Each <= 0 || part.Steps <= 0 {
					t.Errorf("%s: want steps that take time, got %+v", part.Name, part)
				}
			}
			for name, n := range want {
				if n == 0 || got[name] != n {
					t.Errorf("%s: the run took %d steps, the dry run says %d", name, n, got[name])
				}
			}
			if method == "uniform" && got["search, weight steps"] != 0 {
				t.Errorf("uniform: want no search, got %v", got)
			}
			if sum != x.Seconds || x.PeakBytes == 0 {
				t.Errorf("want the sum of parts %g s and a peak, got %g s, %d bytes", sum, x.Seconds, x.PeakBytes)
			}
		})
	}
}

// TestEstimateRefusesWhatARunRefuses: an engine that cannot be had, and an output that exists.
func TestEstimateRefusesWhatARunRefuses(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Precision = "bf16"
	b.Job.Device = "auto"
	p := b.Plan(t)
	var device *entangle.DeviceError
	if _, err := p.Estimate(context.Background(), entangle.Options{}); !errors.As(err, &device) {
		t.Errorf("want a *DeviceError, got %v", err)
	}
	b = runtest.New(t, "fashion-tiny")
	b.Job.Out = "go.mod"
	p = b.Plan(t)
	var job *entangle.JobError
	if _, err := p.Estimate(context.Background(), entangle.Options{}); !errors.As(err, &job) {
		t.Errorf("want a *JobError, got %v", err)
	}
}

// TestBatchBeyondTheSamples: where nothing is trained no batch is larger than the samples.
func TestBatchBeyondTheSamples(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Method, b.Job.Tune.Epochs, b.Job.Data.Batch = "uniform", 0, 100000
	p := b.Plan(t)
	if got, want := p.Job.Data.Batch, p.Views.Weights.Len(); got != want {
		t.Errorf("batch: want the %d samples, got %d", want, got)
	}
	if _, err := p.Compress(context.Background(), b.Be, entangle.Options{}); err != nil {
		t.Error(err)
	}
	b.Job.Tune.Epochs = 1
	var job *entangle.JobError
	if _, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job); !errors.As(err, &job) {
		t.Errorf("want a batch that is trained on refused, got %v", err)
	}
}
