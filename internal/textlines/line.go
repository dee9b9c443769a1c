package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/entangle-nas/entangle/internal/rng"
)

// Sizes of an image in pixels.
const (
	minHeight = 24
	minWidth  = 48
	maxSide   = 4096
	margin    = 4 // free on the left and the right
)

// Sizes of the letters as shares of the image's height.
const (
	smallest = 0.45
	tallest  = 0.68
	sizes    = 8 // steps between them
)

// maxTries bounds how often a word that does not fit is drawn again.
const maxTries = 1000

// writer draws lines of consecutive words.
type writer struct {
	height, width int
	words         []string
	faces         []font.Face
	draw          *rng.Stream
}

func newWriter(height, width int, words []string, draw *rng.Stream) (*writer, error) {
	w := &writer{height: height, width: width, words: words, draw: draw}
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gomedium.TTF, gomono.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("textlines: font: %w", err)
		}
		for k := range sizes {
			share := smallest + (tallest-smallest)*float64(k)/(sizes-1)
			face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: share * float64(height), DPI: 72, Hinting: font.HintingNone})
			if err != nil {
				return nil, fmt.Errorf("textlines: font: %w", err)
			}
			w.faces = append(w.faces, face)
		}
	}
	return w, nil
}

// line draws the next image and returns it with its text: as many words as fit.
func (w *writer) line() (*image.RGBA, string, error) {
	room := fixed.I(w.width - 2*margin)
	for range maxTries {
		face, at := w.faces[w.draw.IntN(len(w.faces))], w.draw.IntN(len(w.words))
		text := w.words[at]
		if font.MeasureString(face, text) > room {
			continue
		}
		for most := w.draw.IntN(4); most > 0 && at+1 < len(w.words); most-- {
			at++
			longer := text + " " + w.words[at]
			if font.MeasureString(face, longer) > room {
				break
			}
			text = longer
		}
		return w.paint(face, text), text, nil
	}
	return nil, "", errors.New("textlines: no word fits the width: want wider images")
}

// paint lays text on a plain ground and adds noise.
func (w *writer) paint(face font.Face, text string) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w.width, w.height))
	ground, ink := w.colour(170, 255), w.colour(0, 90)
	if w.draw.Float64() < 0.2 {
		ground, ink = ink, ground
	}
	for y := range w.height {
		for x := range w.width {
			img.SetRGBA(x, y, ground)
		}
	}
	m := face.Metrics()
	spare := (fixed.I(w.width-2*margin) - font.MeasureString(face, text)).Floor()
	lift := w.draw.IntN(5) - 2
	dot := fixed.Point26_6{
		X: fixed.I(margin + w.draw.IntN(min(spare, 3*margin)+1)),
		Y: (fixed.I(w.height)+m.Ascent-m.Descent)/2 + fixed.I(lift),
	}
	pen := font.Drawer{Dst: img, Src: image.NewUniform(ink), Face: face, Dot: dot}
	pen.DrawString(text)
	deviation := 10 * w.draw.Float64()
	for i := range img.Pix {
		if i%4 != 3 {
			img.Pix[i] = uint8(max(0, min(255, float64(img.Pix[i])+deviation*w.draw.NormFloat64())))
		}
	}
	return img
}

// colour draws a grey from low to high and tints it a little.
func (w *writer) colour(low, high int) color.RGBA {
	grey := low + w.draw.IntN(high-low+1)
	part := func() uint8 { return uint8(max(0, min(255, grey+w.draw.IntN(41)-20))) }
	return color.RGBA{part(), part(), part(), 255}
}
