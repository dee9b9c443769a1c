package entangle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/search"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// within is a job that looks for the smallest network within a drop. What decides is the size of
// the file, which falls with the cost, unless own is false: accuracy then.
func within(t *testing.T, drop float64, own bool) *runtest.Bench {
	t.Helper()
	b := runtest.New(t, "fashion-tiny")
	b.Job.Search.Relaxation, b.Job.Search.Rounds, b.Job.Search.Weights.Epochs, b.Job.Tune.Epochs = search.InRounds, 4, 1, 1
	b.Job.Target = entangle.Targets{{Metric: entangle.Drop, Limit: drop}}
	b.Job.Verify, b.Job.Device, b.Job.Out = false, "cpu", filepath.Join(t.TempDir(), "small.onnx")
	if own {
		b.Job.Evaluate.Command, b.Job.Evaluate.Name = "wc -c < {model}", "size"
	}
	return b
}

func smallest(t *testing.T, ctx context.Context, b *runtest.Bench, o entangle.Options) (*entangle.Family, error) {
	t.Helper()
	p, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
	if err != nil {
		t.Fatal(err)
	}
	return p.Smallest(ctx, o)
}

func triedAs(t *testing.T, f *entangle.Family, name string) entangle.Tried {
	t.Helper()
	at := slices.IndexFunc(f.Within.Tried, func(x entangle.Tried) bool { return x.Name == name })
	if at < 0 {
		t.Fatalf("%q is none of the sizes tried: %+v", name, f.Within.Tried)
	}
	return f.Within.Tried[at]
}

// TestDrop: the answer is within the drop, no size between it and the next smaller one is left to
// try, that one lost more, and the answer's file is what its member wrote. The kept search gives
// another size.
func TestDrop(t *testing.T) {
	b := within(t, 1, true)
	size := 0.0
	{
		p := b.Plan(t)
		v, err := p.Job.EvaluateFile(context.Background(), "original", written(t, b.Model), entangle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		size = *v
	}
	b.Job.Target[0].Limit = 0.3 * size
	f, err := smallest(t, context.Background(), b, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := f.Within
	answer, next := triedAs(t, f, w.Answer), triedAs(t, f, w.Next)
	if answer.Lost > w.Drop || !answer.Holds || next.Lost <= w.Drop || next.Holds || w.Samples != 0 || w.Figure != "size" {
		t.Errorf("want an answer within %g and a smaller one beyond it, got %+v and %+v", w.Drop, answer, next)
	}
	if ratio := next.Limit / answer.Limit; ratio < 0.9 || ratio >= 1 {
		t.Errorf("the sizes beside the answer are %g and %g: want neighbours", answer.Limit, next.Limit)
	}
	for _, x := range w.Tried {
		if x.Holds != (x.Lost <= w.Drop) || x.Lost != w.Before-x.Quality || x.Share > x.Limit {
			t.Errorf("%+v does not hold together", x)
		}
	}
	name := w.Answer
	if answer.As != "" {
		name = answer.As
	}
	own := contents(t, filepath.Join(b.Job.Folder(), name, name+".onnx"))
	if got := contents(t, b.Job.Out); !bytes.Equal(got, own) || float64(len(got)) != answer.Quality {
		t.Errorf("the written file of %d bytes is not that of %s", len(got), name)
	}
	var report entangle.Family
	if err := json.Unmarshal(contents(t, filepath.Join(b.Job.Folder(), "report.json")), &report); err != nil || report.Within == nil || report.Within.Answer != w.Answer || report.File != b.Job.Out {
		t.Errorf("report.json: %+v (%v)", report.Within, err)
	}
	for _, file := range []string{"recipe.json", "kept.json"} {
		if !bytes.Equal(contents(t, filepath.Join(b.Job.Folder(), file)), contents(t, filepath.Join(b.Job.Folder(), name, file))) {
			t.Errorf("%s is not that of %s", file, name)
		}
	}
	added, err := b.Plan(t).AddSize(context.Background(), entangle.Targets{{Metric: space.MACs, Share: 0.47}}, "", entangle.Options{})
	if err != nil || added.Candidates[0].Cost[space.MACs] > 0.47*f.Cost[space.MACs] {
		t.Errorf("another size: %v", err)
	}
}

// TestDropOnValidation: without a measure of the user's, what is lost on samples of validation
// decides, whatever is lost on test.
func TestDropOnValidation(t *testing.T) {
	b := within(t, 100, false)
	b.Job.Target = append(b.Job.Target, entangle.Target{Metric: space.Params, Share: 0.9}, entangle.Target{Metric: space.MACs, Share: 0.6})
	f, err := smallest(t, context.Background(), b, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := f.Within
	if w.Figure != "accuracy, validation" || w.Before != 100*f.Original.Val.Figure().Value || w.Next != "" || w.Samples == 0 {
		t.Errorf("want all within 100 points on validation, and the smallest subnet for the answer, got %+v", w)
	}
	for _, m := range f.Members {
		x := triedAs(t, f, m.Name)
		if want := 100 * m.Candidates[0].Val.Last().Figure().Value; x.Quality != want {
			t.Errorf("%s: quality %g: want that on validation, %g", m.Name, x.Quality, want)
		}
		if x.Limit > 0.6 || x.Cost[space.Params] > 0.9*f.Cost[space.Params] {
			t.Errorf("%s breaks the limits beside the drop: %+v", m.Name, x)
		}
	}
}

// TestDropNone: where no size is within the drop, all that was tried is told beside the error, and
// nothing is written.
func TestDropNone(t *testing.T) {
	b := within(t, 0.5, true)
	info, err := os.Stat(written(t, b.Model))
	if err != nil {
		t.Fatal(err)
	}
	b.Job.Evaluate.Command = fmt.Sprintf("test $(wc -c < {model}) -eq %d && echo 1 || echo 0", info.Size())
	f, err := smallest(t, context.Background(), b, entangle.Options{})
	var none *entangle.NoneWithinError
	if !errors.As(err, &none) || f == nil || f.Within.Answer != "" || f.Within.Next != none.Largest.Name || none.Largest.Limit < 0.9 {
		t.Fatalf("want no size within the drop, the largest told, got %+v, %v", f, err)
	}
	if _, err := os.Stat(b.Job.Out); err == nil {
		t.Error("a file was written")
	}
}

// TestDropResumes: a search for the smallest that was interrupted over and over gives the bytes
// of one that was not.
func TestDropResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: takes minutes")
	}
	whole := within(t, 2000, true)
	want, err := smallest(t, context.Background(), whole, entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := within(t, 2000, true)
	stages := map[string]bool{}
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(context.Background())
		at := ""
		got, err := smallest(t, ctx, b, entangle.Options{Observe: func(e train.Event) {
			if at == "" && !stages[e.Stage] && e.Kind == "step" {
				at = e.Stage
				cancel()
			}
		}})
		cancel()
		if err == nil {
			if stops < 4 || got.Within.Answer != want.Within.Answer || len(got.Within.Tried) != len(want.Within.Tried) {
				t.Errorf("after %d stops %s of %d sizes: want %s of %d", stops, got.Within.Answer, len(got.Within.Tried), want.Within.Answer, len(want.Within.Tried))
			}
			break
		}
		var stopped *train.Interrupted
		if !errors.As(err, &stopped) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		stages[at] = true
	}
	if !bytes.Equal(contents(t, whole.Job.Out), contents(t, b.Job.Out)) {
		t.Error("the answer differs from that of an uninterrupted run")
	}
}

// TestDropSettings: what does not go with a drop is refused, with its key.
func TestDropSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *runtest.Bench)
		want   string
	}{
		"method":    {func(b *runtest.Bench) { b.Job.Method = "uniform" }, "method: want search for several sizes"},
		"max drop":  {func(b *runtest.Bench) { b.Job.MaxDrop = &b.Job.Target[0].Limit }, "max_drop: want it or drop in target"},
		"baselines": {func(b *runtest.Bench) { b.Job.Baselines = true }, "baselines: want none beside drop"},
		"nothing":   {func(b *runtest.Bench) { b.Job.Target[0].Limit = 0 }, "drop: want a limit of points above 0"},
		"sizes": {func(b *runtest.Bench) {
			b.Job.Target = append(b.Job.Target, entangle.Target{Metric: space.MACs, Share: 0.5}, entangle.Target{Metric: space.MACs, Share: 0.4})
		}, "drop: want one value of each metric beside it"},
		"two shrink": {func(b *runtest.Bench) {
			b.Job.Target = append(b.Job.Target, entangle.Target{Metric: space.MACs}, entangle.Target{Metric: space.Params})
		}, "want one metric without a limit beside drop"},
		"validation": {func(b *runtest.Bench) { b.Job.Data.Split.Val, b.Job.Data.Split.Weights = 0, 0.5 }, "there are no samples of validation"},
		"labels": {func(b *runtest.Bench) {
			b.Job.Outputs = net.Settings{{Output: b.Model.Graph.Outputs[0].Name, Kind: measure.Values, Weight: 1}}
			b.Job.Search.Weights.Objective.Labels, b.Job.Tune.Objective.Labels = 0, 0
			b.Job.Search.Weights.Objective.Distill, b.Job.Tune.Objective.Distill = 1, 1
		}, "the data has no labels"},
	} {
		t.Run(name, func(t *testing.T) {
			b := within(t, 1, false)
			c.change(b)
			_, err := entangle.Prepare(runtest.Wrap(b.Model), b.Set, b.Job)
			var job *entangle.JobError
			if !errors.As(err, &job) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
	var job *entangle.JobError
	b := within(t, 1, false)
	if _, err := b.Plan(t).Compress(context.Background(), b.Be, entangle.Options{}); !errors.As(err, &job) {
		t.Errorf("a drop where one subnet is asked for: %v", err)
	}
}

// TestDropText: targets with a drop are read and written; wrong ones are refused.
func TestDropText(t *testing.T) {
	for text, want := range map[string]entangle.Targets{
		"drop=1":               {{Metric: "drop", Limit: 1}},
		"drop=0.5,latency":     {{Metric: "drop", Limit: 0.5}, {Metric: "latency"}},
		"params,drop=2":        {{Metric: "params"}, {Metric: "drop", Limit: 2}},
		"drop=1,params=0.6":    {{Metric: "drop", Limit: 1}, {Metric: "params", Share: 0.6}},
		"drop=1 points, bytes": {{Metric: "drop", Limit: 1}, {Metric: "bytes"}},
	} {
		var got, again entangle.Targets
		if err := got.UnmarshalText([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: want %v, got %v (%v)", text, want, got, err)
		}
		if out, err := got.MarshalText(); err != nil || again.UnmarshalText(out) != nil || !slices.Equal(again, want) {
			t.Errorf("%s: written as %s (%v)", text, out, err)
		}
	}
	for text, want := range map[string]string{
		"drop=0": "want points above 0", "drop=-1": "want points above 0", "drop": "want points above 0", "drop=1%": "want points above 0", "drop=nan": "want points above 0",
		"drop=1,0.5": "want one loss", "drop=1,drop=2": "want one loss", "latency": "want METRIC=LIMIT", "macs=0.5,params": "want METRIC=LIMIT",
	} {
		var got entangle.Targets
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
}
