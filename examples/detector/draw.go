package main

import "math/rand/v2"

// Sizes in pixels: a cell of the grid predicts the box whose centre lies in it.
const (
	side  = 32
	cell  = 8
	cells = side / cell
	unit  = 16.0 // of widths and heights
)

// box is a rectangle, by its centre and its size in pixels.
type box struct{ x, y, w, h float64 }

// scene is an image with what is on it.
type scene struct {
	pixels []float32 // [side, side]
	boxes  []box
}

// draw returns images of one to three rectangles on noise, no two centres in one cell. The
// same seed draws the same images.
func draw(seed uint64, n int) []scene {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]scene, n)
	for i := range out {
		s := scene{pixels: make([]float32, side*side)}
		for k := range s.pixels {
			s.pixels[k] = float32(0.2 * r.NormFloat64())
		}
		taken := map[[2]int]bool{}
		for range 1 + r.IntN(3) {
			w, h := 6+r.IntN(11), 6+r.IntN(11)
			left, top := r.IntN(side-w+1), r.IntN(side-h+1)
			b := box{float64(left) + float64(w)/2, float64(top) + float64(h)/2, float64(w), float64(h)}
			at := [2]int{int(b.x) / cell, int(b.y) / cell}
			if taken[at] || covered(s.boxes, b) {
				continue
			}
			taken[at] = true
			light := float32(0.6 + 0.8*r.Float64())
			for y := top; y < top+h; y++ {
				for x := left; x < left+w; x++ {
					s.pixels[y*side+x] += light
				}
			}
			s.boxes = append(s.boxes, b)
		}
		out[i] = s
	}
	return out
}

// covered reports whether a box overlaps one of the others by much.
func covered(boxes []box, b box) bool {
	for _, o := range boxes {
		if overlap(o, b) > 0.1 {
			return true
		}
	}
	return false
}

// overlap is intersection over union.
func overlap(a, b box) float64 {
	w := min(a.x+a.w/2, b.x+b.w/2) - max(a.x-a.w/2, b.x-b.w/2)
	h := min(a.y+a.h/2, b.y+b.h/2) - max(a.y-a.h/2, b.y-b.h/2)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.w*a.h + b.w*b.h - w*h)
}

// targets returns what a perfect detector gives: boxes [4, cells, cells], centres from the
// middle of the cell and sizes in units, 0 where there is none, and scores [1, cells, cells].
func targets(s scene) (boxes, scores []float32) {
	boxes, scores = make([]float32, 4*cells*cells), make([]float32, cells*cells)
	for _, b := range s.boxes {
		col, row := int(b.x)/cell, int(b.y)/cell
		at := row*cells + col
		scores[at] = 1
		for k, v := range []float64{b.x/cell - float64(col) - 0.5, b.y/cell - float64(row) - 0.5, b.w / unit, b.h / unit} {
			boxes[k*cells*cells+at] = float32(v)
		}
	}
	return boxes, scores
}
