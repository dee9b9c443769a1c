package models

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// ConvOptions size a convolution; every spatial axis is treated alike. Zero
// fields mean stride 1, dilation 1, one group and padding that keeps the size
// at stride 1 ("same", odd kernels).
type ConvOptions struct {
	Kernel, Stride, Dilation, Groups int
	Pad                              int
	Valid                            bool // no padding, whatever Pad says
	Bias                             bool
}

func (c ConvOptions) fill() ConvOptions {
	c.Stride, c.Dilation, c.Groups = max(c.Stride, 1), max(c.Dilation, 1), max(c.Groups, 1)
	if c.Pad == 0 {
		c.Pad = c.Dilation * (c.Kernel - 1) / 2
	}
	if c.Valid {
		c.Pad = 0
	}
	return c
}

func (c ConvOptions) attrs(rank int) []ir.Attr {
	return []ir.Attr{
		ir.IntsAttr("dilations", fill(rank, c.Dilation)...), ir.IntAttr("group", c.Groups), ir.IntsAttr("kernel_shape", fill(rank, c.Kernel)...),
		ir.IntsAttr("pads", fill(2*rank, c.Pad)...), ir.IntsAttr("strides", fill(rank, c.Stride)...),
	}
}

func fill(n, v int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// Conv appends a convolution to out channels with He weights.
func (n *Net) Conv(name string, x Val, out int, c ConvOptions) Val {
	if n.err != nil {
		return Val{}
	}
	c = c.fill()
	if len(x.Shape) < 2 || c.Kernel < 1 || out < 1 || x.Shape[0]%c.Groups != 0 || out%c.Groups != 0 {
		return n.fail("node %q (Conv): want a map with channels that %d groups divide and a kernel of at least 1, got %v to %d, kernel %d", name, c.Groups, x.Shape, out, c.Kernel)
	}
	rank := len(x.Shape) - 1
	dims := append([]int{out, x.Shape[0] / c.Groups}, fill(rank, c.Kernel)...)
	fan := ir.Prod(dims[1:])
	in := []Val{x, n.Param(name+".weight", dims, He(fan))}
	if c.Bias {
		in = append(in, n.Param(name+".bias", []int{out}, n.around(0, 0.2)))
	}
	shape := []int{out}
	for _, d := range x.Shape[1:] {
		shape = append(shape, window(d, c))
	}
	n.macs += fan * ir.Prod(shape)
	return n.Node("Conv", name, in, shape, c.attrs(rank)...)
}

func window(d int, c ConvOptions) int {
	if span := c.Dilation*(c.Kernel-1) + 1; d+2*c.Pad >= span {
		return (d+2*c.Pad-span)/c.Stride + 1
	}
	return 0
}

// ConvTranspose appends a transposed convolution to out channels.
func (n *Net) ConvTranspose(name string, x Val, out int, c ConvOptions) Val {
	if n.err != nil {
		return Val{}
	}
	c = c.fill()
	if len(x.Shape) < 2 || c.Kernel < 1 || out < 1 || x.Shape[0]%c.Groups != 0 || out%c.Groups != 0 {
		return n.fail("node %q (ConvTranspose): want a map with channels that %d groups divide and a kernel of at least 1, got %v to %d, kernel %d", name, c.Groups, x.Shape, out, c.Kernel)
	}
	rank := len(x.Shape) - 1
	dims := append([]int{x.Shape[0], out / c.Groups}, fill(rank, c.Kernel)...)
	in := []Val{x, n.Param(name+".weight", dims, He(x.Shape[0]/c.Groups))}
	if c.Bias {
		in = append(in, n.Param(name+".bias", []int{out}, n.around(0, 0.2)))
	}
	shape := []int{out}
	for _, d := range x.Shape[1:] {
		shape = append(shape, (d-1)*c.Stride+c.Dilation*(c.Kernel-1)+1-2*c.Pad)
	}
	n.macs += ir.Prod(dims[1:]) * ir.Prod(x.Shape)
	return n.Node("ConvTranspose", name, in, shape, c.attrs(rank)...)
}

// BatchNorm appends a BatchNormalization in inference form.
func (n *Net) BatchNorm(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	c := x.Shape[:1]
	return n.Node("BatchNormalization", name, []Val{x,
		n.Param(name+".weight", c, n.around(1, 0.5)), n.Param(name+".bias", c, n.around(0, 0.3)),
		n.Param(name+".running_mean", c, n.around(0, 0.3)), n.Param(name+".running_var", c, n.around(1, 0.5)),
	}, x.Shape, ir.FloatAttr("epsilon", 1e-5), ir.FloatAttr("momentum", 0.9))
}

// PlainNorm is BatchNorm without a trained scale and bias.
func (n *Net) PlainNorm(name string, x Val) Val {
	x = n.BatchNorm(name, x)
	for _, role := range []string{".weight", ".bias"} {
		if t := n.m.Graph.Init(name + role); n.err == nil && t != nil {
			t.Meta = append(t.Meta, ir.Prop{Key: ops.ConstantKey, Value: "1"})
		}
	}
	return x
}

// Total adds up values of one shape, two at a time; the last addition has the name, those
// before it the name with ".1", ".2", …
func (n *Net) Total(name string, xs ...Val) Val {
	if len(xs) == 0 {
		return n.fail("node %q (Add): want operands, got none", name)
	}
	x := xs[0]
	for i, y := range xs[1:] {
		at := name
		if i+2 < len(xs) {
			at = fmt.Sprintf("%s.%d", name, i+1)
		}
		x = n.Add(at, x, y)
	}
	return x
}

// ConvBN appends name+".conv" and name+".bn".
func (n *Net) ConvBN(name string, x Val, out int, c ConvOptions) Val {
	return n.BatchNorm(name+".bn", n.Conv(name+".conv", x, out, c))
}

// ConvBNRelu appends name+".conv", name+".bn" and name+".relu".
func (n *Net) ConvBNRelu(name string, x Val, out int, c ConvOptions) Val {
	return n.Relu(name+".relu", n.ConvBN(name, x, out, c))
}

// Pool appends a MaxPool or AveragePool; stride 0 means the kernel size.
func (n *Net) Pool(op, name string, x Val, kernel, stride, pad int) Val {
	if n.err != nil {
		return Val{}
	}
	if stride == 0 {
		stride = kernel
	}
	rank := len(x.Shape) - 1
	shape := slices.Clone(x.Shape)
	for i := 1; i < len(shape); i++ {
		shape[i] = window(shape[i], ConvOptions{Kernel: kernel, Stride: stride, Dilation: 1, Pad: pad})
	}
	return n.Node(op, name, []Val{x}, shape, ir.IntsAttr("kernel_shape", fill(rank, kernel)...),
		ir.IntsAttr("pads", fill(2*rank, pad)...), ir.IntsAttr("strides", fill(rank, stride)...))
}

// MaxPool appends a MaxPool of kernel and stride k.
func (n *Net) MaxPool(name string, x Val, k int) Val { return n.Pool("MaxPool", name, x, k, k, 0) }

// GlobalAveragePool averages the spatial axes to size 1.
func (n *Net) GlobalAveragePool(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	return n.Node("GlobalAveragePool", name, []Val{x}, append([]int{x.Shape[0]}, fill(len(x.Shape)-1, 1)...))
}

// Linear appends a Gemm with a [out, in] weight and a bias.
func (n *Net) Linear(name string, x Val, out int) Val {
	if n.err != nil {
		return Val{}
	}
	if len(x.Shape) != 1 {
		return n.fail("node %q (Gemm): want a flat input, got %v", name, x.Shape)
	}
	in := x.Shape[0]
	n.macs += in * out
	return n.Node("Gemm", name, []Val{x, n.Param(name+".weight", []int{out, in}, Xavier(in, out)), n.Param(name+".bias", []int{out}, n.around(0, 0.2))},
		[]int{out}, ir.IntAttr("transB", 1))
}

// MatMul appends a MatMul with a [in, out] weight and an Add with a bias.
func (n *Net) MatMul(name string, x Val, out int) Val {
	if n.err != nil {
		return Val{}
	}
	if len(x.Shape) != 1 {
		return n.fail("node %q (MatMul): want a flat input, got %v", name, x.Shape)
	}
	in := x.Shape[0]
	n.macs += in * out
	y := n.Node("MatMul", name, []Val{x, n.Param(name+".weight", []int{in, out}, Xavier(in, out))}, []int{out})
	return n.Add(name+".add", y, n.Param(name+".bias", []int{out}, n.around(0, 0.2)))
}

// Head appends GlobalAveragePool, Flatten and a linear layer, and declares the output "logits".
func (n *Net) Head(x Val, classes int) {
	n.Output("logits", n.Linear("fc", n.Flatten("flatten", n.GlobalAveragePool("pool", x)), classes))
}
