package measure

import (
	"math"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("%s: want %v, got %v", what, want, got)
	}
}

// TestKinds: logits, their logarithmic softmax and their softmax, at any scale, are one classifier.
func TestKinds(t *testing.T) {
	z := []float64{.5, -1, 2, .25 /**/, 3, 3, -2, 0}
	labels := []int64{2, 1}
	logs, probs := make([]float64, len(z)), make([]float64, len(z))
	want := 0.0
	for r := range 2 {
		sum := 0.0
		for _, v := range z[4*r : 4*r+4] {
			sum += math.Exp(v)
		}
		for i := 4 * r; i < 4*r+4; i++ {
			logs[i], probs[i] = z[i]-math.Log(sum), 3*math.Exp(z[i])/sum
		}
		want -= logs[4*r+int(labels[r])] / 2
	}
	for _, c := range []struct {
		name   string
		kind   Kind
		values []float64
	}{{"logits", Logits, z}, {"log-probabilities", Logits, logs}, {"probabilities", Probabilities, probs}} {
		s := Sum{Kind: c.kind}
		if err := Add(&s, c.values, 4, labels); err != nil {
			t.Fatal(err)
		}
		got, err := s.Score()
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.name, got.Loss, want)
		if got.Samples != 2 || got.Classes != 4 || got.Correct != 1 || got.Accuracy != .5 || got.Top5 != 1 || got.Positions != 0 {
			t.Errorf("%s: want 1 of 2 right, equal outputs in the order of classes, got %+v", c.name, got)
		}
	}
}

func TestRanks(t *testing.T) {
	row := []float32{5, 4, 3, 2, 1, 0}
	for label, want := range []int{0, 1, 2, 3, 4, 5} {
		if _, rank := Row(row, label, Logits); rank != want {
			t.Errorf("label %d: want %d before it, got %d", label, want, rank)
		}
	}
	s := Sum{}
	for range 2 {
		if err := Add(&s, append(row, row...), 6, []int64{4, 5}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Score(); err != nil || got.Top5 != .5 || got.Accuracy != 0 || got.Samples != 4 {
		t.Errorf("want half within five, got %+v %v", got, err)
	}
}

// TestNoProbability: a probability of 0 is the least of a float32, not an infinite loss.
func TestNoProbability(t *testing.T) {
	loss, rank := Row([]float32{1, 0}, 1, Probabilities)
	near(t, "loss", loss, -math.Log(math.SmallestNonzeroFloat32))
	if rank != 1 {
		t.Errorf("want rank 1, got %d", rank)
	}
}

// TestPositions: labels that do not count have no part in any mean.
func TestPositions(t *testing.T) {
	s := Sum{Positions: 2}
	if err := Add(&s, []float32{0, 3, 9, 9, 3, 0, 3, 0}, 2, []int64{1, -100, 0, 1}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", got.Loss, (3*math.Log(math.Exp(3)+1)-6)/3)
	if got.Samples != 2 || got.Positions != 3 || got.Correct != 2 {
		t.Errorf("want 2 of 3 positions in 2 samples right, got %+v", got)
	}
}

func TestScoreErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		sum    Sum
		values []float32
		labels []int64
		want   string
	}{
		{"label out of range", Sum{}, make([]float32, 4), []int64{4}, "label 4 of sample 0: want a class, the output has 4"},
		{"negative label of a sample", Sum{}, make([]float32, 4), []int64{-1}, "label -1"},
		{"label out of range at a position", Sum{Positions: 2}, make([]float32, 16), []int64{0, 1, 1, 7}, "label 7 of sample 1"},
		{"nothing", Sum{}, nil, nil, "at least one label"},
		{"nothing that counts", Sum{Positions: 2}, make([]float32, 8), []int64{-1, -1}, "at least one label"},
		{"NaN", Sum{}, []float32{0, nan, 1, 2}, []int64{3}, "NaN or infinity"},
		{"infinity", Sum{}, []float32{0, inf, 1, 2}, []int64{3}, "NaN or infinity"},
		{"no distribution", Sum{Kind: Probabilities}, make([]float32, 4), []int64{3}, "NaN or infinity"},
	} {
		err := Add(&c.sum, c.values, 4, c.labels)
		if err == nil {
			_, err = c.sum.Score()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.name, c.want, err)
		}
	}
}

// TestNaNIsWrong: a row without a number for its label is never right.
func TestNaNIsWrong(t *testing.T) {
	nan := math.NaN()
	s := Sum{}
	if err := Add(&s, []float64{nan, nan}, 2, []int64{0}); err != nil {
		t.Fatal(err)
	}
	if s.first != 0 || s.five != 0 || s.labels != 1 {
		t.Errorf("want one label, none right, got %+v", s)
	}
}

// TestMaskedLabel: a label where the output is -Inf is an error that names it.
func TestMaskedLabel(t *testing.T) {
	s := Sum{Kind: Logits}
	err := Add(&s, []float32{1, 2, 3, float32(math.Inf(-1))}, 2, []int64{0, 1})
	if err == nil || !strings.Contains(err.Error(), "label 1 of sample 1: the output is -Inf there") {
		t.Errorf("want the label named, got %v", err)
	}
}
