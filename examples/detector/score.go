package main

import (
	"fmt"
	"slices"
	"sort"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/ir"
)

// found is a box of an image with the score that it was given.
type found struct {
	image int
	box   box
	score float64
}

// Of what a model gives, boxes of at least this score count, and of those that overlap by
// more than this one.
const (
	leastScore  = 0.05
	mostOverlap = 0.4
)

// score returns the average precision, 0…1, of a model's boxes on 400 images that no training
// saw: a box is right when it overlaps one that was drawn by half.
func score(path string) (float64, error) {
	m, err := entangle.Import(path)
	if err != nil {
		return 0, err
	}
	s, err := native.New(cpu.New(cpu.Options{}), native.Options{Float: prim.F32}).Open(runtimes.Source{Path: path, Model: m.Normal})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	scenes := draw(99, 400)
	var all []found
	const batch = 50
	for first := 0; first < len(scenes); first += batch {
		var pixels []float32
		for _, x := range scenes[first : first+batch] {
			pixels = append(pixels, x.pixels...)
		}
		out, err := s.Run(map[string]*ir.Tensor{"image": ir.NewFloat32("image", []int{batch, 1, side, side}, pixels)})
		if err != nil {
			return 0, err
		}
		boxes, scores, err := outputs(out, batch)
		if err != nil {
			return 0, err
		}
		for i := range batch {
			all = append(all, decode(first+i, boxes[i*4*cells*cells:][:4*cells*cells], scores[i*cells*cells:][:cells*cells])...)
		}
	}
	return precision(all, scenes), nil
}

func outputs(out map[string]*ir.Tensor, batch int) (boxes, scores []float32, err error) {
	for _, x := range []struct {
		name string
		to   *[]float32
		dims []int
	}{{"boxes", &boxes, []int{batch, 4, cells, cells}}, {"scores", &scores, []int{batch, 1, cells, cells}}} {
		t := out[x.name]
		if t == nil || !slices.Equal(t.Dims, x.dims) {
			return nil, nil, fmt.Errorf("want an output %q of %v", x.name, x.dims)
		}
		if *x.to, err = t.Float32s(); err != nil {
			return nil, nil, err
		}
	}
	return boxes, scores, nil
}

// decode turns a model's outputs for one image into boxes, without those that a better one
// overlaps.
func decode(image int, boxes, scores []float32) []found {
	var all []found
	for row := range cells {
		for col := range cells {
			at := row*cells + col
			of := func(k int) float64 { return float64(boxes[k*cells*cells+at]) }
			b := box{(float64(col) + 0.5 + of(0)) * cell, (float64(row) + 0.5 + of(1)) * cell, of(2) * unit, of(3) * unit}
			if s := float64(scores[at]); s >= leastScore && b.w > 0 && b.h > 0 {
				all = append(all, found{image, b, s})
			}
		}
	}
	sort.SliceStable(all, func(i, k int) bool { return all[i].score > all[k].score })
	var kept []found
	for _, f := range all {
		if !slices.ContainsFunc(kept, func(k found) bool { return overlap(k.box, f.box) > mostOverlap }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// precision returns the area under the curve of precision over recall, where precision is the
// best at any recall as high.
func precision(all []found, scenes []scene) float64 {
	sort.SliceStable(all, func(i, k int) bool { return all[i].score > all[k].score })
	total, hits := 0, 0
	taken := make([][]bool, len(scenes))
	for i, s := range scenes {
		total += len(s.boxes)
		taken[i] = make([]bool, len(s.boxes))
	}
	var right []bool
	var at []float64 // precision after each
	for _, f := range all {
		best, most := -1, 0.5
		for k, b := range scenes[f.image].boxes {
			if o := overlap(b, f.box); o >= most && !taken[f.image][k] {
				best, most = k, o
			}
		}
		if best >= 0 {
			taken[f.image][best] = true
			hits++
		}
		right, at = append(right, best >= 0), append(at, float64(hits)/float64(len(at)+1))
	}
	sum := 0.0
	for i := len(at) - 1; i >= 0; i-- {
		if i+1 < len(at) {
			at[i] = max(at[i], at[i+1])
		}
		if right[i] {
			sum += at[i]
		}
	}
	return sum / float64(total)
}
