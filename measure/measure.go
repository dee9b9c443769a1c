package measure

import (
	"errors"
	"fmt"
	"math"
)

// Kind says what the numbers of an output are, and with that what is learned and measured of it.
type Kind string

// Kinds of outputs. "" stands for Logits.
const (
	Logits        Kind = "logits"        // their softmax over the classes is the distribution; logarithms of probabilities are logits
	Probabilities Kind = "probabilities" // they are the distribution over the classes, up to a factor
	NextToken     Kind = "next-token"    // logits of the token that follows each position
	Sigmoid       Kind = "sigmoid"       // every element stands for itself: the probability of a yes, or its logit
	Values        Kind = "values"        // numbers: coordinates, amounts, pixels, features
	Embedding     Kind = "embedding"     // vectors along the last axis, whose directions count
)

// Predictions is the kind of an output that holds class numbers: decided, and not to be taught.
const Predictions Kind = "predictions"

// Kinds lists the kinds of outputs that can be taught.
var Kinds = []Kind{Logits, Probabilities, NextToken, Sigmoid, Values, Embedding}

// Distributes reports whether classes along an axis share one distribution.
func (k Kind) Distributes() bool {
	return k == "" || k == Logits || k == Probabilities || k == NextToken
}

// Output is the output that a model is scored on.
type Output struct {
	Name string
	Kind Kind
	// Axis is that of the classes, where there are several behind the samples; 0: the last
	// but for those of size 1.
	Axis int
	// Raw says of Sigmoid that elements are logits.
	Raw bool
	// Classes is how many a label can be; 0 where it is none, or unknown.
	Classes int
}

// Score is how well a model does on labelled samples. With a label per position
// Correct, Accuracy, Top5 and Loss are over the positions that have one; of Sigmoid they
// are over its elements, an element being correct on its label's side of one half. Of Values
// Loss is the mean squared difference, and there is nothing correct. Predictions have no Loss, no
// Top5, and no number of Classes.
type Score struct {
	Kind    Kind `json:"kind,omitempty"` // "": logits or probabilities of classes
	Samples int  `json:"samples"`
	// Positions counts the labels of a classifier of positions; 0 for others.
	Positions int     `json:"positions,omitempty"`
	Classes   int     `json:"classes"`
	Correct   int     `json:"correct"`
	Accuracy  float64 `json:"accuracy"` // share whose largest output is the label's
	Top5      float64 `json:"top5"`     // share whose label is among the five largest outputs
	Loss      float64 `json:"loss"`     // mean cross-entropy in nats
	// Confidence is the mean of the largest probabilities; 0 with a label per position.
	Confidence float64 `json:"confidence,omitempty"`
	// MeanIoU, of masks, is the mean over the classes that occur, in labels or outputs, of the
	// positions that both have over those that either has.
	MeanIoU *float64 `json:"mean_iou,omitempty"`
	// MeanAP, of Sigmoid with several columns, is the mean over those with a yes of the average
	// precision: that at every yes, in falling order of the outputs.
	MeanAP *float64 `json:"mean_ap,omitempty"`
	// MAE, of Values, is the mean absolute difference, in units of the labels; R2 the share of
	// the labels' variance, each column's around its own mean, that is explained.
	MAE *float64 `json:"mae,omitempty"`
	R2  *float64 `json:"r2,omitempty"`
}

// Figure is a number that says how good something is.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Lower says that less is better.
	Lower bool `json:"lower_is_better,omitempty"`
	// Points says that it is a share, told in hundredths.
	Points bool `json:"points,omitempty"`
}

// String prints the value: shares in percent.
func (f Figure) String() string {
	if f.Points {
		return fmt.Sprintf("%.2f %%", 100*f.Value)
	}
	return fmt.Sprintf("%.4g", f.Value)
}

// Drop is how much worse other is than f: in points of shares, else in units of the value.
func (f Figure) Drop(other Figure) float64 {
	d := f.Value - other.Value
	if f.Lower {
		d = -d
	}
	if f.Points {
		d *= 100
	}
	return d
}

// Figure is the number that stands for a score: accuracy, of masks the mean IoU, of several
// labels the mean average precision, of values R², or the mean absolute error where labels do
// not vary.
func (s *Score) Figure() Figure {
	switch {
	case s.MeanIoU != nil:
		return Figure{Name: "mean IoU", Value: *s.MeanIoU, Points: true}
	case s.MeanAP != nil:
		return Figure{Name: "mean average precision", Value: *s.MeanAP, Points: true}
	case s.R2 != nil:
		return Figure{Name: "R²", Value: *s.R2, Points: true}
	case s.MAE != nil:
		return Figure{Name: "mean absolute error", Value: *s.MAE, Lower: true}
	}
	return Figure{Name: "accuracy", Value: s.Accuracy, Points: true}
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
	// Masks says that positions are pixels: Overlap is told which class each was taken for.
	Masks bool
	// Raw is as in Output.
	Raw bool

	samples, classes, labels, first, five int
	loss                                  float64
	both, either                          []int // positions by class
	marks                                 [][]mark
	away                                  float64
	columns                               []column
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
		if v := float64(values[i*classes+int(label)]); math.IsInf(v, -1) && s.Kind != Probabilities {
			return fmt.Errorf("label %d of sample %d: the output is -Inf there, as where a mask leaves a class or a position out: want a label that can be met, or none (-1)", label, s.samples+i/per)
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
	switch {
	case s.Kind == Sigmoid:
		out.Kind, out.Top5 = s.Kind, 0
		out.MeanAP, out.MeanIoU = s.meanAP(), s.meanIoU()
	case s.Kind == Values:
		out.Kind = s.Kind
		mae := s.away / n
		out.MAE, out.R2 = &mae, s.explained()
	case s.Kind == Predictions:
		out.Kind, out.Top5 = s.Kind, 0
		out.MeanIoU = s.meanIoU()
	case s.Masks:
		out.MeanIoU = s.meanIoU()
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
