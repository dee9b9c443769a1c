package exporter

import (
	"context"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
)

func labelled(t *testing.T, rows []float64, labels ...int64) iter.Seq2[Labelled, error] {
	t.Helper()
	x, err := ir.NewFloats("x", ir.Float64, []int{len(rows) / 4, 4}, rows)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(Labelled, error) bool) {
		yield(Labelled{Feed: Feed{"x": x}, Samples: len(labels), Labels: labels}, nil)
	}
}

func TestMeasureQuality(t *testing.T) {
	rows := []float64{0, 3, 0, 0 /**/, 0, 3, 0, 0 /**/, 9, 9, 9, 9}
	q, err := MeasureQuality(context.Background(), subject(&affine{scale: 1}), measure.Output{Name: "y"}, labelled(t, rows, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	lse := math.Log(math.Exp(3) + 3)
	if want := (2*lse - 3) / 2; math.Abs(q.Loss-want) > 1e-12 {
		t.Errorf("cross-entropy: want %v, got %v", want, q.Loss)
	}
	if q.Samples != 2 || q.Classes != 4 || q.Accuracy != 0.5 || q.Top5 != 1 {
		t.Errorf("want 2 samples of 4 classes, top-1 0.5, top-5 1, got %+v", q)
	}
}

// TestMeasureQualityOfProbabilities: what is declared to be probabilities costs −log p.
func TestMeasureQualityOfProbabilities(t *testing.T) {
	rows := []float64{.1, .6, .1, .2 /**/, .25, .25, .25, .25}
	q, err := MeasureQuality(context.Background(), subject(&affine{scale: 1}), measure.Output{Name: "y", Kind: measure.Probabilities}, labelled(t, rows, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if want := -math.Log(.6*.25) / 2; math.Abs(q.Loss-want) > 1e-12 || q.Accuracy != .5 {
		t.Errorf("want %v nats, half right, got %+v", want, q)
	}
	if _, err := MeasureQuality(context.Background(), subject(&affine{scale: 1}), measure.Output{Name: "z"}, labelled(t, rows, 1, 3)); err == nil || !strings.Contains(err.Error(), `output "z": want a tensor`) {
		t.Errorf("an output that there is not: got %v", err)
	}
}

func TestMeasureQualityTies(t *testing.T) {
	q, err := MeasureQuality(context.Background(), subject(&affine{scale: 0}), measure.Output{Name: "y"}, labelled(t, make([]float64, 8), 0, 1))
	if err != nil || q.Accuracy != 0.5 {
		t.Fatalf("want a constant output to name class 0 only, got %+v %v", q, err)
	}
}

func TestMeasureQualityErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		scale      float64
		rows       []float64
		labels     []int64
	}{
		{"label out of range", "label 4 of sample 0: want a class, the output has 4", 1, make([]float64, 4), []int64{4}},
		{"no labels", "at least one label, got none", 1, make([]float64, 4), nil},
		{"more labels than rows", "one row of classes for each of 2", 1, make([]float64, 4), []int64{0, 0}},
		{"not finite", "NaN or infinity", math.Inf(1), []float64{1, 1, 1, 1}, []int64{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := MeasureQuality(context.Background(), subject(&affine{scale: c.scale}), measure.Output{Name: "y"}, labelled(t, c.rows, c.labels...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q, got %v", c.want, err)
			}
		})
	}
}

// TestMeasureQualityOfPositions: labels per position, of which negative ones do not
// count and rows beyond the labels fill the batch up.
func TestMeasureQualityOfPositions(t *testing.T) {
	rows := []float64{0, 3, 0, 0 /**/, 9, 9, 9, 9 /**/, 0, 0, 3, 0 /**/, 3, 0, 0, 0 /**/, 7, 7, 7, 7 /**/, 7, 7, 7, 7}
	x, err := ir.NewFloats("x", ir.Float32, []int{3, 2, 4}, rows)
	if err != nil {
		t.Fatal(err)
	}
	run := func(labels ...int64) (*Quality, error) {
		return MeasureQuality(context.Background(), subject(&affine{scale: 1}), measure.Output{Name: "y"}, func(yield func(Labelled, error) bool) {
			yield(Labelled{Feed: Feed{"x": x}, Samples: len(labels) / 2, Labels: labels, Shape: []int{2}}, nil)
		})
	}
	q, err := run(1, -100, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	lse := math.Log(math.Exp(3) + 3)
	if want := (3*lse - 6) / 3; math.Abs(q.Loss-want) > 1e-6 {
		t.Errorf("cross-entropy: want %v, got %v", want, q.Loss)
	}
	if q.Samples != 2 || q.Positions != 3 || q.Classes != 4 || math.Abs(q.Accuracy-2.0/3) > 1e-12 {
		t.Errorf("want 3 positions in 2 samples, 2 of them right, got %+v", q)
	}
	for _, c := range []struct {
		labels []int64
		want   string
	}{
		{[]int64{-1, -1}, "at least one label, got none"},
		{[]int64{0, 4}, "label 4 of sample 0"},
		{make([]int64, 8), "want classes for each of 2 positions of 4 samples"},
	} {
		if _, err := run(c.labels...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("labels %v: want error %q, got %v", c.labels, c.want, err)
		}
	}
}
