package data

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// Move says where the pixels of an image come from: pixel (y, x) is what was at
// (y+DY, x+DX), black where that is outside. Flip mirrors left and right before.
type Move struct {
	Flip   bool
	DY, DX int
}

// apply moves the pixels of x.
func (m Move) apply(x *Image) {
	if m.Flip {
		for row := 0; row < len(x.Pix); row += x.W {
			slices.Reverse(x.Pix[row : row+x.W])
		}
	}
	if m.DY == 0 && m.DX == 0 {
		return
	}
	old := make([]float32, x.H*x.W)
	for c := range x.C {
		plane := x.Pix[c*x.H*x.W : (c+1)*x.H*x.W]
		copy(old, plane)
		clear(plane)
		x0, x1 := max(0, -m.DX), min(x.W, x.W-m.DX)
		for y := max(0, -m.DY); y < min(x.H, x.H-m.DY) && x0 < x1; y++ {
			copy(plane[y*x.W+x0:y*x.W+x1], old[(y+m.DY)*x.W+x0+m.DX:(y+m.DY)*x.W+x1+m.DX])
		}
	}
}

// applyMask moves the classes of a mask of that width; what comes in has none.
func (m Move) applyMask(mask []int64, width int) {
	if m.Flip {
		for row := 0; row < len(mask); row += width {
			slices.Reverse(mask[row : row+width])
		}
	}
	if m.DY == 0 && m.DX == 0 {
		return
	}
	old, height := slices.Clone(mask), len(mask)/width
	for i := range mask {
		mask[i] = -1
		if y, x := i/width+m.DY, i%width+m.DX; y >= 0 && y < height && x >= 0 && x < width {
			mask[i] = old[y*width+x]
		}
	}
}

// spatial reports whether labels are masks of the size of the only image, which move with it.
func (s *Set) spatial() bool {
	at := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Image })
	if at < 0 || s.FloatLabels || slices.ContainsFunc(s.Fields[at+1:], func(f Field) bool { return f.Image }) {
		return false
	}
	return slices.Equal(s.LabelShape, s.Fields[at].Shape[1:])
}

// CheckAugment reports augmentations that labels would not follow: those that mix samples,
// where labels are no class, and those that change images where labels may say something of
// positions: several floats, and integers of two axes or more. Masks of the size of the image
// move with it.
func (s *Set) CheckAugment(steps []Step) error {
	if s.LabelShape == nil {
		return nil
	}
	placed := len(s.LabelShape) > 1 || s.FloatLabels && prim.Prod(s.LabelShape) > 1
	placed = placed && slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Image })
	for _, a := range steps {
		switch {
		case a.Lambda != nil:
			return fmt.Errorf("data: augmentation %q mixes samples: want labels that are one class, got %s: leave it out", a.Name, labelKind(s.LabelShape, s.FloatLabels))
		case placed && !(a.Move != nil && s.spatial()):
			return fmt.Errorf("data: augmentation %q changes images: labels, %s, do not follow: leave it out (augment none)", a.Name, labelKind(s.LabelShape, s.FloatLabels))
		}
	}
	return nil
}

// moving makes an augmentation of one that only moves pixels.
func moving(a Augment) Augment {
	a.Apply = func(x *Image, amount float64, r *rng.Stream) { a.Move(amount, r).apply(x) }
	return a
}

// Movable reports why batches of the part under the augmentations cannot be made of
// the part's own samples by moves, nil when they can: samples must be one image each,
// and augmentations must move pixels.
func (p *Part) Movable(steps []Step) error {
	if f := p.set.Fields; len(f) != 1 || !f[0].Image || p.targets != nil {
		return fmt.Errorf("data: %q: want samples that are one image each", p.set.Spec)
	}
	for _, s := range steps {
		if s.Move == nil {
			return fmt.Errorf("data: augmentation %q does more than move pixels", s.Name)
		}
	}
	return nil
}

// Whole returns every sample of a part that is Movable, as batches without
// augmentation hold them, and the values per channel of what is black.
func (p *Part) Whole() (samples *prim.Tensor, black []float32, err error) {
	v, f := p.All(), p.set.Fields[0]
	l, err := v.Loader(LoaderOptions{Batch: p.n, Name: "whole"})
	if err != nil {
		return nil, nil, err
	}
	samples = prim.NewTensor(p.set.BatchType(0, p.n))
	if err := l.fill(samples, f, p.columns[0], v.Index, 0, nil, nil); err != nil {
		return nil, nil, err
	}
	scale, shift, _ := p.set.normal(f)
	for c, k := range scale {
		black = append(black, k*0+shift[c])
	}
	return samples, black, nil
}

// Last reports whether images have their channels behind rows and columns.
func (p *Part) Last() bool { return p.set.opts.Layout == NHWC }

// draw takes the moves of n samples in place of their pixels.
func (l *Loader) draw(n int, r *rng.Stream) [][]Move {
	out := make([][]Move, n)
	for i := range out {
		for _, s := range l.o.Augment {
			out[i] = append(out[i], s.Move(s.Amount, r))
		}
	}
	return out
}
