package measure

import (
	"strings"
	"testing"
)

// TestPredictions: class numbers are right or wrong; what is no class is wrong, what has no label
// does not count.
func TestPredictions(t *testing.T) {
	s := Sum{Kind: Predictions}
	if err := s.AddPredictions([]int64{2, 0, -1, 1 << 62}, []int64{2, 1, 0, 3}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Score()
	if err != nil || got.Correct != 1 || got.Samples != 4 || got.Accuracy != 0.25 || got.Loss != 0 || got.Top5 != 0 || got.MeanIoU != nil || got.Figure().Name != "accuracy" {
		t.Errorf("want 1 of 4 right, got %+v, %v", got, err)
	}
	// Of class 0 one of two positions, of class 1 one of four, of class 7 none.
	m := Sum{Kind: Predictions, Positions: 3, Masks: true}
	if err := m.AddPredictions([]int64{0, 1, 1, 7, -5, 0}, []int64{0, 1, 0, 1, 1, -1}); err != nil {
		t.Fatal(err)
	}
	got, err = m.Score()
	if err != nil || got.Samples != 2 || got.Positions != 5 || got.Correct != 2 {
		t.Fatalf("want 2 of 5 positions right, got %+v, %v", got, err)
	}
	near(t, "mean IoU", *got.MeanIoU, (1./2+1./4+0)/3)
	near(t, "figure", got.Figure().Value, *got.MeanIoU)
	for _, label := range []int64{-1, mostClasses} {
		if err := s.AddPredictions([]int64{0}, []int64{label}); err == nil || !strings.Contains(err.Error(), "of sample 4: want a class") {
			t.Errorf("label %d: want a refusal, got %v", label, err)
		}
	}
}
