package prim

import (
	"fmt"
	"slices"
)

// Window is the geometry of a convolution: one entry per spatial axis.
type Window struct {
	Strides, Dilations, PadLo, PadHi []int
}

// OutSize returns the output size along spatial axis i for input size n and kernel size k.
func (w Window) OutSize(i, n, k int) int {
	span := n + w.PadLo[i] + w.PadHi[i] - (w.Dilations[i]*(k-1) + 1)
	if span < 0 {
		return 0
	}
	return span/w.Strides[i] + 1
}

func (w Window) check(name string, spatial int) error {
	for _, l := range [][]int{w.Strides, w.Dilations, w.PadLo, w.PadHi} {
		if len(l) != spatial {
			return fmt.Errorf("%s: window %+v: want %d entries each", name, w, spatial)
		}
	}
	for i := range spatial {
		if w.Strides[i] < 1 || w.Dilations[i] < 1 || w.PadLo[i] < 0 || w.PadHi[i] < 0 {
			return fmt.Errorf("%s: window %+v: want strides and dilations ≥ 1, pads ≥ 0", name, w)
		}
	}
	return nil
}

// Conv is the cross-correlation of x [N, C, S…] with w [M, C/Groups, K…], giving
// [N, M, O…]. Padding is zeros.
type Conv struct {
	Window
	Groups int
}

// Name returns "conv".
func (Conv) Name() string { return "conv" }

// Infer returns [N, M, O…].
func (c Conv) Infer(in []Type) (Type, error) {
	if len(in) != 2 {
		return Type{}, fmt.Errorf("conv: want 2 operands, got %d", len(in))
	}
	out, err := c.shape("conv", in[0].Shape, in[1].Shape, in[0].DType, in[1].DType)
	return Type{in[0].DType, out}, err
}

func (c Conv) shape(name string, x, w []int, dx, dw DType) ([]int, error) {
	if dx != dw || !dx.Float() || len(x) < 3 || len(x) != len(w) {
		return nil, fmt.Errorf("%s: want float operands of one dtype and one rank ≥ 3, got %s%v and %s%v", name, dx, x, dw, w)
	}
	if err := c.Window.check(name, len(x)-2); err != nil {
		return nil, err
	}
	if c.Groups < 1 || x[1] != w[1]*c.Groups || w[0]%c.Groups != 0 {
		return nil, fmt.Errorf("%s: %d groups: want channels %d = groups × %d and filters %d a multiple of groups", name, c.Groups, x[1], w[1], w[0])
	}
	out := []int{x[0], w[0]}
	for i := range len(x) - 2 {
		o := c.OutSize(i, x[i+2], w[i+2])
		if o < 1 {
			return nil, fmt.Errorf("%s: spatial axis %d: size %d with pads %d, %d is smaller than the kernel %d (dilation %d)", name, i, x[i+2], c.PadLo[i], c.PadHi[i], w[i+2], c.Dilations[i])
		}
		out = append(out, o)
	}
	return out, nil
}

// ConvInputGrad maps g [N, M, O…] and w [M, C/Groups, K…] to [N, C, In…]: the
// adjoint of Conv in x, which is also transposed convolution.
type ConvInputGrad struct {
	Conv
	In []int // spatial sizes of the result
}

// Name returns "conv_input_grad".
func (ConvInputGrad) Name() string { return "conv_input_grad" }

// Infer returns [N, C, In…].
func (c ConvInputGrad) Infer(in []Type) (Type, error) {
	if len(in) != 2 || len(in[0].Shape) < 3 || len(in[1].Shape) != len(in[0].Shape) || len(c.In) != len(in[0].Shape)-2 {
		return Type{}, fmt.Errorf("conv_input_grad: want a gradient and a kernel of one rank ≥ 3 and %v spatial sizes, got %v", c.In, in)
	}
	x := append([]int{in[0].Shape[0], in[1].Shape[1] * c.Groups}, c.In...)
	g, err := c.shape("conv_input_grad", x, in[1].Shape, in[0].DType, in[1].DType)
	if err == nil && !slices.Equal(g, in[0].Shape) {
		err = fmt.Errorf("conv_input_grad: gradient: want %v for input %v, got %v", g, x, in[0].Shape)
	}
	return Type{in[0].DType, x}, err
}

// ConvWeightGrad maps x [N, C, S…] and g [N, M, O…] to [M, C/Groups, Kernel…]:
// the adjoint of Conv in w.
type ConvWeightGrad struct {
	Conv
	Kernel []int
}

// Name returns "conv_weight_grad".
func (ConvWeightGrad) Name() string { return "conv_weight_grad" }

// Infer returns [M, C/Groups, Kernel…].
func (c ConvWeightGrad) Infer(in []Type) (Type, error) {
	if len(in) != 2 || len(in[0].Shape) < 3 || len(in[1].Shape) != len(in[0].Shape) || len(c.Kernel) != len(in[0].Shape)-2 || c.Groups < 1 {
		return Type{}, fmt.Errorf("conv_weight_grad: want an input and a gradient of one rank ≥ 3 and %v kernel sizes, got %v", c.Kernel, in)
	}
	w := append([]int{in[1].Shape[1], in[0].Shape[1] / c.Groups}, c.Kernel...)
	g, err := c.shape("conv_weight_grad", in[0].Shape, w, in[0].DType, in[1].DType)
	if err == nil && !slices.Equal(g, in[1].Shape) {
		err = fmt.Errorf("conv_weight_grad: gradient: want %v for input %v, got %v", g, in[0].Shape, in[1].Shape)
	}
	return Type{in[0].DType, w}, err
}
