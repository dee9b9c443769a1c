package data

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/rng"
)

// Image is one sample under augmentation, before normalisation.
type Image struct {
	C, H, W int
	Pix     []float32 // [C, H, W]
	// Fill is the value per channel that normalises to 0.
	Fill []float32
}

// Augment is one kind of augmentation, for images.
type Augment struct {
	Name string
	Doc  string
	// Default is the amount used when none is given.
	Default float64
	// Check reports an amount that makes no sense.
	Check func(amount float64) error
	// Apply changes one image in place. Nil for a mixing augmentation.
	Apply func(x *Image, amount float64, r *rng.Stream)
	// Move draws what Apply does, when that is to move pixels. Nil for others.
	Move func(amount float64, r *rng.Stream) Move
	// Lambda draws the weight of a sample against its partner in the batch. Nil for
	// others.
	Lambda func(amount float64, r *rng.Stream) float64
}

// Step is an augmentation with its amount.
type Step struct {
	Augment
	Amount float64
}

// Augments lists the kinds of augmentation.
func Augments() []Augment { return []Augment{flip, crop, cutout, mixup} }

// ParseAugments reads a comma-separated list such as "crop:4,flip,mixup:0.2"; ""
// and "none" give none. Steps apply in the order given; at most one of them may mix.
func ParseAugments(text string) ([]Step, error) {
	var steps []Step
	if text = strings.TrimSpace(text); text == "" || text == "none" {
		return nil, nil
	}
	for _, item := range strings.Split(text, ",") {
		s, err := parseAugment(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, checkSteps(steps)
}

func parseAugment(item string) (Step, error) {
	name, amount, given := strings.Cut(item, ":")
	var names []string
	for _, a := range Augments() {
		if a.Name != name {
			names = append(names, a.Name)
			continue
		}
		s := Step{a, a.Default}
		if given {
			v, err := strconv.ParseFloat(amount, 64)
			if err != nil {
				return Step{}, fmt.Errorf("data: augmentation %q: amount: want a number, got %q", name, amount)
			}
			s.Amount = v
		}
		if err := a.Check(s.Amount); err != nil {
			return Step{}, fmt.Errorf("data: augmentation %q: %w", name, err)
		}
		return s, nil
	}
	return Step{}, fmt.Errorf("data: augmentation: want one of %s, got %q", strings.Join(names, ", "), name)
}

func checkSteps(steps []Step) error {
	mixing := 0
	for _, s := range steps {
		if s.Lambda != nil {
			mixing++
		}
	}
	if mixing > 1 {
		return errors.New("data: augmentation: want at most one that mixes samples")
	}
	return nil
}

// ValidateAugments reports every augmentation that is incomplete or listed twice.
func ValidateAugments(list []Augment) error {
	var errs []error
	seen := map[string]bool{}
	for i, a := range list {
		if a.Name == "" || a.Doc == "" || a.Check == nil || (a.Apply == nil) == (a.Lambda == nil) {
			errs = append(errs, fmt.Errorf("augmentation %d (%q): want Name, Doc, Check and one of Apply and Lambda", i, a.Name))
		} else if err := a.Check(a.Default); err != nil {
			errs = append(errs, fmt.Errorf("augmentation %q: default: %w", a.Name, err))
		}
		if seen[a.Name] {
			errs = append(errs, fmt.Errorf("augmentation %q: listed twice", a.Name))
		}
		seen[a.Name] = true
	}
	return errors.Join(errs...)
}

var flip = moving(Augment{
	Name: "flip", Doc: "mirror left and right with this probability", Default: 0.5,
	Check: func(p float64) error {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("amount: want a probability, got %v", p)
		}
		return nil
	},
	Move: func(p float64, r *rng.Stream) Move { return Move{Flip: r.Float64() < p} },
})

var crop = moving(Augment{
	Name: "crop", Doc: "pad every side by this many black pixels and cut the old size out at random", Default: 4,
	Check: wholePixels,
	Move: func(amount float64, r *rng.Stream) Move {
		pad := int(amount)
		dy := r.IntN(2*pad+1) - pad
		return Move{DY: dy, DX: r.IntN(2*pad+1) - pad}
	},
})

var cutout = Augment{
	Name: "cutout", Doc: "overwrite a square of this side, at a random centre, by the mean (DeVries and Taylor 2017)", Default: 8,
	Check: wholePixels,
	Apply: func(x *Image, amount float64, r *rng.Stream) {
		side := int(amount)
		top, left := r.IntN(x.H)-side/2, r.IntN(x.W)-side/2
		for c := range x.C {
			for y := max(top, 0); y < min(top+side, x.H); y++ {
				for i := max(left, 0); i < min(left+side, x.W); i++ {
					x.Pix[(c*x.H+y)*x.W+i] = x.Fill[c]
				}
			}
		}
	},
}

var mixup = Augment{
	Name: "mixup", Doc: "convex sum with another sample of the batch, weight from Beta(amount, amount) (Zhang et al. 2018)", Default: 0.2,
	Check: func(a float64) error {
		if !(a > 0) || math.IsInf(a, 0) {
			return fmt.Errorf("amount: want a finite number above 0, got %v", a)
		}
		return nil
	},
	Lambda: beta,
}

func wholePixels(n float64) error {
	if n != math.Trunc(n) || !(n >= 0 && n <= 1<<15) {
		return fmt.Errorf("amount: want a whole number of pixels from 0 to %d, got %v", 1<<15, n)
	}
	return nil
}

// beta draws from Beta(a, a) by Jöhnk's method up to 1, else from two gammas.
func beta(a float64, r *rng.Stream) float64 {
	if a <= 1 {
		for {
			// In logarithms, so that small a does not underflow.
			x, y := -r.ExpFloat64()/a, -r.ExpFloat64()/a
			top := max(x, y)
			sum := top + math.Log(math.Exp(x-top)+math.Exp(y-top))
			if sum <= 0 {
				return math.Exp(x - sum)
			}
		}
	}
	x, y := gamma(a, r), gamma(a, r)
	return x / (x + y)
}

// gamma draws from Gamma(shape, 1), shape ≥ 1 (Marsaglia and Tsang 2000).
func gamma(shape float64, r *rng.Stream) float64 {
	d := shape - 1.0/3
	for {
		x := r.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}
