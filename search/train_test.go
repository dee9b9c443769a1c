package search_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// TestCompressWithoutLabels: a model with three outputs, the first no row of
// classes, is compressed by distillation alone; its quality is the distance of the
// outputs, which tuning makes smaller.
func TestCompressWithoutLabels(t *testing.T) {
	b := newBench(t, "multi-output-tiny")
	out := b.model.Graph.Outputs
	slices.Reverse(out)
	b.job.Search.Weights.Objective = search.Objective{Distill: 1, Temperature: 1}
	b.job.Tune.Objective = b.job.Search.Weights.Objective
	b.job.Tune.Epochs = 6
	b.job.Target.Share = 0.6
	p := b.plan(t)
	o, err := p.Compress(context.Background(), b.be)
	if err != nil {
		t.Fatal(err)
	}
	c := o.Candidates[0]
	if c.Cost[space.MACs] > p.Budget.Limit {
		t.Errorf("cost %g over the limit %g", c.Cost[space.MACs], p.Budget.Limit)
	}
	if o.Original.Test != nil || c.Test.Tuned != nil {
		t.Error("a model without classes has an accuracy")
	}
	for _, q := range []search.Quality{c.Val, c.Test} {
		if q.Distance == nil || q.Distance.Inherited == nil || q.Distance.Recalibrated == nil || q.Distance.Tuned == nil {
			t.Fatalf("want three distances, got %+v", q.Distance)
		}
		if q.Distance.Tuned.Error >= q.Distance.Inherited.Error {
			t.Errorf("tuning: distance %g became %g", q.Distance.Inherited.Error, q.Distance.Tuned.Error)
		}
		var names []string
		worst := 0.0
		for _, x := range q.Distance.Tuned.Outputs {
			names = append(names, x.Name)
			worst = max(worst, x.Error)
		}
		if !slices.Equal(names, []string{"heat", "embedding", "logits"}) || worst != q.Distance.Tuned.Error {
			t.Errorf("outputs %+v of error %g", q.Distance.Tuned.Outputs, q.Distance.Tuned.Error)
		}
	}
	if c.Test.Distance.Tuned.Samples != 80 {
		t.Errorf("%d samples: want the 80 of the test part", c.Test.Distance.Tuned.Samples)
	}
}

// TestTuneWithoutLabels: with a teacher and no classes, tuning says how far the outputs
// are from the teacher's before and after; without a teacher it says nothing.
func TestTuneWithoutLabels(t *testing.T) {
	b := newBench(t, "multi-output-tiny")
	slices.Reverse(b.model.Graph.Outputs)
	n, v := b.parts(t, 16)
	w := search.DefaultWeights()
	w.Objective = search.Objective{Distill: 1, Temperature: 1}
	w.Epochs, w.Hyper.WeightDecay = 0.25, 0.5
	r, _, err := search.Tune(context.Background(), b.be, n, n, v, v.Test, w, 0, 1, search.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Before != nil || r.After != nil || r.From == nil || r.From.Error != 0 || r.To == nil || r.To.Error <= 0 || r.To.Samples != 80 {
		t.Errorf("from %+v to %+v, scores %v %v", r.From, r.To, r.Before, r.After)
	}
	w.Epochs = 0
	if r, _, err = search.Tune(context.Background(), b.be, n, nil, v, v.Test, w, 0, 1, search.Hooks{}); err != nil || r.From != nil || r.To != nil {
		t.Errorf("without a teacher: %+v %v", r, err)
	}
}

// TestCompareWithItself: a network has no distance from itself, and one whose
// weights are scaled has; a last batch that is padded counts once.
func TestCompareWithItself(t *testing.T) {
	b := newBench(t, "fashion-tiny")
	n, v := b.parts(t, 48)
	f, err := search.Compare(context.Background(), b.be, n, n, v.Test)
	if err != nil {
		t.Fatal(err)
	}
	if f.Error != 0 || f.Samples != 80 {
		t.Errorf("a network against itself: %+v", f)
	}
	if _, err := search.Compare(context.Background(), b.be, n, n, v.Test.Head(0)); err == nil {
		t.Error("an empty view was accepted")
	}
}

// TestTrainResume: training with mixup stopped between checkpoints and at the
// caller's wish equals the uninterrupted run bit for bit.
func TestTrainResume(t *testing.T) {
	b := newBench(t, "fashion-tiny")
	n, v := b.parts(t, 16)
	w := search.DefaultWeights()
	w.Epochs, w.Augment = 2, "flip,mixup:0.4"
	train := func(ctx context.Context, h search.Hooks) (*search.Result, error) {
		return search.Train(ctx, b.be, n, nil, v.Both, v.Val, w, 9, h)
	}
	whole, err := train(context.Background(), search.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	h := search.Hooks{Checkpoint: filepath.Join(t.TempDir(), "train.checkpoint"), Every: 3, LogEvery: 1}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.Observe = func(e search.Event) {
		if e.Step == 7 {
			cancel()
		}
	}
	_, err = train(ctx, h)
	var stopped *search.Interrupted
	if !errors.As(err, &stopped) || stopped.Step != 7 || stopped.Stage != "train" {
		t.Fatalf("want an interruption at step 7, got %v", err)
	}
	first := 0
	h.Observe = func(e search.Event) {
		if first == 0 {
			first = e.Step
		}
	}
	got, err := train(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	if first != 8 {
		t.Errorf("resumed with step %d: want 8", first)
	}
	if !equalWeights(whole.Weights, got.Weights) {
		t.Error("the resumed run differs from the uninterrupted one")
	}
	for i := range got.Curve {
		got.Curve[i].Seconds, whole.Curve[i].Seconds = 0, 0
	}
	if !reflect.DeepEqual(whole.Curve, got.Curve) {
		t.Errorf("curves: want %+v, got %+v", whole.Curve, got.Curve)
	}
	// A finished run started again gives its result without a step.
	h.Observe = func(e search.Event) { t.Errorf("a finished run took step %d", e.Step) }
	if again, err := train(context.Background(), h); err != nil || !equalWeights(whole.Weights, again.Weights) {
		t.Errorf("a finished run started again: %v", err)
	}
}

// TestAlphaClip: Adam does not see the scale of its gradients, but the decay that
// enters its moments does: a hard clip leaves the decay alone in charge.
func TestAlphaClip(t *testing.T) {
	b := newBench(t, "fashion-tiny")
	p := b.plan(t)
	cfg := b.job.Search
	cfg.FreezeWeights, cfg.Relaxation, cfg.Weights.Epochs = true, "darts", 1
	cfg.AlphaHyper.WeightDecay = 1
	cfg.AlphaClip = 1e-12
	cfg.AlphaRate = 0
	start, err := b.run(context.Background(), p, cfg, nil, search.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.AlphaRate = 1e-5
	d, err := b.run(context.Background(), p, cfg, nil, search.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range d.Alpha {
		for k, a := range row {
			if was := start.Alpha[i][k]; math.Abs(was) > 1e-3 && math.Abs(a) >= math.Abs(was) {
				t.Errorf("α[%d][%d] went from %g to %g: decay pulls to 0", i, k, was, a)
			}
		}
	}
}

// ranks returns the position of each entry in ascending order.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if x[a] < x[b] {
			return -1
		}
		return 1
	})
	out := make([]float64, len(x))
	for r, i := range order {
		out[i] = float64(r)
	}
	return out
}

func correlation(a, b []float64) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(a))
	}
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	return ab / math.Sqrt(aa*bb)
}

// TestOrderTaylor: the order agrees in rank with what cutting each unit alone
// does: to the loss when there are labels, to the outputs when there are none.
func TestOrderTaylor(t *testing.T) {
	for _, c := range []struct {
		name      string
		objective search.Objective
		least     float64
	}{
		{"labels", search.Objective{Labels: 1, Temperature: 1}, 0.7},
		{"outputs", search.Objective{Distill: 1, Temperature: 1}, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "vgg-small-tiny")
			b.job.Space = space.Options{Divisor: 1, Kinds: []string{"width"}}
			p := b.plan(t)
			n, err := search.NewNetwork(p.Model, 16, b.set.Shape(), nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			if err := search.Order(ctx, b.be, n, n, p.An, p.Space, "taylor", p.Views.Weights, c.objective, 32, 1); err != nil {
				t.Fatal(err)
			}
			whole, err := search.Evaluate(ctx, b.be, n, p.Views.Weights)
			if err != nil {
				t.Fatal(err)
			}
			sum, dims := 0.0, 0
			for _, d := range p.Space.Dims {
				units := len(d.Order)
				if units < 6 {
					continue
				}
				rank, harm := make([]float64, units), make([]float64, units)
				for r, u := range d.Order {
					rank[u] = -float64(r)
					less := without(t, b, p, d, u)
					if c.objective.Labels > 0 {
						s, err := search.Evaluate(ctx, b.be, less, p.Views.Weights)
						if err != nil {
							t.Fatal(err)
						}
						harm[u] = math.Abs(s.Loss - whole.Loss)
						continue
					}
					f, err := search.Compare(ctx, b.be, less, n, p.Views.Weights)
					if err != nil {
						t.Fatal(err)
					}
					harm[u] = f.Error
				}
				rho := correlation(rank, ranks(harm))
				t.Logf("%s: rank correlation %.2f", d.Name, rho)
				sum += rho
				dims++
			}
			if dims == 0 || sum/float64(dims) < c.least {
				t.Errorf("mean rank correlation over %d widths: want at least %g, got %g", dims, c.least, sum/float64(dims))
			}
		})
	}
}

// without is the model with one unit cut.
func without(t *testing.T, b *bench, p *search.Plan, d space.Dim, unit int) *search.Network {
	t.Helper()
	order := []int{}
	for u := range len(d.Order) {
		if u != unit {
			order = append(order, u)
		}
	}
	full := len(d.Order)
	s := &space.Space{Dims: []space.Dim{{Name: d.Name, Kind: d.Kind, Node: d.Node, Choices: []int{full - 1, full}, Order: append(order, unit)}}}
	net, err := space.Entangle(p.An, s, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m, err := subnet.Cut(net, []int{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := search.NewNetwork(m, 16, b.set.Shape(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTightTarget: a longer search with a tight target ends with an expected cost
// near the limit, before anything is chosen.
func TestTightTarget(t *testing.T) {
	for _, name := range []string{relax.Default, "darts"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "fashion-tiny")
			b.job.Target.Share = 0.3
			p := b.plan(t)
			cfg := b.job.Search
			cfg.Relaxation, cfg.Budget = name, &p.Budget
			cfg.Weights.Epochs = 16
			end := 0.0
			_, err := b.run(context.Background(), p, cfg, nil, search.Hooks{Observe: func(e search.Event) {
				if e.Kind == "step" {
					end = e.Cost
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			limit := p.Budget.Limit / p.Cost[space.MACs].At(p.Space.Largest())
			if end > 1.1*limit {
				t.Errorf("expected cost %.3f of the original at the end: want at most 1.1 × %.3f", end, limit)
			}
		})
	}
}

// TestEventsTellTheWait: the time spent on data grows from event to event and is part
// of the whole.
func TestEventsTellTheWait(t *testing.T) {
	b := newBench(t, "fashion-tiny")
	before := 0.0
	_, err := b.run(context.Background(), b.plan(t), b.job.Search, nil, search.Hooks{LogEvery: 3, Observe: func(e search.Event) {
		if e.Wait <= before || e.Wait >= e.Seconds {
			t.Errorf("step %d: %g s of %g s are waiting, %g s before", e.Step, e.Wait, e.Seconds, before)
		}
		before = e.Wait
	}})
	if err != nil {
		t.Fatal(err)
	}
}
