package main

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/ir"
)

// box is a rectangle by its corners, in shares of the image, with its score.
type box struct{ left, top, right, bottom, score float64 }

// As in the code that UltraFace comes with, but for the score, which is 0.7 there.
const (
	leastScore  = 0.5
	mostOverlap = 0.3
)

// agree returns twice the boxes that both models find over all that either finds, in n images
// that no training saw. A box is found when one of the other's overlaps it by half. A pair
// without a box at all is an error.
func agree(original, model string, n int) (float64, error) {
	var all [2][][]box
	for i, path := range []string{original, model} {
		var err error
		if all[i], err = find(path, n); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
	}
	both, either := 0, 0
	for i := range n {
		b, e := match(all[0][i], all[1][i])
		both, either = both+b, either+e
	}
	if either == 0 {
		return 0, fmt.Errorf("no box of a score of %g in %d images", leastScore, n)
	}
	return 2 * float64(both) / float64(either), nil
}

// match counts pairs of boxes, the best of each first, and all boxes.
func match(a, b []box) (both, either int) {
	taken := make([]bool, len(b))
	for _, x := range a {
		best, most := -1, 0.5
		for k, y := range b {
			if o := overlap(x, y); o >= most && !taken[k] {
				best, most = k, o
			}
		}
		if best >= 0 {
			taken[best] = true
			both++
		}
	}
	return both, len(a) + len(b)
}

// find returns the boxes that a model finds in each image.
func find(path string, n int) ([][]box, error) {
	m, err := entangle.Import(path)
	if err != nil {
		return nil, err
	}
	s, err := native.New(cpu.New(cpu.Options{}), native.Options{Float: prim.F32}).Open(runtimes.Source{Path: path, Model: m.Normal})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(99, 0))
	out := make([][]box, n)
	for i := range out {
		got, err := s.Run(map[string]*ir.Tensor{"input": ir.NewFloat32("input", []int{1, 3, height, width}, pixels(draw(r)))})
		if err != nil {
			return nil, err
		}
		scores, boxes := got["scores"], got["boxes"]
		if scores == nil || boxes == nil || len(scores.Dims) != 3 || scores.Dims[2] != 2 || !slices.Equal(boxes.Dims, []int{1, scores.Dims[1], 4}) {
			return nil, fmt.Errorf(`want outputs "scores" [1, n, 2] and "boxes" [1, n, 4]`)
		}
		p, err := scores.Float32s()
		if err != nil {
			return nil, err
		}
		b, err := boxes.Float32s()
		if err != nil {
			return nil, err
		}
		out[i] = decode(p, b)
	}
	return out, nil
}

// pixels is what the model takes: [3, height, width], from −1 to 1.
func pixels(m *image.RGBA) []float32 {
	out := make([]float32, 3*height*width)
	for at := range height * width {
		for c := range 3 {
			out[c*height*width+at] = (float32(m.Pix[4*at+c]) - 127) / 128
		}
	}
	return out
}

// decode takes the boxes of n anchors, [n, 4], by their scores, [n, 2], without those that a
// better one overlaps.
func decode(scores, boxes []float32) []box {
	var all, kept []box
	for i := range len(scores) / 2 {
		if s := float64(scores[2*i+1]); s >= leastScore {
			of := func(k int) float64 { return float64(boxes[4*i+k]) }
			all = append(all, box{of(0), of(1), of(2), of(3), s})
		}
	}
	sort.SliceStable(all, func(i, k int) bool { return all[i].score > all[k].score })
	for _, b := range all {
		if !slices.ContainsFunc(kept, func(k box) bool { return overlap(k, b) > mostOverlap }) {
			kept = append(kept, b)
		}
	}
	return kept
}

// overlap is intersection over union.
func overlap(a, b box) float64 {
	area := func(x box) float64 { return max(0, x.right-x.left) * max(0, x.bottom-x.top) }
	both := area(box{max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom), 0})
	if both == 0 {
		return 0
	}
	return both / (area(a) + area(b) - both)
}
