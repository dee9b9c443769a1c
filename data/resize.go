package data

import (
	"fmt"
	"math"
	"slices"
)

// resize makes every image field of s have the size of Options.Resize, as folder
// does it: the largest centred rectangle of the wanted aspect ratio, scaled with a
// triangle filter that widens when shrinking. Samples are scaled when they are read.
func (s *Set) resize() error {
	h, w := s.opts.Resize[0], s.opts.Resize[1]
	if h == 0 && w == 0 {
		return nil
	}
	if h < 1 || w < 1 || h > 1<<15 || w > 1<<15 {
		return fmt.Errorf("resize: want a height and a width from 1 to %d, got %d×%d", 1<<15, h, w)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Image || f.Shape[1] == h && f.Shape[2] == w {
			continue
		}
		c := scaled{channels: f.Shape[0], height: f.Shape[1], width: f.Shape[2]}
		ch, cw := centred(c.height, c.width, h, w)
		c.rows = filter(float64(c.height-ch)/2, ch, c.height, h)
		c.cols = filter(float64(c.width-cw)/2, cw, c.width, w)
		if len(s.LabelShape) == 2 && slices.Equal(s.LabelShape, f.Shape[1:]) {
			s.resizeMasks(h, w)
		}
		f.Shape = []int{c.channels, h, w}
		for _, p := range s.Parts {
			c.column = p.columns[i]
			p.columns[i] = c
		}
	}
	return nil
}

// resizeMasks brings labels of the image's size to that of its new one, by the nearest positions.
func (s *Set) resizeMasks(h, w int) {
	for _, p := range s.Parts {
		if p.targets != nil {
			p.targets = scaledMasks{p.targets, s.LabelShape[0], s.LabelShape[1], h, w}
		}
	}
	s.LabelShape = []int{h, w}
}

// scaledMasks is a column [height, width] seen at the size h×w.
type scaledMasks struct {
	column
	height, width, h, w int
}

func (c scaledMasks) read(i int, dst []float32) error {
	src := make([]float32, c.height*c.width)
	err := c.column.read(i, src)
	copy(dst, nearest(src, c.height, c.width, c.h, c.w))
	return err
}

func (c scaledMasks) readInts(i int, dst []int64) error {
	src := make([]int64, c.height*c.width)
	err := c.column.(intReader).readInts(i, src)
	copy(dst, nearest(src, c.height, c.width, c.h, c.w))
	return err
}

// centred returns the height and width of the largest rectangle within h×w that
// has the aspect ratio of height×width.
func centred(h, w, height, width int) (int, int) {
	if w*height > h*width {
		return h, max((h*width+height/2)/height, 1)
	}
	return max((w*height+width/2)/width, 1), w
}

// tap is the weights of one output position over source positions from first on.
type tap struct {
	first   int
	weights []float32
}

// filter returns the taps that scale the n positions from start on, of size in
// all, to out positions.
func filter(start float64, n, size, out int) []tap {
	scale := float64(n) / float64(out)
	support := max(scale, 1)
	taps := make([]tap, out)
	for i := range taps {
		centre := math.Floor(start) + (float64(i)+0.5)*scale - 0.5
		lo := max(int(math.Ceil(centre-support)), int(math.Floor(start)))
		hi := min(int(math.Floor(centre+support)), int(math.Floor(start))+n-1, size-1)
		var sum float32
		t := tap{first: lo}
		for k := lo; k <= hi; k++ {
			v := float32(max(1-math.Abs(float64(k)-centre)/support, 0))
			t.weights = append(t.weights, v)
			sum += v
		}
		for k := range t.weights {
			t.weights[k] /= sum
		}
		taps[i] = t
	}
	return taps
}

// scaled is an image column seen at another size.
type scaled struct {
	column
	channels, height, width int
	rows, cols              []tap
}

func (c scaled) read(i int, dst []float32) error {
	src := make([]float32, c.channels*c.height*c.width)
	if err := c.column.read(i, src); err != nil {
		return err
	}
	h, w := len(c.rows), len(c.cols)
	lines := make([]float32, c.height*w)
	for ch := range c.channels {
		plane, out := src[ch*c.height*c.width:], dst[ch*h*w:(ch+1)*h*w]
		for y := range c.height {
			row := plane[y*c.width:]
			for x, t := range c.cols {
				var v float32
				for k, m := range t.weights {
					v += m * row[t.first+k]
				}
				lines[y*w+x] = v
			}
		}
		for y, t := range c.rows {
			line := out[y*w : (y+1)*w]
			clear(line)
			for k, m := range t.weights {
				for x, v := range lines[(t.first+k)*w : (t.first+k+1)*w] {
					line[x] += m * v
				}
			}
		}
	}
	return nil
}
