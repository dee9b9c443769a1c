//go:build unix

package entangle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/search/net"
)

// TestEvaluateMessages: a command that gives no number says what it did.
func TestEvaluateMessages(t *testing.T) {
	for _, c := range []struct{ command, want string }{
		{"echo {model}; exit 4", "evaluate: original: exit status 4\nstdout ends with\n  /m.onnx\nstderr is empty\nthe command was: echo /m.onnx; exit 4"},
		{": {model}", "evaluate: original: want a number on the last line of stdout, got no line\nstdout is empty\nstderr is empty\nthe command was: : /m.onnx"},
		{"echo 3; echo {model}", "evaluate: original: want a number on the last line of stdout, got \"/m.onnx\"\nstdout ends with\n  3\n  /m.onnx\nstderr is empty\nthe command was: echo 3; echo /m.onnx"},
		{"echo nan; echo {model} >&2", "evaluate: original: want a finite number on the last line of stdout, got \"nan\"\nstdout ends with\n  nan\nstderr ends with\n  /m.onnx\nthe command was: echo nan; echo /m.onnx >&2"},
		{"echo 1e999 {model} | head -c 5", "evaluate: original: want a finite number on the last line of stdout, got \"1e999\""},
		{"echo waiting; sleep 60; {model}", "evaluate: original: want an end within 300ms, it was still running and has been ended\nstdout ends with\n  waiting\nstderr is empty\nthe command was: echo waiting; sleep 60; /m.onnx"},
	} {
		_, err := entangle.Evaluate{Command: c.command, Timeout: 0.3}.Run(context.Background(), "original", "/m.onnx")
		var failed *entangle.EvaluateError
		if !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: want\n%s\ngot\n%v", c.command, c.want, err)
		}
	}
	v, err := entangle.Evaluate{Command: "echo model {model}; echo ' -1.5e-3 '; echo; echo done >&2", Timeout: 60}.Run(context.Background(), "original", "/m.onnx")
	if err != nil || v != -1.5e-3 {
		t.Errorf("want -0.0015, got %g, %v", v, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := (entangle.Evaluate{Command: "sleep 60; {model}", Timeout: 60}).Run(ctx, "original", "/m.onnx"); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's end, got %v", err)
	}
}

func TestEvaluateFaults(t *testing.T) {
	j := entangle.DefaultJob()
	j.Evaluate = entangle.Evaluate{Command: "run {modle}", Name: "a\nb", Better: "upper", Timeout: 0}
	drop := -1.0
	j.MaxDrop = &drop
	err := j.Check(nil, nil)
	for _, want := range []string{`evaluate.command: want {model} where the model's file goes, got "run {modle}"`, `evaluate.name: want a name that can be printed, got "a\nb"`,
		`evaluate.better: want one of higher, lower, got "upper"`, "evaluate.timeout: want a number > 0, got 0", "max_drop: want a number >= 0, got -1"} {
		if err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// measured is a bench whose command counts its calls, and what it says at each of them.
func measured(t *testing.T, says ...string) (b *runtest.Bench, calls func() int) {
	b = runtest.New(t, "fashion-tiny")
	dir := t.TempDir()
	b.Job.Out, b.Job.Verify, b.Job.Device = filepath.Join(dir, "s.onnx"), false, "cpu"
	for i, s := range says {
		if err := os.WriteFile(fmt.Sprintf("%s/say%d", dir, i+1), []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b.Job.Evaluate.Command = fmt.Sprintf("test -s {model} && echo x >>%[1]s/calls && . %[1]s/say$(wc -l <%[1]s/calls | tr -d ' ')", dir)
	b.Job.Evaluate.Name = "score"
	return b, func() int {
		text, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			return 0
		}
		return bytes.Count(text, []byte("x"))
	}
}

// TestEvaluateInRun: the original is measured first, every choice before and after tuning, what
// is there is not measured again, and the figures are in the report.
func TestEvaluateInRun(t *testing.T) {
	b, calls := measured(t, "echo 0.75", "echo 0.5", "echo 0.7", "echo 0.4", "echo 0.6", "echo 0.3", "echo 0.5")
	b.Job.Baselines = true
	limit := 0.1
	b.Job.MaxDrop = &limit
	p := b.Plan(t)
	o, err := p.Run(context.Background(), entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := entangle.Figure{Name: "score", Before: 0.75, After: 0.7, Own: true}
	if calls() != 7 || o.Figures[0] != want || o.Gate == nil || !o.Gate.Pass || *o.Candidates[0].Evaluated.Cut != 0.5 || *o.Candidates[2].Evaluated.Tuned != 0.5 {
		t.Errorf("%d calls, figures %+v, gate %+v", calls(), o.Figures, o.Gate)
	}
	if len(o.Figures) != 2 || o.Figures[1].Name != "accuracy, test" || o.Figures[1].Before != 100*o.Original.Test.Accuracy {
		t.Errorf("figures %+v: want the accuracy as well", o.Figures)
	}
	text, err := os.ReadFile(filepath.Join(b.Job.Folder(), "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Original   struct{ Evaluated float64 }
		Evaluate   entangle.Evaluate
		Candidates []struct{ Evaluated struct{ Cut, Tuned float64 } }
		Figures    []entangle.Figure
		Gate       entangle.Gate
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Original.Evaluated != 0.75 || r.Evaluate.Name != "score" || r.Candidates[1].Evaluated.Tuned != 0.6 || r.Figures[0] != want || r.Gate.Figure != "score" || r.Gate.MaxDrop != 0.1 {
		t.Errorf("report %+v", r)
	}

	if err := os.Remove(b.Job.Out); err != nil {
		t.Fatal(err)
	}
	again, err := b.Plan(t).Run(context.Background(), entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if calls() != 7 || again.Figures[0] != want {
		t.Errorf("a run that goes on made the calls %d, and has %+v", calls(), again.Figures)
	}
	// A command may have become another under its name.
	if _, err := b.Plan(t).Run(context.Background(), entangle.Options{Force: true}); err == nil || calls() != 8 {
		t.Errorf("with force: want the calls anew, got %d and %v", calls(), err)
	}
}

// TestEvaluateFails: on the original nothing is done, on the cut nothing is tuned, on the
// result everything is written.
func TestEvaluateFails(t *testing.T) {
	for _, c := range []struct {
		name, model string
		says        []string
		written     bool
	}{
		{"original", "evaluate: original: exit status 3\n", []string{"echo broken; exit 3"}, false},
		{"cut", "evaluate: search, cut: want a number on the last line of stdout, got \"broken\"\n", []string{"echo 1", "echo broken"}, false},
		{"tuned", "evaluate: search, fine-tuned: want a finite number on the last line of stdout, got \"NaN\"\n", []string{"echo 1", "echo 1", "echo broken; echo NaN"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, calls := measured(t, c.says...)
			limit := 0.0
			b.Job.MaxDrop = &limit
			o, err := b.Plan(t).Run(context.Background(), entangle.Options{})
			var failed *entangle.EvaluateError
			if !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), c.model) || calls() != len(c.says) {
				t.Errorf("%d calls; want %q, got %v", calls(), c.model, err)
			}
			_, serr := os.Stat(b.Job.Out)
			if (serr == nil) != c.written || (o != nil) != c.written {
				t.Fatalf("written: want %t, got %v, outcome %v", c.written, serr, o)
			}
			if c.written && (o.Candidates[0].Evaluated.Last() != nil || !strings.Contains(o.Candidates[0].Evaluated.Failed, "NaN")) {
				t.Errorf("the outcome has %+v", o.Candidates[0].Evaluated)
			}
		})
	}
	b, calls := measured(t, "echo broken; exit 3")
	if _, err := b.Plan(t).Estimate(context.Background(), entangle.Options{}); err == nil || !strings.HasPrefix(err.Error(), "evaluate: original: exit status 3\n") || calls() != 1 {
		t.Errorf("a dry run: %d calls, %v", calls(), err)
	}
}

// TestMaxDrop: quality further below the original's than allowed is an error beside an outcome
// that is written; the user's figure goes before the accuracy.
func TestMaxDrop(t *testing.T) {
	for _, c := range []struct {
		name, better, want string
		limit              float64
		says               []string
	}{
		{"held", "higher", "", 2, []string{"echo 71", "echo 1", "echo 69"}},
		{"beyond", "higher", "quality: score: want a drop of at most 1.5 points, got 2: 71 before, 69 after", 1.5, []string{"echo 71", "echo 1", "echo 69"}},
		{"lower is better", "lower", "quality: score: want a drop of at most 0 points, got 0.25: 1 before, 1.25 after", 0, []string{"echo 1", "echo 1", "echo 1.25"}},
		{"better", "lower", "", 0, []string{"echo 2", "echo 1", "echo 1.25"}},
		{"rounding", "higher", "", 0.1, []string{"echo 0.3", "echo 0", "echo 0.2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := measured(t, c.says...)
			b.Job.Method, b.Job.MaxDrop, b.Job.Evaluate.Better = "uniform", &c.limit, c.better
			o, err := b.Plan(t).Run(context.Background(), entangle.Options{})
			var drop *entangle.DropError
			if c.want == "" && (err != nil || !o.Gate.Pass) || c.want != "" && (!errors.As(err, &drop) || err.Error() != c.want || o == nil || o.Gate.Pass) {
				t.Fatalf("want %q, got %v", c.want, err)
			}
			if _, err := os.Stat(b.Job.Out); err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(filepath.Join(b.Job.Folder(), "report.json")); err != nil || !strings.Contains(string(text), fmt.Sprintf(`"pass": %t`, c.want == "")) {
				t.Errorf("report: %v", err)
			}
		})
	}
}

// TestMaxDropWithoutCommand: the accuracy on test counts, in percentage points; without
// samples to measure on there is nothing to hold.
func TestMaxDropWithoutCommand(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	b.Job.Out, b.Job.Verify, b.Job.Method = filepath.Join(t.TempDir(), "s.onnx"), false, "uniform"
	b.Job.Target[0].Share, b.Job.Tune.Epochs, b.Job.Calibrate = 0.3, 0, 0
	limit := 0.0
	b.Job.MaxDrop = &limit
	o, err := b.Plan(t).Run(context.Background(), entangle.Options{})
	if o == nil {
		t.Fatal(err)
	}
	drop := 100 * (o.Original.Test.Accuracy - o.Candidates[0].Test.Inherited.Accuracy)
	var beyond *entangle.DropError
	if errors.As(err, &beyond) != (drop > 0) || o.Gate.Figure != "accuracy, test" || math.Abs(o.Gate.Drop-drop) > 1e-9 {
		t.Errorf("a drop of %g: gate %+v, error %v", drop, o.Gate, err)
	}
}

// TestMaxDropWithoutLabels: without labels what each output is measured by against the original counts, whichever
// dropped most.
func TestMaxDropWithoutLabels(t *testing.T) {
	b := runtest.New(t, "multi-output-tiny")
	slices.Reverse(b.Model.Graph.Outputs)
	b.Job.Search.Weights.Objective = net.Objective{Distill: 1, Temperature: 1}
	b.Job.Tune.Objective = b.Job.Search.Weights.Objective
	b.Job.Outputs = unlabelled
	b.Job.Out, b.Job.Verify, b.Job.Method = filepath.Join(t.TempDir(), "s.onnx"), false, "uniform"
	limit := 0.5
	b.Job.MaxDrop = &limit
	o, err := b.Plan(t).Run(context.Background(), entangle.Options{})
	if o == nil {
		t.Fatal(err)
	}
	worst, names := entangle.Figure{}, ""
	for i, f := range o.Figures {
		x := o.Candidates[0].Test.Distance.Tuned.Outputs[i]
		want := entangle.Figure{Name: fmt.Sprintf("agreement of %q, test", x.Name), Before: 100, After: 100 * x.Agreement, Unit: "%"}
		switch {
		case x.R2 != nil:
			want.Name, want.After = fmt.Sprintf("R² of %q, test", x.Name), 100**x.R2
		case x.Cosine != nil:
			want = entangle.Figure{Name: fmt.Sprintf("cosine of %q, test", x.Name), Before: 1, After: *x.Cosine}
		}
		if f != want {
			t.Errorf("want %+v, got %+v", want, f)
		}
		if names += x.Name + " "; f.Drop() > worst.Drop() {
			worst = f
		}
	}
	var drop *entangle.DropError
	if names != "heat embedding logits " || !errors.As(err, &drop) || drop.Figure != worst || o.Gate.Pass || o.Gate.Drop != worst.Drop() {
		t.Errorf("figures %+v, error %v; want the worst, %+v", o.Figures, err, worst)
	}
}
