package entangle_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/relax"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// TestCompressMeetsTarget: every relaxation ends within the budget, the subnet's
// real cost is the reported one, and training helps.
func TestCompressMeetsTarget(t *testing.T) {
	for _, rx := range relax.All() {
		t.Run(rx.Name, func(t *testing.T) {
			b := runtest.New(t, "resnet20-tiny")
			b.Job.Search.Relaxation = rx.Name
			b.Job.Baselines = rx.Name == relax.Default
			b.Job.Tune.Epochs = 2
			p := b.Plan(t)
			o, err := p.Compress(context.Background(), b.Be, entangle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range o.Candidates {
				f, err := ops.InferModel(c.Model, map[string]int{"batch": 1})
				if err != nil {
					t.Fatal(err)
				}
				real := ops.ModelCost(c.Model, f)
				if real.MACs > p.Budget[0].Limit || math.Abs(real.MACs-c.Cost[space.MACs]) > 0.5 || float64(real.Params) != c.Cost[space.Params] {
					t.Errorf("%s: MACs %g (limit %g), reported %g; parameters %d, reported %g", c.Name, real.MACs, p.Budget[0].Limit, c.Cost[space.MACs], real.Params, c.Cost[space.Params])
				}
				if c.Test.Tuned == nil || c.Test.Inherited == nil || c.Test.Recalibrated == nil {
					t.Errorf("%s: want three scores, got %+v", c.Name, c.Test)
				}
			}
		})
	}
}

// TestUnreachableTarget: refused before any work, with the figures.
func TestUnreachableTarget(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Target[0].Share = 1e-4
	_, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
	var unmet *decide.TargetError
	if !errors.As(err, &unmet) || unmet.Smallest <= unmet.Limit {
		t.Errorf("want a TargetError, got %v", err)
	}
}

// TestCompressWithoutLabels: a model with three outputs, the first no row of
// classes, is compressed by distillation alone; its quality is the distance of the
// outputs, which tuning makes smaller.
func TestCompressWithoutLabels(t *testing.T) {
	b := runtest.New(t, "multi-output-tiny")
	out := b.Model.Graph.Outputs
	slices.Reverse(out)
	b.Job.Search.Weights.Objective = net.Objective{Distill: 1, Temperature: 1}
	b.Job.Tune.Objective = b.Job.Search.Weights.Objective
	b.Job.Tune.Epochs = 6
	b.Job.Target[0].Share = 0.6
	b.Job.Outputs = unlabelled
	p := b.Plan(t)
	o, err := p.Compress(context.Background(), b.Be, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := o.Candidates[0]
	if c.Cost[space.MACs] > p.Budget[0].Limit {
		t.Errorf("cost %g over the limit %g", c.Cost[space.MACs], p.Budget[0].Limit)
	}
	if o.Original.Test != nil || c.Test.Tuned != nil {
		t.Error("a model without classes has an accuracy")
	}
	for _, q := range []entangle.Quality{c.Val, c.Test} {
		if q.Distance == nil || q.Distance.Inherited == nil || q.Distance.Recalibrated == nil && c.Notes == nil || q.Distance.Tuned == nil {
			t.Fatalf("want three distances, or a note of why not, got %+v", q.Distance)
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

// unlabelled says of multi-output's outputs that labels are for none.
var unlabelled = net.Settings{{Output: "heat", Kind: measure.Values, Weight: 1}, {Output: "embedding", Kind: measure.Embedding, Weight: 1}, {Output: "logits", Kind: measure.Values, Weight: 1}}

// TestOutputsBesideLabels: labels teach the output of as many classes, wherever it stands, and
// the others have their distances.
func TestOutputsBesideLabels(t *testing.T) {
	b := runtest.New(t, "multi-output-tiny")
	slices.Reverse(b.Model.Graph.Outputs)
	b.Job.Tune.Epochs = 2
	b.Job.Method = "uniform"
	o, err := b.Plan(t).Compress(context.Background(), b.Be, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []net.Meaning{{Output: "heat", Kind: measure.Sigmoid}, {Output: "embedding", Kind: measure.Values}, {Output: "logits", Kind: measure.Logits, Labels: true}} {
		if got := o.Outputs[i]; got.Output != want.Output || got.Kind != want.Kind || got.Labels != want.Labels {
			t.Errorf("want %+v, got %+v", want, got)
		}
	}
	if c := o.Candidates[0]; o.Original.Test == nil || c.Test.Tuned == nil || c.Test.Distance == nil || len(c.Test.Distance.Tuned.Outputs) != 3 {
		t.Errorf("want a score and three distances, got %+v", c.Test)
	}
}

// TestTuneWithoutLabels: with a teacher and no classes, tuning says how far the outputs
// are from the teacher's before and after, which is no worse; without a teacher it says nothing.
func TestTuneWithoutLabels(t *testing.T) {
	b := runtest.New(t, "multi-output-tiny")
	slices.Reverse(b.Model.Graph.Outputs)
	b.Job.Tune.Objective = net.Objective{Distill: 1, Temperature: 1}
	b.Job.Outputs = unlabelled
	b.Job.Tune.Epochs, b.Job.Tune.Hyper.WeightDecay, b.Job.Calibrate = 0.25, 0.5, 0
	m := runtest.Wrap(b.Model)
	train, err := entangle.PrepareTraining(m, m, b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	_, part, q, err := train.Train(context.Background(), b.Be, "finetune", entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := q.Distance; part != "test" || q.Last() != nil || d == nil || d.Inherited.Error != 0 || d.Tuned == nil || d.Tuned.Error != 0 || d.Tuned.Samples != 80 {
		t.Errorf("on %s: %+v", part, q)
	}
	b.Job.Tune.Epochs = 0
	if _, err := entangle.PrepareTraining(m, nil, b.Set, b.Job); err != nil {
		t.Errorf("without a teacher and without steps: %v", err)
	}
	b.Job.Tune.Epochs = 1
	if _, err := entangle.PrepareTraining(m, nil, b.Set, b.Job); err == nil || !strings.Contains(err.Error(), "tune.objective.labels") {
		t.Errorf("labels for a model without classes: %v", err)
	}
	b.Job.Tune.Objective.Labels, b.Job.Tune.Objective.Distill = 0.5, 0.5
	if _, err := entangle.PrepareTraining(m, m, b.Set, b.Job); err == nil || !strings.Contains(err.Error(), "--distill 1") {
		t.Errorf("labels beside distillation for a model without classes: want the way out named, got %v", err)
	}
}

// TestTightTarget: a longer search with a tight target ends with an expected cost
// near the limit, before anything is chosen.
func TestTightTarget(t *testing.T) {
	for _, name := range []string{relax.Default, "darts"} {
		t.Run(name, func(t *testing.T) {
			b := runtest.New(t, "fashion-tiny")
			b.Job.Target[0].Share = 0.3
			p := b.Plan(t)
			cfg := b.Job.Search
			cfg.Relaxation = name
			cfg.Weights.Epochs = 16
			end := 0.0
			_, err := b.Run(context.Background(), p, cfg, p.Budget, nil, train.Hooks{Observe: func(e train.Event) {
				if e.Kind == "step" {
					end = e.Cost[space.MACs]
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			limit := p.Budget[0].Limit / p.Cost[space.MACs].At(p.Space.Largest())
			if end > 1.1*limit {
				t.Errorf("expected cost %.3f of the original at the end: want at most 1.1 × %.3f", end, limit)
			}
		})
	}
}

// TestCompressByEvolution: the supernet is trained on single subnets and α stays; the
// subnet meets the target at the cost that is told.
func TestCompressByEvolution(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Method, b.Job.Evolution = "evolution", decide.Evolution{Population: 8, Parents: 3}
	stages := map[string]int{}
	observe := func(e train.Event) {
		stages[e.Stage] = max(stages[e.Stage], e.Step)
		if e.Stage == "supernet" && e.AlphaLoss != 0 {
			t.Error("the supernet's training took an architecture step")
		}
	}
	p := b.Plan(t)
	o, err := p.Compress(context.Background(), b.Be, entangle.Options{Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	c := o.Candidates[0]
	f, err := ops.InferModel(c.Model, map[string]int{"batch": 1})
	if err != nil {
		t.Fatal(err)
	}
	if real := ops.ModelCost(c.Model, f); c.Name != "evolution" || c.Recipe.Method != "evolution" || real.MACs > p.Budget[0].Limit || math.Abs(real.MACs-c.Cost[space.MACs]) > 0.5 {
		t.Errorf("%s by %s: %g MACs, limit %g, told %g", c.Name, c.Recipe.Method, real.MACs, p.Budget[0].Limit, c.Cost[space.MACs])
	}
	delete(stages, "ranking")
	if want := map[string]int{"supernet": 8, "evolution": 12, "finetune-evolution": 16}; fmt.Sprint(stages) != fmt.Sprint(want) {
		t.Errorf("last steps of the stages: want %v, got %v", want, stages)
	}
}

// TestSearchByMethod: what entangle search writes is the method's choice.
func TestSearchByMethod(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Method = "uniform"
	p := b.Plan(t)
	r, _, err := p.Search(context.Background(), b.Be, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := decide.Uniform(p.Space, p.Budget)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range r.Dims {
		if d.Choice != p.Space.Dims[i].Choices[want[i]] {
			t.Errorf("%s: want %d, got %d", d.Name, p.Space.Dims[i].Choices[want[i]], d.Choice)
		}
	}
	if r.Method != "uniform" {
		t.Errorf("recipe by %q", r.Method)
	}
}
