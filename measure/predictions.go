package measure

import "fmt"

// mostClasses bounds class numbers, for which there are counts.
const mostClasses = 1 << 16

// AddPredictions counts labels, of samples or Positions, by the class that was predicted for
// each; a prediction that is no class is wrong. Negative labels of positions do not count; others
// that are no class are an error.
func (s *Sum) AddPredictions(taken, labels []int64) error {
	per := max(s.Positions, 1)
	if len(labels)%per != 0 || len(taken) < len(labels) {
		panic(fmt.Sprintf("BUG: measure: %d predictions for %d labels, %d a sample", len(taken), len(labels), per))
	}
	for i, label := range labels {
		if label < 0 && s.Positions > 0 {
			continue
		}
		if label < 0 || label >= mostClasses {
			return fmt.Errorf("label %d of sample %d: want a class, 0 to %d", label, s.samples+i/per, mostClasses-1)
		}
		s.labels++
		if taken[i] == label {
			s.first++
		}
		if s.Masks {
			was := -1
			if taken[i] >= 0 && taken[i] < mostClasses {
				was = int(taken[i])
			}
			s.Overlap(int(label), was)
		}
	}
	s.Seen(len(labels)/per, 0)
	return nil
}
