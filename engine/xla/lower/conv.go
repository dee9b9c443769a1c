package lower

import (
	"slices"
	"strconv"

	"github.com/entangle-nas/entangle/engine/prim"
	hlo "github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

// axisNames names two axes and the spatial ones after them.
func axisNames(first, second string, spatial int) []string {
	s := []string{first, second}
	for i := range spatial {
		s = append(s, strconv.Itoa(i))
	}
	return s
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

func (l *lowerer) conv(p prim.Conv, x, w hlo.Value, out []int) hlo.Value {
	n := len(out) - 2
	return l.Convolution(x, w, hlo.Conv{
		Strides: p.Strides, PadLo: p.PadLo, PadHi: p.PadHi, InputDilation: ones(n), KernelDilation: p.Dilations,
		FeatureGroups: p.Groups, BatchGroups: 1, Precision: l.precision(),
		Input: axisNames("b", "f", n), Kernel: axisNames("o", "i", n), Output: axisNames("b", "f", n),
	}, out)
}

// convInputGrad correlates the gradient, with strides-1 zeros between its elements,
// with the kernel flipped and its filters as inputs. XLA finds cuDNN's own routine for
// that only where the kernel is flipped last, right before the convolution.
func (l *lowerer) convInputGrad(p prim.ConvInputGrad, g, w hlo.Value, out []int) hlo.Value {
	n := len(out) - 2
	ws, gs := w.Type.Shape, g.Type.Shape
	lo, hi, spatial := make([]int, n), make([]int, n), make([]int, n)
	for i := range n {
		reach := p.Dilations[i] * (ws[i+2] - 1)
		lo[i] = reach - p.PadLo[i]
		hi[i] = out[i+2] - ((gs[i+2]-1)*p.Strides[i] + 1) - lo[i] + reach
		spatial[i] = i + 2
	}
	if p.Groups > 1 {
		m, c := ws[0]/p.Groups, ws[1]
		perm := []int{1, 0, 2}
		for i := range n {
			perm = append(perm, i+3)
		}
		split := l.Reshape(w, append([]int{p.Groups, m, c}, ws[2:]...))
		w = l.Reshape(l.Transpose(split, perm), append([]int{m, p.Groups * c}, ws[2:]...))
	}
	return l.Convolution(g, l.Reverse(w, spatial), hlo.Conv{
		Strides: ones(n), PadLo: lo, PadHi: hi, InputDilation: p.Strides, KernelDilation: p.Dilations,
		FeatureGroups: p.Groups, BatchGroups: 1, Precision: l.precision(),
		Input: axisNames("b", "f", n), Kernel: axisNames("i", "o", n), Output: axisNames("b", "f", n),
	}, out)
}

// convWeightGrad correlates input and gradient with channels as batch and images as
// channels; groups of filters meet their groups of channels as groups of the batch.
func (l *lowerer) convWeightGrad(p prim.ConvWeightGrad, x, g hlo.Value, out []int) hlo.Value {
	n := len(out) - 2
	xs, gs := x.Type.Shape, g.Type.Shape
	hi := make([]int, n)
	for i := range n {
		hi[i] = p.Dilations[i]*(out[i+2]-1) + p.Strides[i]*(gs[i+2]-1) + 1 - xs[i+2] - p.PadLo[i]
	}
	return l.Convolution(x, g, hlo.Conv{
		Strides: p.Dilations, PadLo: p.PadLo, PadHi: hi, InputDilation: ones(n), KernelDilation: p.Strides,
		FeatureGroups: 1, BatchGroups: p.Groups, Precision: l.precision(),
		Input: axisNames("f", "b", n), Kernel: axisNames("i", "o", n), Output: axisNames("f", "b", n),
	}, out)
}
