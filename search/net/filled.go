package net

import (
	"fmt"
	"math"
)

// filled is the size from which numbers are what masks fill in, as -Inf is.
const filled = 1e9

// fills reports whether a number is none that can be learned.
func fills(v float32) bool { return !(v > -filled && v < filled) }

// fillings tells what masks fill in from values that are merely too large to be squared and summed:
// a mask puts in one number, or small multiples of it where masks add up.
type fillings struct {
	all, filled int
	low, high   float64 // least and largest size of those that are finite and below maskMost
	signs       [2]bool // of those: below and above 0
}

const (
	maskMost  = 1e38 // sizes from which a number is the type's least, or close to it
	maskTimes = 16   // masks add up to no more than so many times one
)

func (f *fillings) add(values []float32) {
	f.all += len(values)
	for _, v := range values {
		if !fills(v) {
			continue
		}
		f.filled++
		size := math.Abs(float64(v))
		if !(size < maskMost) {
			continue
		}
		if f.high == 0 || size < f.low {
			f.low = size
		}
		f.high = max(f.high, size)
		if v < 0 {
			f.signs[0] = true
		} else {
			f.signs[1] = true
		}
	}
}

// fault is an error where no difference could be told: every number counts as filled in, or
// such of both signs or of many sizes are no mask's.
func (f *fillings) fault() error {
	switch {
	case f.all > 0 && f.filled == f.all:
		return fmt.Errorf("none of its %d numbers is between -1e9 and 1e9: what is beyond counts as filled in by a mask, so no difference could be seen: scale the inputs (--mean, --std), or leave the output out (--output NAME=values:0)", f.all)
	case f.signs[0] && f.signs[1] || f.high > maskTimes*f.low:
		return fmt.Errorf("%d of its %d numbers are of a size from %.3g to %.3g: what is beyond 1e9 counts as filled in by a mask, so their differences could not be seen: scale the inputs (--mean, --std), or leave the output out (--output NAME=values:0)", f.filled, f.all, f.low, f.high)
	}
	return nil
}
