package latency_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/latencytest"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/latency"
	"github.com/entangle-nas/entangle/models"
)

func source(t *testing.T, name string) latency.Source {
	t.Helper()
	m := modeltest.Normal(t, name, models.Options{})
	j := entangle.DefaultJob()
	j.Space.Divisor = 2
	src, err := (&entangle.Model{Raw: m, Normal: m}).LatencySource(j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestPredict: from pieces at some of their sizes and a few whole subnets, what others take is
// predicted, and the metric is that prediction.
func TestPredict(t *testing.T) {
	for _, name := range []string{"resnet20-tiny", "mobilenet-tiny", "vit-tiny"} {
		t.Run(name, func(t *testing.T) {
			src := source(t, name)
			p, err := latency.Measure(context.Background(), src, latency.Options{Runtime: &latencytest.Runtime{}, Check: 12})
			if err != nil {
				t.Fatal(err)
			}
			q := p.Quality()
			t.Logf("%+v", q)
			if q.P90 > 0.04 || q.Rank < 0.95 || len(p.Checks) != 12 || p.Noise > 1e-6 {
				t.Errorf("want errors of 0.04 or less, a rank correlation of 0.95 and no noise, got %+v, noise %g", q, p.Noise)
			}
			m, err := p.Metric(src)
			if err != nil {
				t.Fatal(err)
			}
			text, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			again, err := latency.Unmarshal(text)
			if err != nil {
				t.Fatal(err)
			}
			m2, err := again.Metric(src)
			if err != nil {
				t.Fatal(err)
			}
			m2.Name = "again"
			src.Net.Metrics = append(src.Net.Metrics[:len(src.Net.Metrics):len(src.Net.Metrics)], m, m2)
			costs, err := src.Net.Costs()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Checks {
				if got := costs[latency.Name].At(c.Choice); math.Abs(got-c.Predicted) > 1e-9 || got != costs["again"].At(c.Choice) {
					t.Errorf("%v: predicted %g, the metric has %g, read again %g", c.Choice, c.Predicted, got, costs["again"].At(c.Choice))
				}
				one := src.Net.Space.OneHot(c.Choice)
				if mean, _ := costs[latency.Name].Expect(one); math.Abs(mean-c.Predicted) > 1e-9 {
					t.Errorf("%v: want an expectation of %g, got %g", c.Choice, c.Predicted, mean)
				}
			}
		})
	}
}

// TestResume: what was timed before a runtime died is not timed again, and the prices are
// those of a run in one piece.
func TestResume(t *testing.T) {
	src := source(t, "fashion-tiny")
	measure := func(rt *latencytest.Runtime, cache string) (*latency.Prices, error) {
		return latency.Measure(context.Background(), src, latency.Options{Runtime: rt, Cache: cache, Calibrate: 10, Check: 4})
	}
	whole := &latencytest.Runtime{}
	want, err := measure(whole, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dead := &latencytest.Runtime{Dies: whole.Opened - 3}
	_, err = measure(dead, dir)
	if err == nil || !strings.Contains(err.Error(), "the device is gone") || !strings.Contains(err.Error(), "are kept") {
		t.Fatalf("want the runtime's error, and what is kept, got %v", err)
	}
	rest := &latencytest.Runtime{}
	if _, err = measure(rest, dir); err != nil {
		t.Fatal(err)
	}
	if rest.Opened == 0 || rest.Opened > whole.Opened/2 {
		t.Errorf("want the rest of %d models to be timed, got %d", whole.Opened, rest.Opened)
	}
	none := &latencytest.Runtime{}
	got, err := measure(none, dir)
	if err != nil || none.Opened != 0 || got.New != 0 || got.Timed != want.Timed {
		t.Errorf("want nothing timed again, got %d models, %d of %d new, %v", none.Opened, got.New, got.Timed, err)
	}
	for i := range want.Checks {
		if a, b := want.Checks[i], got.Checks[i]; math.Abs(a.Predicted-b.Predicted) > 1e-6*a.Predicted || a.Measured != b.Measured {
			t.Errorf("want %+v, got %+v", a, b)
		}
	}
	// A line that was cut off is left out, and the next stands on its own.
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != 1 {
		t.Fatalf("want one file, got %v", files)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], body[:len(body)-9], 0o666); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		one := &latencytest.Runtime{}
		if _, err = measure(one, dir); err != nil || (one.Opened == 0) != (i == 1) {
			t.Errorf("run %d: want the lost time measured once, got %d models, %v", i, one.Opened, err)
		}
	}
}

// TestStopped: an interrupt is the context's error.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := latency.Options{Runtime: &latencytest.Runtime{}, Progress: func(what string, done, total int) {
		if what == "subnets" {
			cancel()
		}
	}}
	if _, err := latency.Measure(ctx, source(t, "fashion-tiny"), o); !errors.Is(err, context.Canceled) {
		t.Errorf("want the interrupt, got %v", err)
	}
}

// TestOtherModel: prices of one model are no metric of another.
func TestOtherModel(t *testing.T) {
	p, err := latency.Measure(context.Background(), source(t, "fashion-tiny"), latency.Options{Runtime: &latencytest.Runtime{}, Calibrate: 4, Check: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Metric(source(t, "resnet20-tiny")); err == nil || !strings.Contains(err.Error(), "fingerprint") {
		t.Errorf("want a refusal, got %v", err)
	}
	src := source(t, "fashion-tiny")
	src.Batch = 3
	if _, err := p.Metric(src); err == nil || !strings.Contains(err.Error(), "batch 3") {
		t.Errorf("want a refusal of another batch, got %v", err)
	}
}

// TestPatterns: nodes that runtimes append stand with what they are appended to, as long as
// one value leaves the set.
func TestPatterns(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"node a: (b) = Conv(x, w)\nnode b: (c) = BatchNormalization(b, s, s, s, s)\nnode c: (y) = Relu(c)", "a+b+c"},
		{"node a: (b) = Conv(x, w)\nnode b: (c) = Sigmoid(b)\nnode c: (y) = Mul(b, c)", "a+b+c"},
		{"node a: (b) = Conv(x, w)\nnode b: (c) = Relu(b)\nnode c: (y) = Add(c, x)", "a+b c"},
		{"node a: (b) = Conv(x, w)\nnode b: (c) = Relu(b)\nnode c: (y) = Sub(b, c)", "a b c"},
	} {
		m, err := ir.Parse(fmt.Sprintf("model {\n  ir 8\n  opset _ 17\n}\ngraph g {\n  input x float32[1, 4, 4, 4]\n  init w float32[4, 1, 1, 1] = [1, 1, 1, 1]\n  init s float32[4] = [1, 1, 1, 1]\n  %s\n  output y float32[1, 4, 4, 4]\n}", strings.ReplaceAll(c.text, "\n", "\n  ")))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, set := range latency.Patterns(m.Graph) {
			var names []string
			for _, n := range set {
				names = append(names, n.Label())
			}
			got = append(got, strings.Join(names, "+"))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: want %s, got %s", c.text, c.want, s)
		}
	}
}
