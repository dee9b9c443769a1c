// Shapes draws images of shapes with a class per pixel, for --data masks:FOLDER: 0 is the
// ground, 1 a disc, 2 a rectangle, 3 a triangle. Of four shapes three are of their class's tint.
//
//	shapes FOLDER     write FOLDER/train and FOLDER/test, each with images/ and masks/
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Of images, in pixels; numbers of a part.
const (
	side  = 48
	train = 1500
	test  = 300
)

func main() {
	err := fmt.Errorf("want FOLDER, got %q", os.Args[1:])
	if len(os.Args) == 2 {
		err = write(os.Args[1], train, test)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shapes:", err)
		os.Exit(1)
	}
}

// write draws so many images of each part. The same numbers give the same files.
func write(dir string, train, test int) error {
	for part, x := range map[string]struct {
		seed uint64
		n    int
	}{"train": {1, train}, "test": {2, test}} {
		for _, sub := range []string{"images", "masks"} {
			if err := os.MkdirAll(filepath.Join(dir, part, sub), 0o777); err != nil {
				return err
			}
		}
		r := rand.New(rand.NewPCG(x.seed, 0))
		for i := range x.n {
			picture, mask := draw(r)
			name := fmt.Sprintf("%04d.png", i)
			if err := save(filepath.Join(dir, part, "images", name), picture); err != nil {
				return err
			}
			if err := save(filepath.Join(dir, part, "masks", name), mask); err != nil {
				return err
			}
		}
	}
	return nil
}

func save(path string, m image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, m); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// draw lays one to four shapes on a shaded ground, later ones over earlier ones, with noise.
func draw(r *rand.Rand) (*image.RGBA, *image.Gray) {
	picture, mask := image.NewRGBA(image.Rect(0, 0, side, side)), image.NewGray(image.Rect(0, 0, side, side))
	var pixels [side][side][3]float64
	ground, slope := tint(r), 60*(r.Float64()-0.5)
	for y := range side {
		for x := range side {
			for c := range 3 {
				pixels[y][x][c] = ground[c] + slope*float64(x+y)/side
			}
		}
	}
	for range 1 + r.IntN(4) {
		class, inside := shape(r)
		ink := tint(r)
		for typical := r.IntN(4) > 0; away(ink, ground) < 60 || typical && !strongest(ink, int(class)-1); {
			ink = tint(r)
		}
		for y := range side {
			for x := range side {
				if inside(float64(x), float64(y)) {
					pixels[y][x] = ink
					mask.SetGray(x, y, color.Gray{Y: class})
				}
			}
		}
	}
	for y := range side {
		for x := range side {
			var v [3]uint8
			for c := range 3 {
				v[c] = uint8(min(255, max(0, pixels[y][x][c]+12*r.NormFloat64())))
			}
			picture.SetRGBA(x, y, color.RGBA{v[0], v[1], v[2], 255})
		}
	}
	return picture, mask
}

func tint(r *rand.Rand) [3]float64 {
	return [3]float64{255 * r.Float64(), 255 * r.Float64(), 255 * r.Float64()}
}

// strongest reports a colour in which one channel outshines the others.
func strongest(c [3]float64, channel int) bool {
	return c[channel] > c[(channel+1)%3]+40 && c[channel] > c[(channel+2)%3]+40
}

func away(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

// shape returns a class and which points are inside, turned by any angle.
func shape(r *rand.Rand) (class uint8, inside func(x, y float64) bool) {
	cx, cy, size, angle := side*r.Float64(), side*r.Float64(), 5+9*r.Float64(), 2*math.Pi*r.Float64()
	sin, cos, ratio := math.Sin(angle), math.Cos(angle), 0.5+0.5*r.Float64()
	class = uint8(1 + r.IntN(3))
	return class, func(x, y float64) bool {
		u, v := cos*(x-cx)+sin*(y-cy), cos*(y-cy)-sin*(x-cx)
		switch class {
		case 1:
			return u*u+v*v < size*size
		case 2:
			return math.Abs(u) < size && math.Abs(v) < size*ratio
		}
		return v > -size*0.6 && 1.7*math.Abs(u)+v < size*1.2
	}
}
