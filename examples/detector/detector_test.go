package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle"
)

// The test's own program stands for the example's in commands.
func TestMain(m *testing.M) {
	if os.Getenv("DETECTOR_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b box
		want float64
	}{{box{5, 5, 4, 4}, box{5, 5, 4, 4}, 1}, {box{5, 5, 4, 4}, box{7, 5, 4, 4}, 1. / 3}, {box{5, 5, 4, 4}, box{9, 5, 4, 4}, 0}, {box{5, 5, 4, 4}, box{5, 5, 2, 2}, 0.25}} {
		if got := overlap(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v: want %g, got %g", c.a, c.b, c.want, got)
		}
	}
}

// TestPerfect: what a perfect detector gives is decoded into the boxes that were drawn, and
// scores 1; half of the boxes score a half.
func TestPerfect(t *testing.T) {
	scenes := draw(5, 40)
	var all []found
	drawn := 0
	for i, s := range scenes {
		boxes, scores := targets(s)
		got := decode(i, boxes, scores)
		if len(got) != len(s.boxes) || len(got) == 0 {
			t.Fatalf("image %d: want %d boxes, got %d", i, len(s.boxes), len(got))
		}
		drawn += len(s.boxes)
		all = append(all, got...)
	}
	if ap := precision(all, scenes); ap != 1 {
		t.Errorf("want an average precision of 1, got %g", ap)
	}
	if ap := precision(all[:drawn/2], scenes); math.Abs(ap-float64(drawn/2)/float64(drawn)) > 1e-9 {
		t.Errorf("half of the boxes: got %g", ap)
	}
	if precision(nil, scenes) != 0 {
		t.Error("no box: want 0")
	}
}

// TestPrecision: one wrong box of a higher score halves the precision of the right one.
func TestPrecision(t *testing.T) {
	scenes := []scene{{boxes: []box{{8, 8, 8, 8}}}}
	all := []found{{0, box{24, 24, 8, 8}, 0.9}, {0, box{8, 8, 8, 8}, 0.8}, {0, box{9, 8, 8, 8}, 0.7}}
	if ap := precision(all, scenes); ap != 0.5 {
		t.Errorf("want 0.5, got %g", ap)
	}
}

// TestDetectorIsTuned: a detector is cut to half and tuned without labels; the command that
// decodes its boxes measures it before, cut and tuned, and tuning regains what the cut lost.
func TestDetectorIsTuned(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a detector: left out by -short")
	}
	dir := t.TempDir()
	if err := build(context.Background(), dir, 1000, 12); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	j := entangle.DefaultJob()
	j.Model, j.Out, j.Data.Source = filepath.Join(dir, "detector.onnx"), filepath.Join(dir, "half.onnx"), "npz:"+filepath.Join(dir, "images")
	j.Data.Batch, j.Verify, j.Device, j.Seed = 50, false, "cpu", 1
	j.Search.Weights.Epochs, j.Tune.Epochs = 2, 8
	for _, o := range []*struct{ labels, distill *float64 }{{&j.Search.Weights.Objective.Labels, &j.Search.Weights.Objective.Distill}, {&j.Tune.Objective.Labels, &j.Tune.Objective.Distill}} {
		*o.labels, *o.distill = 0, 1
	}
	j.Search.Weights.Augment, j.Tune.Augment = "none", "none"
	j.Evaluate.Command = fmt.Sprintf("DETECTOR_MAIN=1 %s score {model}", program)
	p, err := entangle.Open(j)
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Run(context.Background(), entangle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, e := *o.Original.Evaluated, o.Candidates[0].Evaluated
	t.Logf("average precision %.2f, cut %.2f, tuned %.2f", before, *e.Cut, *e.Tuned)
	if own, err := score(j.Out); err != nil || math.Abs(100*own-*e.Tuned) > 0.005+1e-9 {
		t.Errorf("want the written file's %g, got %g, %v", 100*own, *e.Tuned, err)
	}
	if before < 40 || *e.Tuned < before-20 || *e.Tuned < min(*e.Cut, before)-3 {
		t.Errorf("average precision %g, cut %g, tuned %g: want at least 40, and a tuned one within 20 points, and within 3 of what the cut kept", before, *e.Cut, *e.Tuned)
	}
}
