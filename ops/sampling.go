package ops

import (
	"fmt"
	"math"
)

// sampling is how Resize reads one axis.
type sampling struct {
	mode, coordinates, nearest string
	cubic                      float64
	exclude, antialias         bool
	outside                    float64
}

// resampling reads an axis of n positions at m: by index (nearest), or by a
// row-major [m, n] matrix. outside is 1 where the coordinate lies outside the axis
// and the extrapolation value stands instead; nil when nowhere.
type resampling struct {
	index   []int64
	matrix  []float64
	outside []int64
}

// weights returns the resampling of an axis from n to m positions at scale, on the relative region [lo, hi].
func (s sampling) weights(n, m int, scale, lo, hi float64) (resampling, error) {
	var r resampling
	if s.mode == "nearest" {
		r.index = make([]int64, m)
	} else {
		r.matrix = make([]float64, m*n)
	}
	if s.coordinates == "tf_crop_and_resize" {
		r.outside = make([]int64, m)
	}
	some := false
	for o := range m {
		x, err := s.coordinate(o, n, m, scale, lo, hi)
		if err != nil {
			return r, err
		}
		if r.outside != nil && (x < 0 || x > float64(n-1)) {
			r.outside[o] = 1
			some = true
		}
		if s.mode == "nearest" {
			p, err := s.round(x)
			if err != nil {
				return r, err
			}
			r.index[o] = int64(min(max(p, 0), n-1))
			continue
		}
		s.row(r.matrix[o*n:(o+1)*n], x, scale)
	}
	if !some {
		r.outside = nil
	}
	return r, nil
}

// coordinate maps output position o to a position in the input.
func (s sampling) coordinate(o, n, m int, scale, lo, hi float64) (float64, error) {
	x, in := float64(o), float64(n)
	width := scale * in
	switch s.coordinates {
	case "half_pixel":
		return (x+0.5)/scale - 0.5, nil
	case "half_pixel_symmetric":
		adjust := float64(m) / width
		center := in / 2
		return center*(1-adjust) + (x+0.5)/scale - 0.5, nil
	case "pytorch_half_pixel":
		if m == 1 {
			return 0, nil
		}
		return (x+0.5)/scale - 0.5, nil
	case "align_corners":
		if width <= 1 {
			return 0, nil
		}
		return x * (in - 1) / (width - 1), nil
	case "asymmetric":
		return x / scale, nil
	case "tf_half_pixel_for_nn":
		return (x + 0.5) / scale, nil
	case "tf_crop_and_resize":
		if m == 1 {
			return (lo + hi) * (in - 1) / 2, nil
		}
		return lo*(in-1) + x*(hi-lo)*(in-1)/float64(m-1), nil
	}
	return 0, fmt.Errorf("attribute \"coordinate_transformation_mode\": want one of the ONNX modes, got %q", s.coordinates)
}

func (s sampling) round(x float64) (int, error) {
	switch s.nearest {
	case "round_prefer_floor":
		return int(math.Ceil(x - 0.5)), nil
	case "round_prefer_ceil":
		return int(math.Floor(x + 0.5)), nil
	case "floor":
		return int(math.Floor(x)), nil
	case "ceil":
		return int(math.Ceil(x)), nil
	}
	return 0, fmt.Errorf("attribute \"nearest_mode\": want round_prefer_floor, round_prefer_ceil, floor or ceil, got %q", s.nearest)
}

// row adds the weights of reading coordinate x to one matrix row.
func (s sampling) row(row []float64, x, scale float64) {
	stretch := 1.0
	if s.antialias && scale < 1 {
		stretch = scale
	}
	radius, kernel := 1.0, triangle
	if s.mode == "cubic" {
		radius, kernel = 2.0, s.cubicKernel
	}
	first, last := int(math.Ceil(x-radius/stretch)), int(math.Floor(x+radius/stretch))
	sum := 0.0
	weights := make([]float64, 0, max(0, last-first+1))
	for p := first; p <= last; p++ {
		w := kernel((float64(p) - x) * stretch)
		if s.exclude && (p < 0 || p >= len(row)) {
			w = 0
		}
		weights = append(weights, w)
		sum += w
	}
	for k, w := range weights {
		if sum != 0 {
			w /= sum
		}
		row[min(max(first+k, 0), len(row)-1)] += w
	}
}

func triangle(d float64) float64 { return max(0, 1-math.Abs(d)) }

// cubicKernel is Keys' kernel with parameter a.
func (s sampling) cubicKernel(d float64) float64 {
	d = math.Abs(d)
	a := s.cubic
	switch {
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}
