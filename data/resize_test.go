package data

import (
	"image"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/image/draw"

	"github.com/entangle-nas/entangle/internal/rng"
)

// TestResizeMatchesTheImageLibrary compares with the library that folder uses, up
// to its rounding to whole pixel values.
func TestResizeMatchesTheImageLibrary(t *testing.T) {
	r := rng.New(1, "test/resize")
	for _, c := range [][4]int{{8, 8, 12, 12}, {16, 16, 5, 5}, {9, 14, 6, 6}, {14, 9, 20, 10}, {7, 7, 7, 3}} {
		h, w, height, width := c[0], c[1], c[2], c[3]
		pixels := make([]byte, h*w)
		gray := image.NewGray(image.Rect(0, 0, w, h))
		for i := range pixels {
			pixels[i] = byte(r.IntN(256))
			gray.SetGray(i%w, i/w, color.Gray{pixels[i]})
		}
		path := filepath.Join(t.TempDir(), "x.npz")
		writeNPZ(t, path, Array{Name: "x", Shape: []int{1, 1, h, w}, Data: pixels})
		set := must[*Set](t)(Open("npz:"+path, Options{Resize: [2]int{height, width}, Scale: ScaleRaw}))
		if !slices.Equal(set.Shape(), []int{1, height, width}) {
			t.Fatalf("shape: got %v", set.Shape())
		}
		l := must[*Loader](t)(set.Part("train").All().Loader(LoaderOptions{Batch: 1}))
		got := must[*Batch](t)(l.Next()).Inputs[0].F32
		l.Close()

		ch, cw := centred(h, w, height, width)
		y0, x0 := (h-ch)/2, (w-cw)/2
		want := image.NewGray(image.Rect(0, 0, width, height))
		draw.BiLinear.Scale(want, want.Bounds(), gray.SubImage(image.Rect(x0, y0, x0+cw, y0+ch)), image.Rect(x0, y0, x0+cw, y0+ch), draw.Src, nil)
		for i, v := range got {
			if d := math.Abs(float64(v) - float64(want.Pix[i])); d > 1.01 {
				t.Errorf("%v: element %d: want %d, got %v", c, i, want.Pix[i], v)
			}
		}
	}
}

func TestResizeKeepsPlainImages(t *testing.T) {
	set := synthetic(t, SyntheticOptions{Shape: [3]int{2, 6, 5}, Data: Options{Resize: [2]int{13, 13}, Limit: 4}})
	for i := range set.Part("train").columns {
		c := set.Part("train").columns[i].(picked).column.(scaled)
		flat := scaled{floatColumn{slices.Repeat([]float32{3}, 60), 60}, c.channels, c.height, c.width, c.rows, c.cols}
		out := make([]float32, 2*13*13)
		if err := flat.read(0, out); err != nil {
			t.Fatal(err)
		}
		for _, v := range out {
			if math.Abs(float64(v)-3) > 1e-5 {
				t.Fatalf("want a plain image to stay plain, got %v", v)
			}
		}
	}
	if _, err := Synthetic(SyntheticOptions{Classes: 2, Shape: [3]int{1, 4, 4}, Train: 4, Data: Options{Resize: [2]int{-1, 3}}}); err == nil {
		t.Error("want an error for a negative size")
	}
}
