package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// wireVGG stacks 3×3 convolutions with BN in three stages (w, 2w, 4w) with
// max pools between, then Flatten and two linear layers.
func wireVGG(n *Net, o Options) {
	x := n.Input("image", o.Channels, o.Size, o.Size)
	for s := range 3 {
		for i := range o.Depth {
			x = n.ConvBNRelu(fmt.Sprintf("conv%d.%d", s, i), x, o.Width<<s, ConvOptions{Kernel: 3})
		}
		x = n.MaxPool(fmt.Sprintf("pool%d", s), x, 2)
	}
	x = n.Relu("fc1.relu", n.Linear("fc1", n.Flatten("flatten", x), 8*o.Width))
	n.Output("logits", n.Linear("fc2", n.Dropout("dropout", x, 0.5), o.Classes))
}

// wireFlatten is LeNet-like: convolutions with biases and no BN, Tanh, average
// pools, flattened by a Reshape to [0, -1], then MatMul and Add layers.
func wireFlatten(n *Net, o Options) {
	x := n.Input("image", o.Channels, o.Size, o.Size)
	for i := range max(o.Depth, 2) {
		x = n.Conv(fmt.Sprintf("conv%d", i), x, o.Width<<i, ConvOptions{Kernel: 5, Bias: true})
		x = n.Unary("Tanh", fmt.Sprintf("conv%d.act", i), x)
		x = n.Pool("AveragePool", fmt.Sprintf("pool%d", i), x, 2, 2, 0)
	}
	x = n.Node("Reshape", "flatten", []Val{x, n.ints("flatten.shape", 0, -1)}, []int{ir.Prod(x.Shape)})
	x = n.Unary("Tanh", "fc1.act", n.MatMul("fc1", x, 8*o.Width))
	n.Output("logits", n.MatMul("fc2", x, o.Classes))
}

// wireConv1D classifies signals [batch, channels, size] with 1-D convolutions,
// one of them dilated, and residual blocks.
func wireConv1D(n *Net, o Options) {
	x := n.ConvBNRelu("stem", n.Input("signal", o.Channels, o.Size), o.Width, ConvOptions{Kernel: 7, Stride: 2})
	for s := range 2 {
		w := o.Width << s
		for i := range o.Depth {
			name := fmt.Sprintf("block%d.%d", s, i)
			if s > 0 && i == 0 {
				x = n.ConvBNRelu(name+".widen", x, w, ConvOptions{Kernel: 1})
			}
			y := n.ConvBNRelu(name+".a", x, w, ConvOptions{Kernel: 5, Dilation: 2})
			y = n.ConvBN(name+".b", y, w, ConvOptions{Kernel: 3})
			x = n.Relu(name+".relu", n.Add(name+".add", y, x))
		}
		x = n.MaxPool(fmt.Sprintf("pool%d", s), x, 2)
	}
	n.Head(x, o.Classes)
}

// wireVolume classifies volumes [batch, channels, size, size, size] with 3-D convolutions.
func wireVolume(n *Net, o Options) {
	x := n.ConvBNRelu("stem", n.Input("volume", o.Channels, o.Size, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	x = n.MaxPool("pool0", x, 2)
	for i := range o.Depth {
		x = n.basic(fmt.Sprintf("block.%d", i), x, 2*o.Width, o.Width, 1)
	}
	n.Head(x, o.Classes)
}

// wireNorms uses PRelu, InstanceNormalization and group normalisation in the
// form exporters give it before opset 18: Reshape, InstanceNormalization with
// unit scale, Reshape, Mul, Add.
func wireNorms(n *Net, o Options) {
	x := n.Conv("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	x = n.prelu("stem.act", n.instanceNorm("stem.norm", x))
	for i := range o.Depth {
		name := fmt.Sprintf("block.%d", i)
		y := n.Conv(name+".conv1", x, 2*o.Width, ConvOptions{Kernel: 3})
		y = n.prelu(name+".act1", n.groupNorm(name+".norm1", y, 4))
		y = n.groupNorm(name+".norm2", n.Conv(name+".conv2", y, o.Width, ConvOptions{Kernel: 3}), 2)
		x = n.prelu(name+".act2", n.Add(name+".add", x, y))
	}
	n.Head(x, o.Classes)
}

// wireGroupNorm is wireNorms with the GroupNormalization operator (opset 21).
func wireGroupNorm(n *Net, o Options) {
	n.Opset(21, 10)
	x := n.Conv("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for i := range o.Depth {
		name := fmt.Sprintf("block.%d", i)
		y := n.Node("GroupNormalization", name+".norm", []Val{x, n.Param(name+".norm.weight", x.Shape[:1], n.around(1, 0.5)),
			n.Param(name+".norm.bias", x.Shape[:1], n.around(0, 0.3))}, x.Shape, ir.FloatAttr("epsilon", 1e-5), ir.IntAttr("num_groups", 2))
		y = n.Conv(name+".conv1", n.prelu(name+".act1", y), 2*o.Width, ConvOptions{Kernel: 3})
		y = n.Conv(name+".conv2", n.prelu(name+".act2", y), o.Width, ConvOptions{Kernel: 3})
		x = n.Add(name+".add", x, y)
	}
	n.Head(x, o.Classes)
}

func (n *Net) prelu(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	return n.Node("PRelu", name, []Val{x, n.Param(name+".slope", []int{x.Shape[0], 1, 1}, n.around(0.25, 0.2))}, x.Shape)
}

func (n *Net) instanceNorm(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	c := x.Shape[:1]
	return n.Node("InstanceNormalization", name, []Val{x, n.Param(name+".weight", c, n.around(1, 0.5)), n.Param(name+".bias", c, n.around(0, 0.3))},
		x.Shape, ir.FloatAttr("epsilon", 1e-5))
}

func (n *Net) groupNorm(name string, x Val, groups int) Val {
	if n.err != nil {
		return Val{}
	}
	c := x.Shape[0]
	y := n.Node("Reshape", name+".split", []Val{x, n.ints(name+".split.shape", 0, groups, -1)}, []int{groups, ir.Prod(x.Shape) / groups})
	y = n.Node("InstanceNormalization", name+".norm", []Val{y, n.Param(name+".ones", []int{groups}, Const(1)), n.Param(name+".zeros", []int{groups}, Const(0))},
		y.Shape, ir.FloatAttr("epsilon", 1e-5))
	y = n.Reshape(name+".join", y, x.Shape...)
	y = n.Mul(name+".mul", y, n.Param(name+".weight", []int{c, 1, 1}, n.around(1, 0.5)))
	return n.Add(name+".add", y, n.Param(name+".bias", []int{c, 1, 1}, n.around(0, 0.3)))
}
