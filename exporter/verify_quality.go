package exporter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
)

// Labelled is a batch with the labels of its first samples; rows beyond them fill the batch up
// and do not count.
type Labelled struct {
	Feed    Feed
	Samples int
	// Labels are classes, or other integers; Numbers are floats. One of them is nil.
	Labels  []int64
	Numbers []float32
	// Shape is that of one sample's labels, nil for a class; negative ones do not count.
	Shape []int
}

// Quality is how well a model does on data.
type Quality struct {
	measure.Score
	Seconds float64 `json:"seconds"` // spent in the runtime
}

// MeasureQuality scores a model by one of its outputs on every batch. An output with classes
// must have them along one axis, with a row for every label; others a label for every element.
// Predictions are class numbers, of any type, one for every label.
func MeasureQuality(ctx context.Context, s Subject, out measure.Output, batches iter.Seq2[Labelled, error]) (*Quality, error) {
	session, err := guard(ctx, s, 0)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer session.Close()
	sum, seconds, slowest := measure.Sum{Kind: out.Kind, Raw: out.Raw}, 0.0, time.Duration(0)
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		got, took, err := session.run(ctx, b.Feed, slowest)
		if err != nil {
			return nil, fmt.Errorf("eval: %w", err)
		}
		slowest = max(slowest, took)
		seconds += took.Seconds()
		if err := add(&sum, got[out.Name], out.Axis, b); err != nil {
			return nil, fmt.Errorf("eval: output %q: %w", out.Name, err)
		}
	}
	score, err := sum.Score()
	if err != nil {
		return nil, fmt.Errorf("eval: output %q: %w", out.Name, err)
	}
	return &Quality{Score: *score, Seconds: seconds}, nil
}

// add counts the labels of a batch.
func add(s *measure.Sum, t *ir.Tensor, axis int, b Labelled) error {
	if t == nil {
		return errors.New("want a tensor, got none")
	}
	s.Masks = len(b.Shape) > 1
	bits := t.DType.Bits()
	if len(t.Dims) == 0 || t.Dims[0] == 0 || bits%8 != 0 || len(t.Raw) < t.Len()*bits/8 {
		return fmt.Errorf("want numbers of whole bytes by sample, got %s", t.Type())
	}
	size := t.Len() / t.Dims[0]
	one := func(i int) ([]float64, error) { // all of them as float64 may be large
		return (&ir.Tensor{Name: t.Name, DType: t.DType, Dims: []int{size}, Raw: t.Raw[i*size*bits/8 : (i+1)*size*bits/8]}).Float64s()
	}
	if s.Kind == measure.Predictions {
		return addPredictions(s, one, t, size, b)
	}
	if !s.Kind.Distributes() {
		return addElements(s, one, t.Dims[0], size, b)
	}
	if axis == 0 {
		for axis = len(t.Dims) - 1; axis > 1 && t.Dims[axis] == 1; axis-- {
		}
	}
	per := 1
	if b.Shape != nil {
		per = product(b.Shape)
		s.Positions = per
	}
	if t.Dims[0] < b.Samples || axis < 1 || axis >= len(t.Dims) || len(b.Labels) != b.Samples*per || t.Dims[axis] < 1 || size/t.Dims[axis] != per {
		if b.Shape == nil {
			return fmt.Errorf("want one row of classes for each of %d samples, got %s", b.Samples, t.Type())
		}
		return fmt.Errorf("want classes for each of %d positions of %d samples, got %s", per, b.Samples, t.Type())
	}
	classes, step := t.Dims[axis], product(t.Dims[axis+1:])
	for i := range b.Samples {
		v, err := one(i)
		if err != nil {
			return err
		}
		v, labels := rows(v, classes, step), b.Labels[i*per:(i+1)*per]
		if err := measure.Add(s, v, classes, labels); err != nil {
			return err
		}
		for k, label := range labels {
			if s.Masks && label >= 0 {
				s.Overlap(int(label), measure.Largest(v[k*classes:(k+1)*classes]))
			}
		}
	}
	return nil
}

// rows puts classes that are step apart side by side.
func rows(v []float64, classes, step int) []float64 {
	if step == 1 {
		return v
	}
	out := make([]float64, 0, len(v))
	for at := 0; at < len(v); at += classes * step {
		for j := range step {
			for c := range classes {
				out = append(out, v[at+c*step+j])
			}
		}
	}
	return out
}

func addPredictions(s *measure.Sum, one func(int) ([]float64, error), t *ir.Tensor, size int, b Labelled) error {
	per := 1
	if b.Shape != nil {
		per = product(b.Shape)
		s.Positions = per
	}
	if t.Dims[0] < b.Samples || size != per || len(b.Labels) != b.Samples*per {
		return fmt.Errorf("want a class number for each of %d labels of %d samples, got %s", per, b.Samples, t.Type())
	}
	taken := make([]int64, per)
	for i := range b.Samples {
		v, err := one(i)
		if err != nil {
			return err
		}
		for k, x := range v {
			if taken[k] = -1; x == math.Trunc(x) && math.Abs(x) < 1<<53 {
				taken[k] = int64(x)
			}
		}
		if err := s.AddPredictions(taken, b.Labels[i*per:(i+1)*per]); err != nil {
			return err
		}
	}
	return nil
}

func addElements(s *measure.Sum, one func(int) ([]float64, error), rows, size int, b Labelled) error {
	labels := slices.Clone(b.Numbers)
	if b.Samples > rows {
		return fmt.Errorf("want values for each of %d samples, got %d", b.Samples, rows)
	}
	for _, l := range b.Labels {
		labels = append(labels, float32(l))
	}
	labels, err := measure.Spread(s.Kind, labels, b.Samples, size)
	if err != nil {
		return err
	}
	for i := range b.Samples {
		v, err := one(i)
		if err != nil {
			return err
		}
		if err := measure.AddElements(s, v, labels[i*size:(i+1)*size], size); err != nil {
			return err
		}
	}
	return nil
}

func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}
