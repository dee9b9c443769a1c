package net

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/measure"
)

// Scale says how much of an output there is to learn.
type Scale struct {
	// Constant is the loss of the best constant output against the original: in nats, of
	// Embedding in 1 − cosine; 0 is unknown.
	Constant float64
	// Teacher and Labels are the variances of the original's values, and of the labels.
	Teacher, Labels *Variance
}

// Variance is that of numbers by column, which are the positions of one axis.
type Variance struct {
	axis int // −1: one column
	v    []float64
}

// inverse is 1 / variance, to be multiplied with values of that rank.
func (v *Variance) inverse(b *prim.Builder, rank int) prim.ID {
	t := prim.NewTensor(prim.Type{DType: prim.F32, Shape: slices.Repeat([]int{1}, rank)})
	if v.axis >= 0 {
		t.Shape[v.axis] = len(v.v)
	}
	t.F32 = make([]float32, len(v.v))
	for i, x := range v.v {
		t.F32[i] = float32(1 / x)
	}
	return b.Const(t)
}

const (
	scaleSamples = 64      // that measure scales
	fewSamples   = 8       // below them, a position's own mean says nothing
	manyElements = 4 << 20 // beyond them, positions have no means of their own
	manyColumns  = 1024
)

// Scale measures what a plain network, the original, gives on samples of a view, and what
// their labels are, and keeps it in Scales. Values are measured around the mean of each
// position over the samples, by column: the shortest axis behind the samples. Numbers of which
// so many are too large that no difference could be seen are an error.
func (n *Network) Scale(ctx context.Context, be engine.Backend, view data.View, seed uint64) error {
	n.Scales = map[string]Scale{}
	list, _ := n.taught()
	list = slices.DeleteFunc(slices.Clone(list), func(x Meaning) bool {
		return x.Kind != measure.Values && x.Kind != measure.Sigmoid && len(list) < 2
	})
	target, ok := n.Target()
	labelled := ok && target.Kind == measure.Values && view.Part().Labelled()
	if len(list) == 0 && !labelled || view.Len() == 0 {
		return nil
	}
	f, err := NewFeed(be, n, nil, Objective{}, view.Set(), false)
	if err != nil {
		return err
	}
	var names []string
	for _, x := range list {
		names = append(names, x.value)
	}
	fwd, err := n.Forward(be, names...)
	if err != nil {
		return err
	}
	env := Env{}
	if err := n.Load(be, env); err != nil {
		return err
	}
	sums, reach := make([]tally, len(list)), make([]fillings, len(list)+1)
	for i, x := range list {
		sums[i] = newTally(x, n.Facts.Values[x.value].Shape(), n.Batch)
	}
	var labels tally
	if labelled {
		labels = newTally(target, n.Facts.Values[target.value].Shape(), n.Batch)
	}
	batches := max((min(scaleSamples, view.Len())+n.Batch-1)/n.Batch, 1)
	err = n.sample(ctx, view, batches, seed, "scale", func(_ int, b *data.Batch) error {
		if labelled {
			t, err := n.elements(b)
			if err != nil {
				return err
			}
			labels.add(t.F32, b.Valid)
			reach[len(list)].add(t.F32[:t.Len()/len(b.Index)*b.Valid])
		}
		in, err := f.inputs(b)
		if err != nil {
			return err
		}
		out, err := fwd.Run(env, in)
		if err != nil {
			return err
		}
		for i, x := range list {
			t, err := out[OutName(x.value)].Read()
			if err != nil {
				return err
			}
			sums[i].add(t.F32, b.Valid)
			reach[i].add(t.F32)
		}
		in.Free()
		out.Free()
		return nil
	})
	if err != nil {
		return err
	}
	for i, x := range list {
		if err := reach[i].fault(); err != nil {
			return fmt.Errorf("search: output %q on %q of %q: %w", x.Output, view.Name, view.Set().Spec, err)
		}
		n.Scales[x.Output] = sums[i].scale()
	}
	if err := reach[len(list)].fault(); err != nil {
		return fmt.Errorf("search: labels of %q, for output %q: %w", view.Set().Spec, target.Output, err)
	}
	if labelled {
		s := n.Scales[target.Output]
		s.Labels = labels.variance()
		n.Scales[target.Output] = s
	}
	return nil
}

// tally sums up an output over samples.
type tally struct {
	kind    measure.Kind
	axis    int // of the columns, or of the classes
	shape   []int
	lead    int // axes of shape that the output does not have
	samples int
	// Of values: sums of squares by column, and sums by position (or column).
	positions    []float64
	sums, square []float64
	// Of others: Σ p·ln p and Σ p by class or column, over so many rows.
	certain, rows float64
	mean          []float64
}

func newTally(x Meaning, shape []int, batch int) tally {
	t := tally{kind: x.Kind, axis: x.axis, shape: shape}
	if len(shape) > 0 && shape[0] != batch || len(shape) == 0 {
		t.shape = append([]int{1}, shape...) // no samples: all of it is one
		t.axis++
		t.lead = 1
	}
	if !x.Kind.Distributes() && x.Kind != measure.Embedding {
		t.axis = 0
		for a, d := range t.shape {
			if a > 0 && d > 1 && d <= manyColumns && (t.axis == 0 || d < t.shape[t.axis]) {
				t.axis = a
			}
		}
	}
	n := 1
	if t.axis > 0 {
		n = t.shape[t.axis]
	}
	t.sums, t.square, t.mean = make([]float64, n), make([]float64, n), make([]float64, n)
	if size := columns(t.shape); x.Kind == measure.Values && size <= manyElements {
		t.positions = make([]float64, size)
	}
	return t
}

// add takes the first valid samples.
func (t *tally) add(v []float32, valid int) {
	size := columns(t.shape)
	valid = min(valid, len(v)/max(size, 1))
	t.samples += valid
	inner := 1
	if t.axis > 0 {
		inner = prim.Prod(t.shape[t.axis+1:])
	}
	column := func(i int) int { return i / inner % len(t.mean) }
	for s := range valid {
		x := v[s*size : (s+1)*size]
		switch {
		case t.kind == measure.Values:
			for i, e := range x {
				if fills(e) {
					continue
				}
				c := column(i)
				t.sums[c] += float64(e)
				t.square[c] += float64(e) * float64(e)
				if t.positions != nil {
					t.positions[i] += float64(e)
				}
			}
		case t.kind == measure.Sigmoid:
			for i, e := range x {
				p := 1 / (1 + math.Exp(-float64(e)))
				t.certain += plogp(p) + plogp(1-p)
				t.mean[column(i)] += p
				t.rows += 1
			}
		default:
			t.vectors(x, inner)
		}
	}
}

func plogp(p float64) float64 {
	if p <= 0 {
		return 0
	}
	return p * math.Log(p)
}

// vectors adds the rows of one sample along the axis.
func (t *tally) vectors(x []float32, inner int) {
	n := len(t.mean)
	row := make([]float64, n)
	for at := 0; at < len(x); at += n * inner {
		for j := range inner {
			top, sum := math.Inf(-1), 0.0
			for k := range row {
				row[k] = float64(x[at+k*inner+j])
				top = max(top, row[k])
			}
			for k, v := range row {
				if t.kind == measure.Embedding {
					sum += v * v
				} else {
					row[k] = math.Exp(v - top)
					sum += row[k]
				}
			}
			if t.kind == measure.Embedding {
				sum = math.Sqrt(sum)
			}
			for k := range row {
				row[k] /= max(sum, 1e-30)
				t.mean[k] += row[k]
				if t.kind != measure.Embedding {
					t.certain += plogp(row[k])
				}
			}
			t.rows++
		}
	}
}

func (t *tally) scale() (s Scale) {
	switch {
	case t.samples == 0:
	case t.kind == measure.Values:
		s.Teacher = t.variance()
	case t.kind == measure.Embedding: // the mean direction is off by 1 − its length
		sum := 0.0
		for _, v := range t.mean {
			sum += v / t.rows * v / t.rows
		}
		s.Constant = 1 - math.Sqrt(sum)
	case t.kind == measure.Sigmoid:
		per := t.rows / float64(len(t.mean))
		own := 0.0
		for _, v := range t.mean {
			own += (plogp(v/per) + plogp(1-v/per)) / float64(len(t.mean))
		}
		s.Constant = t.certain/t.rows - own
	default:
		own := 0.0
		for _, v := range t.mean {
			own += plogp(v / t.rows)
		}
		s.Constant = t.certain/t.rows - own
	}
	// What hardly varies is not to be blown up.
	if s.Constant < 1e-4 {
		s.Constant = 0
	}
	return s
}

// variance is that around the mean of each position, where there are means to speak of, else
// around the column's. A column's is no less than a share of its mean square.
func (t *tally) variance() *Variance {
	v := &Variance{axis: -1, v: make([]float64, len(t.mean))}
	if t.axis > 0 {
		v.axis = t.axis - t.lead
	}
	each := float64(t.samples) * float64(columns(t.shape)) / float64(len(t.mean))
	around := make([]float64, len(t.mean)) // Σ of squared means
	if t.positions != nil && t.samples >= fewSamples {
		inner := 1
		if t.axis > 0 {
			inner = prim.Prod(t.shape[t.axis+1:])
		}
		for i, sum := range t.positions {
			around[i/inner%len(t.mean)] += sum * sum / float64(t.samples)
		}
	} else {
		for c, sum := range t.sums {
			around[c] = sum * sum / each
		}
	}
	most := 0.0
	for c := range v.v {
		power := t.square[c] / each
		v.v[c] = max((t.square[c]-around[c])/each, 1e-4*power)
		most = max(most, v.v[c])
	}
	for c := range v.v {
		v.v[c] = max(v.v[c], 1e-9*most, 1e-30)
	}
	return v
}
