package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/internal/testenv"
)

// TestDrawIsSeeded: the same seed draws the same image.
func TestDrawIsSeeded(t *testing.T) {
	a, b := draw(rand.New(rand.NewPCG(5, 0))), draw(rand.New(rand.NewPCG(5, 0)))
	if !bytes.Equal(a.Pix, b.Pix) || bytes.Equal(a.Pix, draw(rand.New(rand.NewPCG(6, 0))).Pix) {
		t.Error("want the same image again, and another of another seed")
	}
}

func TestDecode(t *testing.T) {
	// Of three anchors the second overlaps the first, and is worse; the third has no face.
	got := decode([]float32{0.1, 0.9, 0.2, 0.8, 0.9, 0.1}, []float32{0, 0, 0.4, 0.4, 0, 0, 0.4, 0.5, 0.6, 0.6, 0.9, 0.9})
	if len(got) != 1 || math.Abs(got[0].score-0.9) > 1e-6 {
		t.Errorf("want the first box alone, got %v", got)
	}
}

func TestMatch(t *testing.T) {
	here, near, away := box{0, 0, 0.4, 0.4, 1}, box{0, 0, 0.4, 0.3, 1}, box{0.5, 0.5, 0.9, 0.9, 1}
	for _, c := range []struct {
		a, b         []box
		both, either int
	}{{nil, nil, 0, 0}, {[]box{here}, []box{near, away}, 1, 3}, {[]box{here, near}, []box{near}, 1, 3}, {[]box{here}, []box{away}, 0, 2}} {
		if both, either := match(c.a, c.b); both != c.both || either != c.either {
			t.Errorf("%v and %v: want %d of %d, got %d of %d", c.a, c.b, c.both, c.either, both, either)
		}
	}
}

// TestAgree: the published model finds faces in what is drawn, and agrees with itself.
func TestAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a detector on drawn images: skipped by -short")
	}
	dir := testenv.Models(t)
	path := filepath.Join(dir, "ultraface_version-slim-320.onnx")
	if f, err := agree(path, path, 6); err != nil || f != 1 {
		t.Errorf("want an agreement of 1, got %g, %v", f, err)
	}
}
