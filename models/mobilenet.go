package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// wireMobile is a MobileNetV2 for small images: inverted residual blocks of
// expansion 4 with Relu6, three stages of Depth blocks, w, 2w and 3w wide.
func wireMobile(n *Net, o Options) {
	w := o.Width
	x := n.ConvBN("stem", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3})
	x = n.Relu6("stem.act", x)
	in := w
	for s := range 3 {
		for i := range o.Depth {
			out := (s + 1) * w
			x = n.inverted(fmt.Sprintf("block%d.%d", s, i), x, out, 4*in, 3, downAt(s, i), n.Relu6)
			in = out
		}
	}
	n.Head(x, o.Classes)
}

// wireSqueeze is MobileNetV3-like: inverted residual blocks with HardSwish, 5×5
// depthwise kernels, and squeeze-and-excitation between depthwise and 1×1 down.
func wireSqueeze(n *Net, o Options) {
	w := o.Width
	swish := func(name string, v Val) Val { return n.Unary("HardSwish", name, v) }
	x := swish("stem.act", n.ConvBN("stem", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3}))
	in := w
	for s := range 3 {
		for i := range o.Depth {
			name, out := fmt.Sprintf("block%d.%d", s, i), (s+1)*w
			y := swish(name+".up.act", n.ConvBN(name+".up", x, 4*in, ConvOptions{Kernel: 1}))
			y = swish(name+".dw.act", n.depthwise(name+".dw", y, 5, downAt(s, i)))
			y = n.ConvBN(name+".down", n.excite(name+".se", y, in), out, ConvOptions{Kernel: 1})
			if downAt(s, i) == 1 && in == out {
				y = n.Add(name+".add", y, x)
			}
			x, in = y, out
		}
	}
	x = swish("last.act", n.ConvBN("last", x, 4*w, ConvOptions{Kernel: 1}))
	n.Head(x, o.Classes)
}

// excite scales the channels of x by a gate computed from their means.
// Hu et al., "Squeeze-and-excitation networks", 2018; hard sigmoid as in MobileNetV3.
func (n *Net) excite(name string, x Val, inner int) Val {
	if n.err != nil {
		return Val{}
	}
	g := n.GlobalAveragePool(name+".pool", x)
	g = n.Relu(name+".relu", n.Conv(name+".reduce", g, inner, ConvOptions{Kernel: 1, Bias: true}))
	g = n.Conv(name+".expand", g, x.Shape[0], ConvOptions{Kernel: 1, Bias: true})
	g = n.Unary("HardSigmoid", name+".gate", g, ir.FloatAttr("alpha", 1.0/6), ir.FloatAttr("beta", 0.5))
	return n.Mul(name+".mul", x, g)
}

// wireGrouped is ShuffleNet-like: grouped 1×1 convolutions with a channel
// shuffle between them, written as exporters write it (Reshape, Transpose, Reshape).
// Zhang et al., "ShuffleNet", 2018. Groups of Width/4 channels in every layer.
func wireGrouped(n *Net, o Options) {
	const groups = 4
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for s := range 2 {
		w := o.Width << s
		if s > 0 {
			x = n.ConvBNRelu("down", x, w, ConvOptions{Kernel: 3, Stride: 2, Groups: groups})
		}
		for i := range o.Depth {
			name := fmt.Sprintf("block%d.%d", s, i)
			y := n.ConvBNRelu(name+".in", x, 2*w, ConvOptions{Kernel: 1, Groups: groups})
			y = n.depthwise(name+".dw", n.shuffle(name+".shuffle", y, groups), 3, 1)
			y = n.ConvBN(name+".out", y, w, ConvOptions{Kernel: 1, Groups: groups})
			x = n.Relu(name+".relu", n.Add(name+".add", x, y))
		}
	}
	n.Head(x, o.Classes)
}

func (n *Net) shuffle(name string, x Val, groups int) Val {
	if n.err != nil {
		return Val{}
	}
	c, h, w := x.Shape[0], x.Shape[1], x.Shape[2]
	y := n.Reshape(name+".split", x, groups, c/groups, h, w)
	y = n.Node("Transpose", name+".swap", []Val{y}, []int{c / groups, groups, h, w}, ir.IntsAttr("perm", 0, 2, 1, 3, 4))
	return n.Reshape(name+".join", y, c, h, w)
}
