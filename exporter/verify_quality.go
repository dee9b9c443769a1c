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
}

// Quality is how well a classifier does on data.
type Quality struct {
	Samples      int     `json:"samples"`
	Classes      int     `json:"classes"`
	Top1         float64 `json:"top1"`          // fraction of samples whose class has the largest output
	Top5         float64 `json:"top5"`          // fraction of samples whose class is among the five largest outputs
	CrossEntropy float64 `json:"cross_entropy"` // mean, in nats, the outputs read as logits
	Seconds      float64 `json:"seconds"`       // spent in the runtime
}

// MeasureQuality runs a classifier on every batch. Its first output must have
// one row per sample and one column per class; trailing axes of size 1 are dropped.
func MeasureQuality(ctx context.Context, s Subject, batches iter.Seq2[Labelled, error]) (*Quality, error) {
	session, err := s.Runtime.Open(s.Source)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer session.Close()
	name := s.Source.Model.Graph.Outputs[0].Name
	q := &Quality{}
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		out, err := session.Run(b.Feed)
		if err != nil {
			return nil, fmt.Errorf("eval: %w", err)
		}
		q.Seconds += time.Since(start).Seconds()
		if err := q.add(out[name], b.Labels); err != nil {
			return nil, err
		}
	}
	if q.Samples == 0 {
		return nil, fmt.Errorf("eval: want at least one labelled sample, got none")
	}
	n := float64(q.Samples)
	q.Top1, q.Top5, q.CrossEntropy = q.Top1/n, q.Top5/n, q.CrossEntropy/n
	return q, nil
}

func (q *Quality) add(t *ir.Tensor, labels []int64) error {
	if t == nil {
		return fmt.Errorf("eval: want an output, got none")
	}
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
		row := v[i*dims[1] : (i+1)*dims[1]]
		if label < 0 || int(label) >= len(row) {
			return fmt.Errorf("eval: output %q has %d classes: want a label below that, got %d", t.Name, len(row), label)
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
		q.Samples++
	}
	if math.IsNaN(q.CrossEntropy) || math.IsInf(q.CrossEntropy, 0) {
		return fmt.Errorf("eval: output %q: want finite numbers, got NaN or infinity", t.Name)
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
