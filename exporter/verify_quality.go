package exporter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
)

// Labelled is a batch with the classes of its first len(Labels) samples; rows
// beyond them fill the batch up and do not count.
type Labelled struct {
	Feed   Feed
	Labels []int64
	// Positions, when not 0, is how many labels each sample has, one per position;
	// negative ones do not count.
	Positions int
}

// Quality is how well a classifier does on data.
type Quality struct {
	measure.Score
	Seconds float64 `json:"seconds"` // spent in the runtime
}

// MeasureQuality scores a classifier by one of its outputs on every batch. The output must
// have one row per sample and one column per class; trailing axes of size 1 are dropped.
// With labels per position it is [samples, positions, classes].
func MeasureQuality(ctx context.Context, s Subject, out measure.Output, batches iter.Seq2[Labelled, error]) (*Quality, error) {
	session, err := guard(ctx, s, 0)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer session.Close()
	sum, seconds, slowest := measure.Sum{Kind: out.Kind}, 0.0, time.Duration(0)
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
		sum.Positions = b.Positions
		if err := add(&sum, got[out.Name], b); err != nil {
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
func add(s *measure.Sum, t *ir.Tensor, b Labelled) error {
	if t == nil {
		return errors.New("want a tensor, got none")
	}
	dims := t.Dims
	if b.Positions > 0 {
		samples := len(b.Labels) / b.Positions
		if len(dims) != 3 || dims[0] < samples || dims[1] != b.Positions || dims[2] < 1 {
			return fmt.Errorf("want classes for each of %d positions of %d samples, got %s", b.Positions, samples, t.Type())
		}
	} else {
		for len(dims) > 2 && dims[len(dims)-1] == 1 {
			dims = dims[:len(dims)-1]
		}
		if len(dims) != 2 || dims[0] < len(b.Labels) || dims[1] < 1 {
			return fmt.Errorf("want one row of classes for each of %d samples, got %s", len(b.Labels), t.Type())
		}
	}
	classes, per := dims[len(dims)-1], max(b.Positions, 1)
	bits := per * classes * t.DType.Bits()
	if bits%8 != 0 || len(t.Raw) < dims[0]*bits/8 {
		return fmt.Errorf("want numbers of whole bytes, got %s", t.Type())
	}
	for i := range len(b.Labels) / per { // one at a time: all of them as float64 may be large
		one := &ir.Tensor{Name: t.Name, DType: t.DType, Dims: []int{per, classes}, Raw: t.Raw[i*bits/8 : (i+1)*bits/8]}
		v, err := one.Float64s()
		if err != nil {
			return err
		}
		if err := measure.Add(s, v, classes, b.Labels[i*per:(i+1)*per]); err != nil {
			return err
		}
	}
	return nil
}
