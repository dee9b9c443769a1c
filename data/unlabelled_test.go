package data

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestUnlabelledSamples: samples of class -1 have none and are left out, with a note; a part of
// nothing else is an error.
func TestUnlabelledSamples(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.npz")
	x := Array{Name: "x", Shape: []int{4, 1}, Data: []float32{0, 1, 2, 3}}
	writeNPZ(t, file, x, Array{Name: "labels", Shape: []int{4}, Data: []int64{1, -1, 0, -1}})
	set := must[*Set](t)(Open("npz:"+file, Options{}))
	p := set.Part("train")
	l := must[*Loader](t)(p.All().Loader(LoaderOptions{Batch: 2}))
	defer l.Close()
	b := must[*Batch](t)(l.Next())
	if p.Len() != 2 || b.Inputs[0].F32[0] != 0 || b.Inputs[0].F32[1] != 2 || b.Labels.I64[0] != 1 || b.Labels.I64[1] != 0 || len(set.Classes) != 2 {
		t.Errorf("want samples 0 and 2 of classes 1 and 0, got %d: %v, %v", p.Len(), b.Inputs[0].F32, b.Labels.I64)
	}
	if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], "2 of 4 samples") {
		t.Errorf("want it noted, got %q", set.Notes)
	}
	writeNPZ(t, file, x, Array{Name: "labels", Shape: []int{4}, Data: []int64{-1, -1, -1, -1}})
	wantError(t, "npz:"+file, Options{}, `part "train": every label is -1`)
}

// TestSplitOfFewSamples: where half a sample is a share's due it has one, whatever the classes; of
// fewer the error says how many are wanted.
func TestSplitOfFewSamples(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.npz")
	split := func(n int) ([]View, error) {
		labels := make([]int64, n)
		for i := range labels {
			labels[i] = int64(i)
		}
		writeNPZ(t, file, Array{Name: "x", Shape: []int{n, 1}, Data: make([]float32, n)}, Array{Name: "labels", Shape: []int{n}, Data: labels})
		set := must[*Set](t)(Open("npz:"+file, Options{}))
		return set.Part("train").All().Split(1, Share{"weights", 0.45}, Share{"alpha", 0.45}, Share{"val", 0.1})
	}
	for n := 5; n < 12; n++ {
		parts, err := split(n)
		if err != nil {
			t.Fatalf("%d samples: %v", n, err)
		}
		seen := map[int]bool{}
		for _, v := range parts {
			for _, i := range v.Index {
				if seen[i] {
					t.Errorf("%d samples: %d is dealt twice", n, i)
				}
				seen[i] = true
			}
		}
	}
	if _, err := split(4); err == nil || !strings.Contains(err.Error(), `split "val": 0.1 of 4 samples is none: want at least 5 samples`) {
		t.Errorf("want the samples that it takes, got %v", err)
	}
}
