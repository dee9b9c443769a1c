package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// wireConcat is DenseNet-like: each layer (BN, Relu, 3×3) appends Width/2
// channels to everything before it; a transition halves map and channels.
// Huang et al., "Densely connected convolutional networks", 2017.
func wireConcat(n *Net, o Options) {
	grow := max(o.Width/2, 1)
	x := n.Conv("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for s := range 2 {
		if s > 0 {
			x = n.Relu("transition.relu", n.BatchNorm("transition.bn", x))
			x = n.Pool("AveragePool", "transition.pool", n.Conv("transition.conv", x, (o.Width+o.Depth*grow)/2, ConvOptions{Kernel: 1}), 2, 2, 0)
		}
		for i := range o.Depth {
			name := fmt.Sprintf("dense%d.%d", s, i)
			y := n.Conv(name+".conv", n.Relu(name+".relu", n.BatchNorm(name+".bn", x)), grow, ConvOptions{Kernel: 3})
			x = n.Concat(name+".concat", x, y)
		}
	}
	n.Head(n.Relu("last.relu", n.BatchNorm("last.bn", x)), o.Classes)
}

// wireInception has blocks of four parallel branches (1×1; 1×1 then 3×3; 1×1
// then 5×5; max pool then 1×1) joined along the channels.
// Szegedy et al., "Going deeper with convolutions", 2015.
func wireInception(n *Net, o Options) {
	w := o.Width
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3})
	for s := range 2 {
		if s > 0 {
			x = n.Pool("MaxPool", "down", x, 3, 2, 1)
		}
		for i := range o.Depth {
			name := fmt.Sprintf("mixed%d.%d", s, i)
			a := n.ConvBNRelu(name+".a", x, w, ConvOptions{Kernel: 1})
			b := n.ConvBNRelu(name+".b1", x, w, ConvOptions{Kernel: 1})
			b = n.ConvBNRelu(name+".b2", b, w, ConvOptions{Kernel: 3})
			c := n.ConvBNRelu(name+".c1", x, max(w/2, 1), ConvOptions{Kernel: 1})
			c = n.ConvBNRelu(name+".c2", c, max(w/2, 1), ConvOptions{Kernel: 5})
			d := n.Pool("MaxPool", name+".pool", x, 3, 1, 1)
			d = n.ConvBNRelu(name+".d", d, max(w/2, 1), ConvOptions{Kernel: 1})
			x = n.Concat(name+".concat", a, b, c, d)
		}
	}
	n.Head(x, o.Classes)
}

// wireMulti has one trunk and three outputs: "logits", "embedding" (a linear
// layer on the same pooled features) and "heat" (a sigmoid map at half the
// input's size).
func wireMulti(n *Net, o Options) {
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3, Stride: 2})
	for i := range o.Depth {
		x = n.basic(fmt.Sprintf("trunk.%d", i), x, o.Width, o.Width, 1)
	}
	heat := n.Conv("heat.conv", n.ConvBNRelu("heat.in", x, o.Width, ConvOptions{Kernel: 3}), 1, ConvOptions{Kernel: 1, Bias: true})
	x = n.basic("deep", x, 2*o.Width, 2*o.Width, 2)
	f := n.Flatten("flatten", n.GlobalAveragePool("pool", x))
	n.Output("logits", n.Linear("fc", f, o.Classes))
	n.Output("embedding", n.Linear("embed", f, o.Width))
	n.Output("heat", n.Unary("Sigmoid", "heat.sigmoid", heat))
}

// wireUNet is a U-Net: two levels down, one level up by ConvTranspose and one by
// Resize and a convolution, each joined with the encoder's map; output "mask"
// [batch, classes, size, size]. Ronneberger et al., "U-Net", 2015.
func wireUNet(n *Net, o Options) {
	w := o.Width
	e1 := n.ConvBNRelu("enc1", n.Input("image", o.Channels, o.Size, o.Size), w, ConvOptions{Kernel: 3})
	e2 := n.ConvBNRelu("enc2", n.MaxPool("enc1.pool", e1, 2), 2*w, ConvOptions{Kernel: 3})
	x := n.MaxPool("enc2.pool", e2, 2)
	for i := range o.Depth {
		x = n.ConvBNRelu(fmt.Sprintf("middle.%d", i), x, 4*w, ConvOptions{Kernel: 3})
	}
	x = n.ConvTranspose("up2", x, 2*w, ConvOptions{Kernel: 2, Stride: 2, Valid: true, Bias: true})
	x = n.ConvBNRelu("dec2", n.Concat("dec2.concat", x, e2), 2*w, ConvOptions{Kernel: 3})
	x = n.ConvBNRelu("up1", n.upsample("up1.resize", x), w, ConvOptions{Kernel: 3})
	x = n.ConvBNRelu("dec1", n.Concat("dec1.concat", e1, x), w, ConvOptions{Kernel: 3})
	n.Output("mask", n.Conv("last", x, o.Classes, ConvOptions{Kernel: 1, Bias: true}))
}

// upsample doubles both spatial axes by nearest neighbours.
func (n *Net) upsample(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	scales := n.list(name+".scales", 1, 1, 2, 2)
	return n.Node("Resize", name, []Val{x, {}, scales}, []int{x.Shape[0], 2 * x.Shape[1], 2 * x.Shape[2]},
		ir.StringAttr("coordinate_transformation_mode", "asymmetric"), ir.StringAttr("mode", "nearest"), ir.StringAttr("nearest_mode", "floor"))
}
