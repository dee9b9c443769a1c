package models

import "fmt"

// wireFashion: stem, then three stages that each halve the map with a
// depthwise-separable layer and go on with residual blocks of unchanged shape,
// so that every residual block can be skipped. With Width w the stages are 2w,
// 3w and 6w wide.
func wireFashion(n *Net, o Options) {
	w := o.Width
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3})
	x = n.separable("stage1.down", x, 2*w, 5, 2)
	for i := range o.Depth {
		x = n.basic(fmt.Sprintf("stage1.%d", i), x, 2*w, 2*w, 1)
	}
	x = n.separable("stage2.down", x, 3*w, 3, 2)
	for i := range o.Depth {
		x = n.basic(fmt.Sprintf("stage2.%d", i), x, 3*w, 3*w, 1)
	}
	x = n.inverted(fmt.Sprintf("stage2.%d", o.Depth), x, 3*w, 6*w, 5, 1, n.Relu)
	x = n.separable("stage3.down", x, 6*w, 3, 2)
	for i := range o.Depth {
		x = n.inverted(fmt.Sprintf("stage3.%d", i), x, 6*w, 12*w, 5, 1, n.Relu)
	}
	n.Head(n.ConvBNRelu("last", x, 8*w, ConvOptions{Kernel: 1}), o.Classes)
}

// separable is a depthwise convolution and a 1×1 convolution, both with BN and Relu.
func (n *Net) separable(name string, x Val, out, kernel, stride int) Val {
	x = n.depthwise(name+".dw", x, kernel, stride)
	return n.ConvBNRelu(name+".pw", n.Relu(name+".dw.relu", x), out, ConvOptions{Kernel: 1})
}

func (n *Net) depthwise(name string, x Val, kernel, stride int) Val {
	if n.err != nil {
		return Val{}
	}
	return n.ConvBN(name, x, x.Shape[0], ConvOptions{Kernel: kernel, Stride: stride, Groups: x.Shape[0]})
}

// basic is the residual block of two 3×3 convolutions; the shortcut is a 1×1
// convolution with BN where the shape changes.
func (n *Net) basic(name string, x Val, inner, out, stride int) Val {
	if n.err != nil {
		return Val{}
	}
	y := n.ConvBNRelu(name+".a", x, inner, ConvOptions{Kernel: 3, Stride: stride})
	y = n.ConvBN(name+".b", y, out, ConvOptions{Kernel: 3})
	if stride != 1 || x.Shape[0] != out {
		x = n.ConvBN(name+".shortcut", x, out, ConvOptions{Kernel: 1, Stride: stride})
	}
	return n.Relu(name+".relu", n.Add(name+".add", y, x))
}

// inverted is the inverted residual block: 1×1 up, depthwise, 1×1 down, added
// to its input where the shapes agree.
func (n *Net) inverted(name string, x Val, out, inner, kernel, stride int, act func(string, Val) Val) Val {
	if n.err != nil {
		return Val{}
	}
	y := act(name+".up.act", n.ConvBN(name+".up", x, inner, ConvOptions{Kernel: 1}))
	y = act(name+".dw.act", n.depthwise(name+".dw", y, kernel, stride))
	y = n.ConvBN(name+".down", y, out, ConvOptions{Kernel: 1})
	if stride == 1 && x.Shape[0] == out {
		y = n.Add(name+".add", x, y)
	}
	return y
}
