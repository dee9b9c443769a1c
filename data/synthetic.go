package data

import (
	"math"
	"strconv"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// SyntheticOptions describe a made-up image set.
type SyntheticOptions struct {
	Classes     int
	Shape       [3]int // C, H, W
	Train, Test int    // samples
	// Noise is the deviation of the pixel noise, in units where a pixel runs from 0 to 1.
	Noise float64
	Seed  uint64
	// Data holds what applies to any set: normalisation, layout.
	Data Options
}

// Synthetic returns a seeded set with parts "train" and "test". A class is a
// grating of its own direction and frequency at a random phase, so a small
// convolutional network separates the classes and no single pixel does. Pixels
// are bytes and classes alternate.
func Synthetic(o SyntheticOptions) (*Set, error) {
	c, h, w := o.Shape[0], o.Shape[1], o.Shape[2]
	set := &Set{
		Spec:   "synthetic",
		Fields: []Field{{Shape: []int{c, h, w}, DType: prim.F32, Image: true, Bytes: true}},
		opts:   o.Data,
	}
	for k := range o.Classes {
		set.Classes = append(set.Classes, strconv.Itoa(k))
	}
	for _, part := range []struct {
		name string
		n    int
	}{{"train", o.Train}, {"test", o.Test}} {
		if part.n == 0 {
			continue
		}
		r := rng.New(o.Seed, "data/synthetic/"+part.name)
		pixels := make([]byte, 0, part.n*c*h*w)
		p := &Part{Name: part.name}
		for i := range part.n {
			class := i % o.Classes
			p.Labels = append(p.Labels, int64(class))
			angle := math.Pi * float64(class) / float64(o.Classes)
			freq := 2 * math.Pi / (4 + float64(class%2))
			phase := 2 * math.Pi * r.Float64()
			for ch := range c {
				for y := range h {
					for x := range w {
						v := math.Sin(freq*(float64(x)*math.Cos(angle)+float64(y)*math.Sin(angle)) + phase + float64(ch))
						v = 0.5 + 0.35*v + o.Noise*r.NormFloat64()
						pixels = append(pixels, byte(255*min(max(v, 0), 1)+0.5))
					}
				}
			}
		}
		p.columns = []column{byteColumn{pixels, c * h * w}}
		set.Parts = append(set.Parts, p)
	}
	return set, set.finish()
}
