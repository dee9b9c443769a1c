package ops

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
)

// window is the sliding-window geometry that convolutions and pools share, one
// entry per spatial axis, with auto_pad and ceil_mode resolved.
type window struct {
	kernel, strides, dilations, lo, hi []int
	out                                []int // output sizes, -1 where the input size is unknown
}

// maxWindow bounds kernels, strides, dilations and pads, so that their products cannot overflow.
const maxWindow = 1 << 24

// window reads the attributes for spatial sizes in (-1 unknown) and a kernel (-1 unknown).
func (s *Site) window(in, kernel []int, ceil bool) (window, error) {
	n := len(in)
	w := window{kernel: kernel}
	if len(kernel) != n {
		return w, s.Errorf("infer", "kernel_shape: want %d sizes, got %v", n, kernel)
	}
	list := func(name string, count, def, least int) ([]int, error) {
		v := s.Node.Ints(name, nil)
		if len(v) == 0 {
			return slices.Repeat([]int{def}, count), nil
		}
		if len(v) != count {
			return nil, s.Errorf("infer", "attribute %q: want %d entries, got %v", name, count, v)
		}
		for _, x := range v {
			if x < least || x > maxWindow {
				return nil, s.Errorf("infer", "attribute %q: want entries from %d to %d, got %v", name, least, maxWindow, v)
			}
		}
		return v, nil
	}
	var err error
	if w.strides, err = list("strides", n, 1, 1); err != nil {
		return w, err
	}
	if w.dilations, err = list("dilations", n, 1, 1); err != nil {
		return w, err
	}
	pads, err := list("pads", 2*n, 0, 0)
	if err != nil {
		return w, err
	}
	auto := s.Node.Str("auto_pad", "NOTSET")
	w.lo, w.hi = slices.Clone(pads[:n]), slices.Clone(pads[n:])
	for i := range n {
		if kernel[i] == 0 || kernel[i] > maxWindow {
			return w, s.Errorf("infer", "kernel_shape: want sizes from 1 to %d, got %v", maxWindow, kernel)
		}
		o, err := w.resolve(s, auto, i, in[i], ceil)
		if err != nil {
			return w, err
		}
		w.out = append(w.out, o)
	}
	return w, nil
}

// resolve computes the pads of spatial axis i and returns its output size.
func (w *window) resolve(s *Site, auto string, i, in int, ceil bool) (int, error) {
	stride := w.strides[i]
	span := w.dilations[i]*(w.kernel[i]-1) + 1
	unknown := in < 0 || w.kernel[i] < 0
	switch auto {
	case "SAME_UPPER", "SAME_LOWER":
		if unknown {
			if in < 0 {
				return -1, nil
			}
			return (in + stride - 1) / stride, nil
		}
		out := (in + stride - 1) / stride
		total := max((out-1)*stride+span-in, 0)
		w.lo[i], w.hi[i] = total/2, total-total/2
		if auto == "SAME_LOWER" {
			w.lo[i], w.hi[i] = w.hi[i], w.lo[i]
		}
		return out, nil
	case "VALID":
		w.lo[i], w.hi[i] = 0, 0
	case "NOTSET", "":
	default:
		return 0, s.Errorf("infer", "attribute \"auto_pad\": want NOTSET, SAME_UPPER, SAME_LOWER or VALID, got %q", auto)
	}
	if unknown {
		return -1, nil
	}
	room := in + w.lo[i] + w.hi[i] - span
	if room < 0 {
		return 0, s.Errorf("infer", "spatial axis %d: size %d with pads %d and %d is smaller than the window's extent %d", i, in, w.lo[i], w.hi[i], span)
	}
	out := room/stride + 1
	if ceil && room%stride != 0 && out*stride < in+w.lo[i] {
		out++
	}
	return out, nil
}

// trivial reports whether the window only passes spatial axis i through.
func (w window) trivial(i int) bool {
	return w.kernel[i] == 1 && w.strides[i] == 1 && w.lo[i] == 0 && w.hi[i] == 0
}

// geometry returns the primitive's window; pads grow where ceil_mode lets the last window hang over.
func (w window) geometry(in []int) prim.Window {
	hi := slices.Clone(w.hi)
	for i, n := range in {
		span := w.dilations[i]*(w.kernel[i]-1) + 1
		hi[i] = max(hi[i], (w.out[i]-1)*w.strides[i]+span-n-w.lo[i])
	}
	return prim.Window{Strides: w.strides, Dilations: w.dilations, PadLo: w.lo, PadHi: hi}
}

// counts returns, for output positions along spatial axis i of size in, how many
// positions of the window lie on the input (or, when padded, on its declared
// padding too), at least 1. The count of a window is the product over the axes.
func (w window) counts(i, in int, padded bool) []float64 {
	low, high := 0, in
	if padded {
		low, high = -w.lo[i], in+w.hi[i]
	}
	out := make([]float64, w.out[i])
	for o := range out {
		at := o*w.strides[i] - w.lo[i]
		first := max(-floorDiv(at-low, w.dilations[i]), 0)
		last := min(floorDiv(high-1-at, w.dilations[i]), w.kernel[i]-1)
		out[o] = float64(max(last-first+1, 1))
	}
	return out
}

// axes pins or carries the spatial axes of input 0 and output 0, which start at axis 2.
func (w window) axes(a *Axes) {
	for i := range w.kernel {
		if w.trivial(i) {
			a.Tie(Carried, In(0, i+2), Out(0, i+2))
			continue
		}
		a.Fix(In(0, i+2), "spatial axis under a window")
		a.Fix(Out(0, i+2), "spatial axis under a window")
	}
}

// dims turns output sizes into dimensions after the given leading ones.
func (w window) dims(lead ...ir.Dim) []ir.Dim {
	for _, o := range w.out {
		lead = append(lead, ir.Dim{Size: o})
	}
	return lead
}

func plain(d ir.Dim) ir.Dim {
	d.Denotation = ""
	return d
}
