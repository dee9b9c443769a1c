package latency

import (
	"context"
	"fmt"
	"math"
	goruntime "runtime"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// Clocked is a runtime that tells how long its runs take, in place of the clock on the wall.
type Clocked interface {
	// Time is how long the last run of a session took.
	Time(s runtimes.Session) time.Duration
}

// timed is a model that is ready to run.
type timed struct {
	rt      runtimes.Runtime
	session runtimes.Session
	in      map[string]*ir.Tensor
	bound   runtimes.Bound // nil: the session's runs are timed with what is around them
}

func open(rt runtimes.Runtime, m *ir.Model, in map[string]*ir.Tensor) (*timed, error) {
	body, err := exporter.Encode(m)
	if err != nil {
		return nil, err
	}
	s, err := rt.Open(runtimes.Source{Data: body, Model: m})
	if err != nil {
		return nil, err
	}
	t := &timed{rt: rt, session: s, in: in}
	if b, ok := s.(runtimes.Binder); ok {
		if t.bound, err = b.Bind(in); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *timed) close() {
	if t.bound != nil {
		_ = t.bound.Close()
	}
	_ = t.session.Close()
}

// run returns the time of a run in milliseconds: of a run on one thread what its processor
// spent, where the system tells, for other work on the machine adds nothing to that.
func (t *timed) run() (float64, error) {
	var err error
	if t.bound != nil && t.bound.OneThread() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		if before, ok := threadTime(); ok {
			err = t.bound.Run()
			after, _ := threadTime()
			return float64(after-before) / 1e6, err
		}
	}
	start := time.Now()
	if t.bound != nil {
		err = t.bound.Run()
	} else {
		_, err = t.session.Run(t.in)
	}
	took := time.Since(start)
	if c, ok := t.rt.(Clocked); ok {
		took = c.Time(t.session)
	}
	return float64(took) / 1e6, err
}

const (
	maxRounds = 41  // turns of each model
	minRounds = 7   //
	inTurn    = 3   // runs of a turn, the fastest of which counts
	roundTime = 6e3 // milliseconds that the turns of a set of models may take, beyond minRounds
	// undisturbed is the quantile of the turns that stands for a model: what else a machine
	// does adds to times, and takes nothing off.
	undisturbed = 0.1
)

// turns runs models turn by turn and returns the time of every turn, by model and round:
// what disturbs the machine disturbs all of them.
func turns(ctx context.Context, models []*timed, rounds int) ([][]float64, error) {
	out := make([][]float64, len(models))
	spent := 0.0
	for round := range rounds + 1 {
		if round > minRounds && spent > roundTime {
			break
		}
		for k := range models {
			i := k
			if round%2 == 1 { // no model always runs on the caches that the same other one left
				i = len(models) - 1 - k
			}
			best := math.Inf(1)
			for range inTurn {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				v, err := models[i].run()
				if err != nil {
					return nil, err
				}
				best = min(best, v)
				spent += v
			}
			if round > 0 { // the first warms up
				out[i] = append(out[i], best)
			}
		}
	}
	return out, nil
}

func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// Comparison is what models take beside a reference, measured turn by turn.
type Comparison struct {
	// Reference is the reference's time in milliseconds: the tenth percentile of the turns.
	Reference float64 `json:"reference_ms"`
	// Ratios are the models' times over the reference's, likewise.
	Ratios []float64 `json:"ratios"`
	// Noise is how far the reference's own ratio is from 1, when it is measured as a model is.
	Noise float64 `json:"noise"`
}

// Compare times models beside a reference, on random inputs; dims gives the sizes of their
// open dimensions, batch that of an unnamed first one.
func Compare(ctx context.Context, rt runtimes.Runtime, reference *ir.Model, models []*ir.Model, batch int, dims map[string]int) (*Comparison, error) {
	var all []*timed
	defer func() {
		for _, t := range all {
			t.close()
		}
	}()
	for _, m := range slices.Concat([]*ir.Model{reference, reference}, models) {
		in, err := exporter.RandomInputs(m.Graph, exporter.VerifyOptions{Batch: batch, Dims: dims, Seed: 1})
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		t, err := open(rt, m, in[0])
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		all = append(all, t)
	}
	times, err := turns(ctx, all, maxRounds)
	if err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	low := func(t ...[]float64) float64 { return quantile(slices.Concat(t...), undisturbed) }
	against := func(t []float64, twins ...[]float64) float64 {
		if of := low(twins...); of > 0 {
			return low(t) / of
		}
		return 1
	}
	c := &Comparison{Reference: low(times[0], times[1])}
	c.Noise = math.Abs(against(times[0], times[1]) - 1)
	for _, t := range times[2:] {
		c.Ratios = append(c.Ratios, against(t, times[0], times[1]))
	}
	return c, nil
}

// pieceTimes times pieces turn by turn with one that does nothing, whose time is taken off:
// the least of the turns, in milliseconds. A piece that cannot run has an error.
func pieceTimes(ctx context.Context, rt runtimes.Runtime, models []*ir.Model) ([]float64, []error, error) {
	var all []*timed
	defer func() {
		for _, t := range all {
			t.close()
		}
	}()
	failed := make([]error, len(models))
	var of []int
	r := rng.New(1, "latency/pieces").Rand
	for i, m := range append([]*ir.Model{nothing()}, models...) {
		in, err := feed(m, r)
		var t *timed
		if err == nil {
			t, err = open(rt, m, in)
		}
		if err == nil {
			if _, err = t.run(); err != nil {
				t.close()
			}
		}
		switch {
		case err == nil:
			all, of = append(all, t), append(of, i-1)
		case i == 0:
			return nil, nil, err
		default:
			failed[i-1] = err
		}
	}
	times, err := turns(ctx, all, maxRounds)
	if err != nil {
		return nil, nil, err
	}
	out := make([]float64, len(models))
	idle := slices.Min(times[0])
	for k, t := range times[1:] {
		out[of[k+1]] = max(slices.Min(t)-idle, 1e-4)
	}
	return out, failed, nil
}

// nothing is a model that takes what every run takes.
func nothing() *ir.Model {
	one := ir.Type{Kind: ir.KindTensor, Elem: ir.Float32, Ranked: true, Shape: []ir.Dim{{Size: 1}}}
	return &ir.Model{IRVersion: 7, Opsets: []ir.Opset{{Version: 13}}, Graph: &ir.Graph{
		Name: "nothing", Inputs: []ir.Value{{Name: "x", Type: one}}, Outputs: []ir.Value{{Name: "y", Type: one}},
		Nodes: []*ir.Node{{OpType: "Neg", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}}
}

// Compare times a subnet beside the original.
func (s Source) Compare(ctx context.Context, rt runtimes.Runtime, choice []int) (*Comparison, error) {
	original, err := s.cut(s.Net.Space.Largest())
	if err != nil {
		return nil, err
	}
	small, err := s.cut(choice)
	if err != nil {
		return nil, err
	}
	return Compare(ctx, rt, original, []*ir.Model{small}, s.Batch, s.dims())
}
