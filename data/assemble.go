package data

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// assemble builds batch step of an epoch whose sequence is order.
func (l *Loader) assemble(order []int, epoch, step int) (*Batch, error) {
	set, part, n := l.view.part.set, l.view.part, l.o.Batch
	first := step * n
	b := &Batch{Epoch: epoch, Step: step, Last: step == l.Batches()-1, Valid: min(n, len(order)-first)}
	for i := range n {
		at := i
		if i >= b.Valid {
			at = (i - b.Valid) % b.Valid
		}
		b.Index = append(b.Index, order[first+at])
	}
	r := rng.New(l.o.Seed, fmt.Sprintf("data/%s/augment/%d/%d", l.o.Name, epoch, step))
	offset := l.offset(epoch)
	if l.o.Moves {
		b.Moves = l.draw(n, r)
	}
	var moves [][]Move
	if set.spatial() {
		moves = make([][]Move, n)
	}
	for k, f := range set.Fields {
		if l.o.Moves {
			break
		}
		t := prim.NewTensor(prim.Type{DType: f.DType, Shape: set.batchShape(f, n)})
		if err := l.fill(t, f, part.columns[k], b.Index, offset, r, moves); err != nil {
			return nil, err
		}
		b.Inputs = append(b.Inputs, t)
	}
	if part.Labels != nil {
		b.Labels = prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{n}})
		for i, at := range b.Index {
			b.Labels.I64[i] = part.Labels[at]
		}
	}
	if part.targets != nil {
		if err := l.target(b, offset, moves); err != nil {
			return nil, err
		}
	}
	for _, s := range l.o.Augment {
		if s.Lambda != nil {
			b.mix(set, s, r)
		}
	}
	if l.o.Soft && part.Labels != nil {
		b.soften(len(set.Classes))
	}
	return b, nil
}

// target reads the labels of a set that has a LabelShape.
func (l *Loader) target(b *Batch, offset int, moves [][]Move) error {
	set, part := l.view.part.set, l.view.part
	size := prim.Prod(set.LabelShape)
	b.Labels = prim.NewTensor(prim.Type{DType: prim.I64, Shape: append([]int{len(b.Index)}, set.LabelShape...)})
	if !set.FloatLabels {
		if err := l.integers(part.targets.(intReader), b.Index, offset, b.Labels.I64, size); err != nil {
			return err
		}
		for i, list := range moves {
			for _, m := range list {
				m.applyMask(b.Labels.I64[i*size:(i+1)*size], set.LabelShape[1])
			}
		}
		return nil
	}
	b.Labels = prim.NewTensor(prim.Type{DType: prim.F32, Shape: b.Labels.Shape})
	for i, at := range b.Index {
		if err := part.targets.read(at, b.Labels.F32[i*size:(i+1)*size]); err != nil {
			return err
		}
	}
	return nil
}

// batchShape returns the shape of field f in a batch of n.
func (s *Set) batchShape(f Field, n int) []int {
	if f.Image && s.opts.Layout == NHWC {
		return []int{n, f.Shape[1], f.Shape[2], f.Shape[0]}
	}
	return append([]int{n}, f.Shape...)
}

// fill reads a field. Moves, when not nil, takes those of every sample.
func (l *Loader) fill(t *prim.Tensor, f Field, c column, index []int, offset int, r *rng.Stream, moves [][]Move) error {
	size := prim.Prod(f.Shape)
	if ints, ok := c.(intReader); ok && f.DType == prim.I64 {
		return l.integers(ints, index, offset, t.I64, size)
	}
	set := l.view.part.set
	scale, shift, zero := set.normal(f)
	raw := make([]float32, size)
	for i, at := range index {
		if err := c.read(at, raw); err != nil {
			return err
		}
		if f.Image {
			x := &Image{C: f.Shape[0], H: f.Shape[1], W: f.Shape[2], Pix: raw, Fill: zero}
			for _, s := range l.o.Augment {
				switch {
				case s.Move != nil && moves != nil:
					m := s.Move(s.Amount, r)
					m.apply(x)
					moves[i] = append(moves[i], m)
				case s.Apply != nil:
					s.Apply(x, s.Amount, r)
				}
			}
		}
		normalise(t.F32[i*size:(i+1)*size], raw, scale, shift, f.Image && set.opts.Layout == NHWC)
	}
	return nil
}

// integers reads size elements per sample; windows of a stream, but for the last of
// every run, from the offset on.
func (l *Loader) integers(c intReader, index []int, offset int, dst []int64, size int) error {
	w, _ := c.(moved)
	for i, at := range index {
		to, err := dst[i*size:(i+1)*size], error(nil)
		if w != nil && offset > 0 && !l.ends[at] {
			err = w.readFrom(at, offset, to)
		} else {
			err = c.readInts(at, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// normalise writes scale·raw + shift per channel; last puts the channels last.
func normalise(dst, raw, scale, shift []float32, last bool) {
	channels := len(scale)
	plane := len(raw) / channels
	for c := range channels {
		k, t := scale[c], shift[c]
		src := raw[c*plane : (c+1)*plane]
		if last {
			for i, v := range src {
				dst[i*channels+c] = k*v + t
			}
			continue
		}
		out := dst[c*plane : (c+1)*plane]
		for i, v := range src {
			out[i] = k*v + t
		}
	}
}

// mix replaces every image by a convex sum with another valid sample of the batch.
func (b *Batch) mix(set *Set, s Step, r *rng.Stream) {
	n := len(b.Index)
	b.Partner, b.Lambda = make([]int, n), make([]float32, n)
	copy(b.Partner, r.Perm(b.Valid))
	for i := range n {
		if i >= b.Valid {
			b.Partner[i] = i
		}
		b.Lambda[i] = float32(s.Lambda(s.Amount, r))
	}
	for k, f := range set.Fields {
		if !f.Image {
			continue
		}
		x := b.Inputs[k].F32
		size := len(x) / n
		out := make([]float32, len(x))
		for i := range n {
			w := b.Lambda[i]
			own, other, dst := x[i*size:(i+1)*size], x[b.Partner[i]*size:(b.Partner[i]+1)*size], out[i*size:(i+1)*size]
			for j := range dst {
				dst[j] = w*own[j] + (1-w)*other[j]
			}
		}
		b.Inputs[k].F32 = out
	}
}

// soften sets the target distribution.
func (b *Batch) soften(classes int) {
	n := len(b.Index)
	b.Soft = prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{n, classes}})
	for i, l := range b.Labels.I64 {
		w, other := float32(1), l
		if b.Lambda != nil {
			w, other = b.Lambda[i], b.Labels.I64[b.Partner[i]]
		}
		b.Soft.F32[i*classes+int(l)] += w
		b.Soft.F32[i*classes+int(other)] += 1 - w
	}
}
