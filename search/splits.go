package search

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
)

// Splits are the shares of the training samples for weight steps, architecture
// steps and validation. Fine-tuning uses the first two together. A set that has a part
// "val" is validated on that, and the first two grow by the share for validation.
type Splits struct {
	Weights float64 `json:"weights" want:"(0,1)" doc:"share of the training samples for weight steps"`
	Alpha   float64 `json:"alpha" want:"(0,1)" doc:"share for architecture steps"`
	Val     float64 `json:"val" want:"[0,1)" doc:"share for validation, which is none where the data has a part val: the two others then grow by it; tuning uses the first two together"`
}

// Check reports shares that do not divide the samples.
func (s Splits) Check() error {
	if s.Weights <= 0 || s.Alpha <= 0 || s.Val < 0 || s.Weights+s.Alpha+s.Val > 1+1e-9 {
		return fmt.Errorf("search: splits: want weights and alpha above 0, val ≥ 0, in all at most 1, got %g, %g, %g", s.Weights, s.Alpha, s.Val)
	}
	return nil
}

// Views are the splits of a data set's training part, and its test part when it has one.
// Both joins Weights and Alpha. Val and Test are empty where there is none; their samples
// share no elements with each other, as windows of a stream may.
type Views struct {
	Weights, Alpha, Both, Val, Test data.View
}

// View deals the samples of the part "train", which the set must have, by a seeded draw.
func (s Splits) View(set *data.Set, seed uint64) (*Views, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	train := set.Part("train")
	if train == nil {
		return nil, fmt.Errorf("search: data %q: want a part named \"train\"", set.Spec)
	}
	val := set.Part("val")
	if val != nil {
		grow := 1 + s.Val/(s.Weights+s.Alpha)
		s.Weights, s.Alpha, s.Val = s.Weights*grow, s.Alpha*grow, 0
	}
	shares := []data.Share{{Name: "weights", Fraction: s.Weights}, {Name: "alpha", Fraction: s.Alpha}}
	if s.Val > 0 {
		shares = append(shares, data.Share{Name: "val", Fraction: s.Val})
	}
	parts, err := train.All().Split(seed, shares...)
	if err != nil {
		return nil, fmt.Errorf("search: data.split: %w", err)
	}
	v := &Views{Weights: parts[0], Alpha: parts[1], Both: parts[0].Join("train", parts[1])}
	switch {
	case val != nil && train.Labelled() && !val.Labelled():
		return nil, fmt.Errorf("search: data %q: part \"val\": want labels as part \"train\" has them, got none", set.Spec)
	case val != nil:
		v.Val = val.All().Apart()
	case s.Val > 0:
		v.Val = parts[2].Apart()
	}
	if t := set.Part("test"); t != nil {
		v.Test = t.All().Apart()
	}
	return v, nil
}
