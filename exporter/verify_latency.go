package exporter

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// LatencyOptions say how latency is measured.
type LatencyOptions struct {
	Batch  int // samples per run, the first ones of the first batch; 0 counts as 1
	Warmup int // runs of each side that are not counted
	Runs   int // counted runs of each side; 0: no measurement
}

// LatencyReport holds the times of both sides, measured turn by turn in one
// process, so that what disturbs the machine disturbs both.
type LatencyReport struct {
	Batch     int     `json:"batch"`
	Warmup    int     `json:"warmup"`
	Runs      int     `json:"runs"`
	Reference Latency `json:"reference"`
	Candidate Latency `json:"candidate"`
	Speedup   float64 `json:"speedup"` // median of the reference / median of the candidate
}

// Latency is the distribution of one side's run times, in milliseconds per batch.
type Latency struct {
	Median float64 `json:"median_ms"`
	P10    float64 `json:"p10_ms"`
	P90    float64 `json:"p90_ms"`
	Min    float64 `json:"min_ms"`
}

func (r *run) latency(ctx context.Context, in [2]Feed, o LatencyOptions) (*LatencyReport, error) {
	l := &LatencyReport{Batch: samples(r.graphs[0], in[0]), Warmup: o.Warmup, Runs: o.Runs}
	if n := samples(r.graphs[1], in[1]); n != l.Batch {
		return nil, fmt.Errorf("verify: latency: want runs of %d samples on both sides, got %d", l.Batch, n)
	}
	var times [2][]time.Duration
	for i := range o.Warmup + o.Runs {
		for k := range r.sessions {
			side := (i + k) % 2 // neither side always runs on the other's warm caches
			_, took, err := r.sessions[side].run(ctx, in[side], r.slowest)
			if err != nil {
				return nil, fmt.Errorf("verify: latency: %w", err)
			}
			if i >= o.Warmup {
				times[side] = append(times[side], took)
			}
		}
	}
	l.Reference, l.Candidate = summary(times[0]), summary(times[1])
	if l.Candidate.Median > 0 {
		l.Speedup = l.Reference.Median / l.Candidate.Median
	}
	return l, nil
}

func summary(d []time.Duration) Latency {
	slices.Sort(d)
	at := func(q float64) float64 {
		return float64(d[min(int(q*float64(len(d))), len(d)-1)]) / 1e6
	}
	l := Latency{Median: at(0.5), P10: at(0.1), P90: at(0.9), Min: at(0)}
	if n := len(d); n%2 == 0 {
		l.Median = float64(d[n/2-1]+d[n/2]) / 2e6
	}
	return l
}
