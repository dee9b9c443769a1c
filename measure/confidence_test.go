package measure_test

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/measure"
)

// Logits and their probabilities, up to a factor, give one confidence.
func TestConfidence(t *testing.T) {
	logits, probabilities := []float64{0, math.Log(3), 0, 0, 0, 0}, []float64{0.4, 1.2, 0.4, 0.2, 0.2, 0.2}
	for kind, values := range map[measure.Kind][]float64{measure.Logits: logits, measure.Probabilities: probabilities} {
		s := measure.Sum{Kind: kind}
		if err := measure.Add(&s, values, 3, []int64{0, 0}); err != nil {
			t.Fatal(err)
		}
		score, err := s.Score()
		if want := (0.6 + 1.0/3) / 2; err != nil || math.Abs(score.Confidence-want) > 1e-12 {
			t.Errorf("kind %v: want %v, got %v, %v", kind, want, score.Confidence, err)
		}
	}
}
