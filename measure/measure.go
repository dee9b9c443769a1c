package measure

import (
	"errors"
	"fmt"
	"math"
)

// Kind says what the numbers of a classifier's output are.
type Kind int

// Kinds of outputs.
const (
	Logits        Kind = iota // their softmax over the classes is the distribution; logarithms of probabilities are logits
	Probabilities             // they are the distribution, up to a factor
)

// Output is the output that a classifier is scored on.
type Output struct {
	Name string
	Kind Kind
}

// Score is how well a classifier does on labelled samples. With a label per position
// Correct, Accuracy, Top5 and Loss are over the positions that have one.
type Score struct {
	Samples int `json:"samples"`
	// Positions counts the labels of a classifier of positions; 0 for others.
	Positions int     `json:"positions,omitempty"`
	Classes   int     `json:"classes"`
	Correct   int     `json:"correct"`
	Accuracy  float64 `json:"accuracy"` // share whose largest output is the label's
	Top5      float64 `json:"top5"`     // share whose label is among the five largest outputs
	Loss      float64 `json:"loss"`     // mean cross-entropy in nats
	// Confidence is the mean of the largest probabilities; 0 with a label per position.
	Confidence float64 `json:"confidence,omitempty"`
}

// Perplexity is e to the loss.
func (s *Score) Perplexity() float64 { return math.Exp(s.Loss) }

// Sum adds up what a Score is the mean of. The zero value is that of a classifier of
// samples by logits.
type Sum struct {
	Kind Kind
	// Positions is how many labels a sample has, one per position, where negative ones do
	// not count; 0 for classifiers of samples.
	Positions int

	samples, classes, labels, first, five int
	loss                                  float64
	sure                                  float64 // largest probabilities, of classifiers of samples
}

// Add counts labels with their rows of values, one row of so many classes per label; rows
// beyond the labels do not count. A label that is no class is an error.
func Add[F float32 | float64](s *Sum, values []F, classes int, labels []int64) error {
	per := max(s.Positions, 1)
	if len(labels)%per != 0 || len(values) < len(labels)*classes {
		panic(fmt.Sprintf("BUG: measure: %d values of %d classes for %d labels, %d a sample", len(values), classes, len(labels), per))
	}
	for i, label := range labels {
		if label < 0 && s.Positions > 0 {
			continue
		}
		if label < 0 || label >= int64(classes) {
			return fmt.Errorf("label %d of sample %d: want a class, the output has %d", label, s.samples+i/per, classes)
		}
		loss, rank := Row(values[i*classes:(i+1)*classes], int(label), s.Kind)
		s.Count(loss, rank)
		if s.Positions == 0 {
			s.sure += surest(values[i*classes:(i+1)*classes], int(label), loss, s.Kind)
		}
	}
	s.Seen(len(labels)/per, classes)
	return nil
}

// Seen counts samples whose labels Count takes.
func (s *Sum) Seen(samples, classes int) {
	s.samples += samples
	s.classes = classes
}

// Count adds one label by its cross-entropy and by how many outputs come before its own.
// One without a cross-entropy is wrong.
func (s *Sum) Count(loss float64, rank int) {
	s.labels++
	s.loss += loss
	if math.IsNaN(loss) {
		return
	}
	if rank == 0 {
		s.first++
	}
	if rank < 5 {
		s.five++
	}
}

// Row returns the cross-entropy of one row of outputs with its label, in nats, and how many
// of them come before the label's: larger ones, and equal ones of lower classes. A
// probability below what a float32 can hold counts as the least that it can.
func Row[F float32 | float64](row []F, label int, k Kind) (loss float64, rank int) {
	own, top := row[label], row[0]
	for i, v := range row {
		if v > own || v == own && i < label {
			rank++
		}
		top = max(top, v)
	}
	sum := 0.0
	if k == Probabilities {
		for _, v := range row {
			sum += float64(v)
		}
		return math.Log(sum) - math.Log(max(float64(own), math.SmallestNonzeroFloat32)), rank
	}
	for _, v := range row {
		sum += math.Exp(float64(v) - float64(top))
	}
	return float64(top) + math.Log(sum) - float64(own), rank
}

// Score returns the means. Nothing that counts and outputs that are not finite are errors.
func (s *Sum) Score() (*Score, error) {
	if s.labels == 0 {
		return nil, errors.New("want at least one label, got none")
	}
	n := float64(s.labels)
	out := &Score{Samples: s.samples, Classes: s.classes, Correct: s.first, Accuracy: float64(s.first) / n, Top5: float64(s.five) / n, Loss: s.loss / n, Confidence: s.sure / n}
	if s.Positions > 0 {
		out.Positions = s.labels
	}
	if math.IsNaN(s.loss) || math.IsInf(s.loss, 0) {
		return nil, errors.New("want finite outputs, got NaN or infinity")
	}
	return out, nil
}

// Largest returns the first index of the largest value.
func Largest[F float32 | float64](x []F) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
