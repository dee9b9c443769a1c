package exporter

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/entangle-nas/entangle/ir"
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

// Quality is how well a classifier does on data. With labels per position the
// fractions and the mean are over positions.
type Quality struct {
	Samples      int     `json:"samples"`
	Positions    int     `json:"positions,omitempty"` // that have a label; 0 for classifiers of samples
	Classes      int     `json:"classes"`
	Top1         float64 `json:"top1"`          // fraction of samples whose class has the largest output
	Top5         float64 `json:"top5"`          // fraction of samples whose class is among the five largest outputs
	CrossEntropy float64 `json:"cross_entropy"` // mean, in nats, the outputs read as logits
	Seconds      float64 `json:"seconds"`       // spent in the runtime
}

// MeasureQuality runs a classifier on every batch. Its first output must have
// one row per sample and one column per class; trailing axes of size 1 are
// dropped. With labels per position it is [samples, positions, classes].
func MeasureQuality(ctx context.Context, s Subject, batches iter.Seq2[Labelled, error]) (*Quality, error) {
	session, err := s.Runtime.Open(s.Source)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer session.Close()
	name := s.Source.Model.Graph.Outputs[0].Name
	q, positions := &Quality{}, false
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		positions = b.Positions > 0
		start := time.Now()
		out, err := session.Run(b.Feed)
		if err != nil {
			return nil, fmt.Errorf("eval: %w", err)
		}
		q.Seconds += time.Since(start).Seconds()
		if err := q.add(out[name], b); err != nil {
			return nil, err
		}
	}
	n := float64(q.Samples)
	if positions {
		n = float64(q.Positions)
	}
	if n == 0 {
		return nil, fmt.Errorf("eval: want at least one labelled sample, got none")
	}
	q.Top1, q.Top5, q.CrossEntropy = q.Top1/n, q.Top5/n, q.CrossEntropy/n
	return q, nil
}

func (q *Quality) add(t *ir.Tensor, b Labelled) error {
	if t == nil {
		return fmt.Errorf("eval: want an output, got none")
	}
	if b.Positions > 0 {
		return q.addPositions(t, b)
	}
	labels := b.Labels
	dims := t.Dims
	for len(dims) > 2 && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	if len(dims) != 2 || dims[0] < len(labels) || dims[1] < 1 {
		return fmt.Errorf("eval: output %q: want one row of classes for each of %d samples, got %s", t.Name, len(labels), t.Type())
	}
	v, err := t.Float64s()
	if err != nil {
		return fmt.Errorf("eval: %w", err)
	}
	q.Classes = dims[1]
	for i, label := range labels {
		if err := q.addRow(t.Name, v[i*dims[1]:(i+1)*dims[1]], label); err != nil {
			return err
		}
		q.Samples++
	}
	return q.finite(t.Name)
}

// addPositions adds a batch with labels per position.
func (q *Quality) addPositions(t *ir.Tensor, b Labelled) error {
	samples := len(b.Labels) / b.Positions
	if len(t.Dims) != 3 || t.Dims[0] < samples || t.Dims[1] != b.Positions || t.Dims[2] < 1 {
		return fmt.Errorf("eval: output %q: want classes for each of %d positions of %d samples, got %s", t.Name, b.Positions, samples, t.Type())
	}
	q.Classes = t.Dims[2]
	bits := b.Positions * q.Classes * t.DType.Bits()
	if bits%8 != 0 || len(t.Raw) < samples*bits/8 {
		return fmt.Errorf("eval: output %q: want numbers of whole bytes, got %s", t.Name, t.Type())
	}
	for i := range samples { // one at a time: all of them as float64 may be large
		one := &ir.Tensor{Name: t.Name, DType: t.DType, Dims: t.Dims[1:], Raw: t.Raw[i*bits/8 : (i+1)*bits/8]}
		v, err := one.Float64s()
		if err != nil {
			return fmt.Errorf("eval: %w", err)
		}
		for p, label := range b.Labels[i*b.Positions : (i+1)*b.Positions] {
			if label < 0 {
				continue
			}
			if err := q.addRow(t.Name, v[p*q.Classes:(p+1)*q.Classes], label); err != nil {
				return err
			}
			q.Positions++
		}
	}
	q.Samples += samples
	return q.finite(t.Name)
}

// addRow adds one label with the outputs of all classes.
func (q *Quality) addRow(name string, row []float64, label int64) error {
	if label < 0 || int(label) >= len(row) {
		return fmt.Errorf("eval: output %q has %d classes: want a label below that, got %d", name, len(row), label)
	}
	rank := 0 // outputs that come before the label's; NaN never does
	for k, x := range row {
		if x > row[label] || (x == row[label] && k < int(label)) {
			rank++
		}
	}
	ok := !math.IsNaN(row[label])
	if ok && rank == 0 {
		q.Top1++
	}
	if ok && rank < 5 {
		q.Top5++
	}
	q.CrossEntropy += logSumExp(row) - row[label]
	return nil
}

func (q *Quality) finite(name string) error {
	if math.IsNaN(q.CrossEntropy) || math.IsInf(q.CrossEntropy, 0) {
		return fmt.Errorf("eval: output %q: want finite numbers, got NaN or infinity", name)
	}
	return nil
}

func logSumExp(v []float64) float64 {
	m := math.Inf(-1)
	for _, x := range v {
		m = max(m, x)
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(x - m)
	}
	return m + math.Log(sum)
}
