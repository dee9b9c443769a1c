package entangle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/decide"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// family is a job of three sizes on a small network, without verification.
func family(t *testing.T) *runtest.Bench {
	t.Helper()
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Epochs = search.InRounds, 4, 2
	b.Job.Target = entangle.Targets{{Metric: space.MACs, Share: 0.5}, {Metric: space.MACs, Share: 0.75}, {Metric: space.MACs, Share: 0.3}}
	b.Job.Verify, b.Job.Device, b.Job.Out = false, "cpu", filepath.Join(t.TempDir(), "sizes")
	return b
}

func makeFamily(t *testing.T, ctx context.Context, b *runtest.Bench, o entangle.Options) (*entangle.Family, error) {
	t.Helper()
	p, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	return p.Family(ctx, o)
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var familyFiles = []string{"macs-0.75.onnx", "macs-0.5.onnx", "macs-0.3.onnx"}

// trains reports a stage of weight steps of a family's search.
func trains(stage string) bool {
	return strings.HasPrefix(stage, "search-") && !strings.Contains(stage, " round ")
}

// TestFamily: members meet their limits and use them, the front tells their costs from the
// largest on, the searches take one and a half times the steps of one, and what the run folder
// keeps gives one member alone, and another size without steps of weights.
func TestFamily(t *testing.T) {
	b := family(t)
	steps := map[string]int{}
	whole, err := makeFamily(t, context.Background(), b, entangle.Options{Observe: func(e train.Event) { steps[e.Stage] = max(steps[e.Stage], e.Step) }})
	if err != nil {
		t.Fatal(err)
	}
	searched := 0
	for stage, n := range steps {
		if trains(stage) {
			searched += n
		}
	}
	if searched != 24 {
		t.Errorf("%d steps of search (%v): want 24, of three halves of 16", searched, steps)
	}
	p := b.Plan(t)
	full := p.Cost[space.MACs].At(p.Space.Largest())
	for i, share := range []float64{0.5, 0.75, 0.3} {
		m := whole.Members[i]
		f, err := ops.InferModel(m.Candidates[0].Model, map[string]int{"batch": 1})
		if err != nil {
			t.Fatal(err)
		}
		macs := ops.ModelCost(m.Candidates[0].Model, f).MACs
		if macs > share*full {
			t.Errorf("%s: %g MACs: want at most %g", m.Name, macs, share*full)
		}
		choice := make([]int, len(p.Space.Dims))
		for d, dim := range p.Space.Dims {
			choice[d] = slices.Index(dim.Choices, m.Candidates[0].Choice[dim.Name])
		}
		for d, dim := range p.Space.Dims {
			if choice[d]+1 < len(dim.Choices) {
				choice[d]++
				if more := p.Cost[space.MACs].At(choice); more <= share*full {
					t.Errorf("%s: %g MACs, and a larger %q would cost %g of %g", m.Name, macs, dim.Name, more, share*full)
				}
				choice[d]--
			}
		}
		if m.Candidates[0].Val.Inherited == nil || m.Candidates[0].Val.Tuned == nil || m.Candidates[0].Recipe.Method != "rounds" {
			t.Errorf("%s is not measured and tuned: %+v", m.Name, m.Candidates[0].Val)
		}
	}
	last := 2.0
	for i, x := range whole.Front {
		if x.Share >= last || x.Quality == nil || i == 0 != (x.Name == "original") {
			t.Errorf("front: point %d is %+v behind a share of %g", i, x, last)
		}
		last = x.Share
	}
	stands := map[string]int{}
	for _, x := range whole.Measured {
		if x.Stands {
			stands[x.For]++
		}
		if x.Share != x.Cost/full || x.Share > 1 || !(x.Loss > 0) || x.For == "macs-0.75" && x.Round == 1 && x.Stands != (x.Share == 1) {
			t.Errorf("measured: %+v", x)
		}
	}
	if len(stands) != 3 || len(whole.Measured) < 20 {
		t.Errorf("want what the rounds of three sizes measured, got %d of %v", len(whole.Measured), stands)
	}
	var report entangle.Family
	if err := json.Unmarshal(contents(t, filepath.Join(b.Job.Folder(), "report.json")), &report); err != nil || len(report.Members) != 3 || len(report.Front) != 4 {
		t.Errorf("report.json: %d members, %d points (%v)", len(report.Members), len(report.Front), err)
	}

	was := map[string][]byte{}
	for _, file := range familyFiles {
		was[file] = contents(t, filepath.Join(b.Job.Out, file))
	}
	one := family(t)
	one.Job.Member = 1
	if x, err := makeFamily(t, context.Background(), one, entangle.Options{}); err != nil || len(x.Members) != 1 {
		t.Fatal(x, err)
	}
	if !bytes.Equal(was["macs-0.5.onnx"], contents(t, filepath.Join(one.Job.Out, "macs-0.5.onnx"))) {
		t.Error("a member alone differs from that of the whole family")
	}
	if _, err := os.Stat(filepath.Join(one.Job.Folder(), "search-macs-0.3.checkpoint")); err == nil {
		t.Error("a member alone searched for a smaller one")
	}

	// The same job again takes the files for its own; another's it refuses.
	b.Job.Member = 2
	if _, err := makeFamily(t, context.Background(), b, entangle.Options{}); err != nil {
		t.Errorf("again: %v", err)
	}
	if !bytes.Equal(was["macs-0.75.onnx"], contents(t, filepath.Join(b.Job.Out, "macs-0.75.onnx"))) {
		t.Error("a member that was made again differs")
	}
	if err := os.WriteFile(filepath.Join(b.Job.Out, "macs-0.75.onnx"), []byte("other"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := makeFamily(t, context.Background(), b, entangle.Options{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over another's file: %v", err)
	}

	b.Job.Member = 0
	weights := 0
	added, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: space.MACs, Share: 0.4}}, "", entangle.Options{Observe: func(e train.Event) {
		if trains(e.Stage) {
			weights++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	cost := added.Candidates[0].Cost[space.MACs]
	if cost > 0.4*full || cost < 0.3*full || added.Candidates[0].Val.Tuned == nil || weights > 0 {
		t.Errorf("an added size of %g MACs of %g, after %d events of training in its search: %+v", cost, full, weights, added.Candidates[0].Val)
	}
	if _, err := os.Stat(filepath.Join(b.Job.Out, "macs-0.4.onnx")); err != nil {
		t.Error(err)
	}
	if _, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: space.Params, Share: 0.95}}, filepath.Join(t.TempDir(), "wide.onnx"), entangle.Options{}); err != nil {
		t.Errorf("a size above every member: %v", err)
	}
	var unmet *decide.TargetError
	if _, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: space.MACs, Share: 1e-4}}, "", entangle.Options{}); !errors.As(err, &unmet) {
		t.Errorf("a size that no subnet has: %v", err)
	}
}

// TestFamilyResumes: a family that was interrupted over and over gives the files of one that was
// not, bit for bit, and has none half-written in between.
func TestFamilyResumes(t *testing.T) {
	whole := family(t)
	if _, err := makeFamily(t, context.Background(), whole, entangle.Options{}); err != nil {
		t.Fatal(err)
	}
	b := family(t)
	stages := map[string]bool{}
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(context.Background())
		at := ""
		_, err := makeFamily(t, ctx, b, entangle.Options{Observe: func(e train.Event) {
			// Once in each stage, behind its first event.
			if at == "" && !stages[e.Stage] && e.Kind == "step" {
				at = e.Stage
				cancel()
			}
		}})
		cancel()
		if err == nil {
			if stops < 6 {
				t.Errorf("%d stops (%v): want one in each of three searches and three tunings", stops, stages)
			}
			break
		}
		var stopped *train.Interrupted
		if !errors.As(err, &stopped) {
			t.Fatal(err)
		}
		stages[at] = true
	}
	for _, file := range familyFiles {
		if !bytes.Equal(contents(t, filepath.Join(whole.Job.Out, file)), contents(t, filepath.Join(b.Job.Out, file))) {
			t.Errorf("%s differs from that of an uninterrupted run", file)
		}
	}
}

// TestFamilySettings: what does not go with several sizes is refused, with its key.
func TestFamilySettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *runtest.Bench)
		want   string
	}{
		"coefficients": {func(b *runtest.Bench) { b.Job.Search.Relaxation = "gdas" }, "search.relaxation: want none for several sizes"},
		"method":       {func(b *runtest.Bench) { b.Job.Method = "uniform" }, "method: want search for several sizes"},
		"member":       {func(b *runtest.Bench) { b.Job.Member = 4 }, "member: want 1 to 3"},
		"no family":    {func(b *runtest.Bench) { b.Job.Member, b.Job.Target = 1, b.Job.Target[:1] }, "member: want several sizes"},
		"two metrics": {func(b *runtest.Bench) {
			b.Job.Target = append(b.Job.Target, entangle.Target{Metric: space.Params, Share: 0.5}, entangle.Target{Metric: space.Params, Share: 0.4})
		}, "several values of one metric only, got those of macs and of params"},
		"twice": {func(b *runtest.Bench) { b.Job.Target[2] = b.Job.Target[0] }, "macs: want sizes that differ, got 0.5 twice"},
		"file":  {func(b *runtest.Bench) { b.Job.Out += ".onnx" }, "out: want a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			b := family(t)
			c.change(b)
			_, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
			var job *entangle.JobError
			if !errors.As(err, &job) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
	b := family(t)
	p := b.Plan(t)
	var job *entangle.JobError
	if _, err := p.Compress(context.Background(), b.Be, entangle.Options{}); !errors.As(err, &job) {
		t.Errorf("a family where one subnet is asked for: %v", err)
	}
	if _, err := p.AddSize(context.Background(), entangle.Targets{{Metric: space.MACs, Share: 0.4}}, "", entangle.Options{}); !errors.As(err, &job) || !strings.Contains(err.Error(), "keeps no search") {
		t.Errorf("a size from no search: %v", err)
	}
	// A share and a count may be the same size: only the model tells.
	b.Job.Target[1] = entangle.Target{Metric: space.MACs, Limit: 0.5 * p.Cost[space.MACs].At(p.Space.Largest())}
	if _, err := makeFamily(t, context.Background(), b, entangle.Options{}); !errors.As(err, &job) || !strings.Contains(err.Error(), "sizes that differ") {
		t.Errorf("one size twice: %v", err)
	}
	b.Job.Target[1].Share, b.Job.Target[1].Limit = 1e-4, 0
	var unmet *decide.TargetError
	if _, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job); !errors.As(err, &unmet) || math.Abs(unmet.Limit/unmet.Whole-1e-4) > 1e-9 {
		t.Errorf("a member that no subnet meets: %v", err)
	}
}
