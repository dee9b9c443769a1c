package measure

import (
	"fmt"
	"math"
	"slices"
)

// mark is one output of a column of several labels, with what was wanted.
type mark struct {
	score float32
	yes   bool
}

// column sums the labels of one column of values.
type column struct{ count, sum, squares float64 }

// Overlap counts a position of a mask that has a label and was taken for a class; below 0 for
// none.
func (s *Sum) Overlap(label, taken int) {
	for n := max(label, taken) + 1; len(s.both) < n; {
		s.both, s.either = append(s.both, 0), append(s.either, 0)
	}
	s.either[label]++
	if label == taken {
		s.both[label]++
		return
	}
	if taken >= 0 {
		s.either[taken]++
	}
}

func (s *Sum) meanIoU() *float64 {
	sum, n := 0.0, 0
	for c, either := range s.either {
		if either > 0 {
			sum += float64(s.both[c]) / float64(either)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	sum /= float64(n)
	return &sum
}

// AddElements counts samples of so many columns with a label for each: of Sigmoid the
// probability of a yes, 0…1, of Values a number. Negative labels of Sigmoid do not count.
func AddElements[F float32 | float64](s *Sum, values []F, labels []float32, columns int) error {
	if columns < 1 || len(labels)%columns != 0 || len(values) < len(labels) {
		panic(fmt.Sprintf("BUG: measure: %d values for %d labels in %d columns", len(values), len(labels), columns))
	}
	for i, label := range labels {
		v := float64(values[i])
		switch {
		case s.Kind == Values:
			s.value(v, float64(label), i%columns, columns)
		case label > 1:
			return fmt.Errorf("label %g of sample %d, column %d: want 0 or 1, or below 0 for none", label, s.samples+i/columns, i%columns)
		case label >= 0:
			s.yes(v, float64(label), i%columns, columns)
		}
	}
	s.Seen(len(labels)/columns, columns)
	return nil
}

func (s *Sum) value(v, label float64, at, columns int) {
	if s.columns == nil {
		s.columns = make([]column, columns)
	}
	c := &s.columns[at]
	c.count++
	c.sum += label
	c.squares += label * label
	s.labels++
	s.away += math.Abs(v - label)
	s.loss += (v - label) * (v - label)
}

// explained is R²; nil where labels do not vary.
func (s *Sum) explained() *float64 {
	total := 0.0
	for _, c := range s.columns {
		total += c.squares - c.sum*c.sum/c.count
	}
	if !(total > 1e-12) {
		return nil
	}
	r := 1 - s.loss/total
	return &r
}

func (s *Sum) yes(v, label float64, at, columns int) {
	if s.marks == nil && !s.Masks {
		s.marks = make([][]mark, columns)
	}
	half := 0.5
	if s.Raw {
		half = 0
		s.loss += max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) - v*label
	} else {
		least := float64(math.SmallestNonzeroFloat32)
		s.loss -= label*math.Log(max(v, least)) + (1-label)*math.Log(max(1-v, least))
	}
	s.labels++
	yes, taken := label > 0.5, v > half
	if yes == taken {
		s.first++
	}
	if s.Masks {
		s.Overlap(class(yes), class(taken))
		return
	}
	s.marks[at] = append(s.marks[at], mark{float32(v), yes})
}

func class(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// meanAP is nil for a single column, and where no label is a yes.
func (s *Sum) meanAP() *float64 {
	if len(s.marks) < 2 {
		return nil
	}
	sum, n := 0.0, 0
	for _, list := range s.marks {
		if ap, ok := averagePrecision(slices.Clone(list)); ok {
			sum += ap
			n++
		}
	}
	if n == 0 {
		return nil
	}
	sum /= float64(n)
	return &sum
}

// averagePrecision sorts marks. Equal scores count as one threshold.
func averagePrecision(list []mark) (ap float64, ok bool) {
	slices.SortStableFunc(list, func(a, b mark) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	all := 0
	for _, m := range list {
		if m.yes {
			all++
		}
	}
	found := 0
	for i := 0; i < len(list); {
		new, j := 0, i
		for ; j < len(list) && list[j].score == list[i].score; j++ {
			if list[j].yes {
				new++
			}
		}
		found += new
		ap += float64(new) * float64(found) / float64(j)
		i = j
	}
	return ap / float64(max(all, 1)), all > 0
}

// Spread gives a label to every element of samples of that size, by the labels of each: one for
// every element, or one class, which of Sigmoid is a yes in its column. Labels that do not go
// with the elements are an error that counts samples from 0 on.
func Spread(k Kind, labels []float32, samples, size int) ([]float32, error) {
	out := make([]float32, samples*size)
	switch {
	case len(labels) == len(out):
		copy(out, labels)
	case len(labels) != samples:
		return nil, fmt.Errorf("want a label for each of %d elements of a sample, got %d", size, len(labels)/max(samples, 1))
	default:
		for i, v := range labels {
			if k != Sigmoid || v < 0 || int(v) >= size {
				return nil, fmt.Errorf("label %g of sample %d: want one for each of %d elements", v, i, size)
			}
			out[i*size+int(v)] = 1
		}
	}
	for i, v := range out {
		if k == Sigmoid && v > 1 {
			return nil, fmt.Errorf("label %g of sample %d: want 0 or 1 for a yes or no of each element: of numbers give floats, or say that the output is %s (--output NAME=%s)", v, i/size, Values, Values)
		}
	}
	return out, nil
}
