package main

import (
	"bytes"
	"image"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

var sample = strings.Fields("Once upon a time there was a small cat who liked to count stars, and a dog.")

func lines(t *testing.T, seed uint64, n int) (images []*image.RGBA, texts []string) {
	t.Helper()
	w, err := newWriter(48, 128, sample, rng.New(seed, "test"))
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		img, text, err := w.line()
		if err != nil {
			t.Fatal(err)
		}
		images, texts = append(images, img), append(texts, text)
	}
	return images, texts
}

// TestLine: the ink stands out from the ground and stays within the margins; the
// text is a run of the sample's words.
func TestLine(t *testing.T) {
	images, texts := lines(t, 1, 40)
	longest := 0
	for i, img := range images {
		if img.Bounds() != image.Rect(0, 0, 128, 48) {
			t.Fatalf("image %d: want 128×48, got %v", i, img.Bounds())
		}
		ground := int(img.Pix[0])
		inked := func(x0, x1 int) (n int) {
			for x := x0; x < x1; x++ {
				for y := range 48 {
					if d := int(img.RGBAAt(x, y).R) - ground; d > 60 || d < -60 {
						n++
					}
				}
			}
			return n
		}
		if n := inked(0, 128); n < 20 {
			t.Errorf("image %d (%q): %d pixels of ink", i, texts[i], n)
		}
		if n := inked(126, 128); n > 0 {
			t.Errorf("image %d (%q): %d pixels of ink at the right edge", i, texts[i], n)
		}
		if !strings.Contains(strings.Join(sample, " "), texts[i]) {
			t.Errorf("image %d: %q is no run of the words", i, texts[i])
		}
		longest = max(longest, len(strings.Fields(texts[i])))
	}
	if longest < 2 {
		t.Error("no line has two words")
	}
}

// TestSameSeed: a seed gives the same lines, another one others.
func TestSameSeed(t *testing.T) {
	a, x := lines(t, 1, 5)
	b, y := lines(t, 1, 5)
	_, z := lines(t, 2, 5)
	for i := range a {
		if !bytes.Equal(a[i].Pix, b[i].Pix) {
			t.Errorf("image %d differs", i)
		}
	}
	if !slices.Equal(x, y) || slices.Equal(x, z) {
		t.Errorf("texts %q, %q, other seed %q", x, y, z)
	}
}

// TestNothingFits: words wider than the image are an error, not an endless search.
func TestNothingFits(t *testing.T) {
	w, err := newWriter(48, 48, []string{"incomprehensibilities"}, rng.New(1, "test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.line(); err == nil {
		t.Error("want an error")
	}
}
