package main

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
)

// Sizes of images in pixels.
const (
	width  = 320
	height = 240
)

type rgb [3]float64

// canvas is an image that soft shapes are laid on.
type canvas [height][width]rgb

// blob lays an ellipse of half axes w and h on, turned by an angle, with an edge of so many
// pixels.
func (c *canvas) blob(x, y, w, h, angle, edge float64, ink rgb) {
	sin, cos := math.Sin(angle), math.Cos(angle)
	most := int(max(w, h) + edge + 1)
	for py := max(0, int(y)-most); py < min(height, int(y)+most); py++ {
		for px := max(0, int(x)-most); px < min(width, int(x)+most); px++ {
			dx, dy := float64(px)-x, float64(py)-y
			u, v := (cos*dx+sin*dy)/w, (cos*dy-sin*dx)/h
			a := min(1, max(0, (1-math.Hypot(u, v))*min(w, h)/edge+0.5))
			for k := range 3 {
				c[py][px][k] += a * (ink[k] - c[py][px][k])
			}
		}
	}
}

func shade(c rgb, by float64) rgb { return rgb{c[0] * by, c[1] * by, c[2] * by} }

// face draws hair, skin in light and shadow, eyes, brows, nose and mouth.
func (c *canvas) face(r *rand.Rand, x, y, size float64) {
	tone := 0.45 + 0.55*r.Float64()
	skin := rgb{235 * tone, 190 * tone, 160 * tone}
	hair := shade(rgb{90, 65, 45}, 0.2+1.2*r.Float64())
	tilt := 0.25 * (r.Float64() - 0.5)
	sin, cos := math.Sin(tilt), math.Cos(tilt)
	at := func(u, v float64) (float64, float64) { return x + size*(cos*u-sin*v), y + size*(sin*u+cos*v) }
	soft := max(1, size*0.06)
	part := func(u, v, w, h float64, ink rgb) {
		px, py := at(u, v)
		c.blob(px, py, w*size, h*size, tilt, soft, ink)
	}
	part(0, 1.35, 1.5, 0.6, shade(rgb{255, 255, 255}, r.Float64()))
	part(0, 0.95, 0.45, 0.5, shade(skin, 0.8))
	part(0, -0.25, 0.95, 1.05, hair)
	part(0, 0, 0.78, 1, skin)
	part(0.3, 0.1, 0.45, 0.8, shade(skin, 0.93))
	part(-0.25, -0.15, 0.4, 0.6, shade(skin, 1.05))
	part(0, -0.78, 0.7, 0.3, hair)
	turn := 0.12 * (r.Float64() - 0.5)
	for _, s := range []float64{-1, 1} {
		eye := turn + s*0.32
		part(eye, -0.14, 0.2, 0.12, shade(skin, 0.72))
		part(eye, -0.12, 0.14, 0.07, rgb{225, 222, 218})
		part(eye, -0.12, 0.065, 0.075, rgb{45, 32, 25})
		part(eye, -0.3, 0.2, 0.05, hair)
		part(turn+s*0.08, 0.26, 0.05, 0.04, shade(skin, 0.5))
	}
	part(turn, 0.05, 0.07, 0.22, shade(skin, 1.08))
	part(turn, 0.23, 0.14, 0.08, shade(skin, 0.85))
	part(turn, 0.5, 0.27, 0.085+0.05*r.Float64(), shade(rgb{190, 95, 90}, 0.5+0.5*tone))
	part(turn, 0.5, 0.25, 0.02, rgb{90, 35, 35})
	part(turn, 0.64, 0.2, 0.05, shade(skin, 0.84))
}

// draw lays one to four faces of different sizes, and what is none, on a shaded ground.
func draw(r *rand.Rand) *image.RGBA {
	c := new(canvas)
	any := func() rgb { return rgb{255 * r.Float64(), 255 * r.Float64(), 255 * r.Float64()} }
	from, to := any(), any()
	for y := range height {
		for x := range width {
			s := float64(x+2*y) / (width + 2*height)
			for k := range 3 {
				c[y][x][k] = from[k] + s*(to[k]-from[k])
			}
		}
	}
	for range 4 + r.IntN(10) {
		c.blob(width*r.Float64(), height*r.Float64(), 5+50*r.Float64(), 5+50*r.Float64(), 3*r.Float64(), 1+10*r.Float64(), any())
	}
	for range 1 + r.IntN(4) {
		size := 14 + 40*r.Float64()*r.Float64()
		c.face(r, size+(width-2*size)*r.Float64(), size+(height-2.2*size)*r.Float64(), size)
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	noise := 8 * r.Float64()
	for y := range height {
		for x := range width {
			var v [3]uint8
			for k := range 3 {
				v[k] = uint8(min(255, max(0, c[y][x][k]+noise*r.NormFloat64())))
			}
			out.SetRGBA(x, y, color.RGBA{v[0], v[1], v[2], 255})
		}
	}
	return out
}
