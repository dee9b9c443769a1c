package models

import "fmt"

// wireResNet is the CIFAR ResNet of three stages with Depth blocks each (6·Depth+2
// layers) and 1×1 projection shortcuts. He et al., "Deep residual learning", 2016, §4.2.
func wireResNet(n *Net, o Options) {
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for s := range 3 {
		for i := range o.Depth {
			x = n.basic(fmt.Sprintf("layer%d.%d", s+1, i), x, o.Width<<s, o.Width<<s, downAt(s, i))
		}
	}
	n.Head(x, o.Classes)
}

// downAt is the stride of block i of stage s: every stage but the first halves the map.
func downAt(s, i int) int {
	if s > 0 && i == 0 {
		return 2
	}
	return 1
}

// wireResNetA is wireResNet with option-A shortcuts: where the shape changes,
// every second row and column is kept (Slice) and zero channels are added on
// both sides (Pad). He et al. 2016, §3.3 option A.
func wireResNetA(n *Net, o Options) {
	x := n.ConvBNRelu("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for s := range 3 {
		for i := range o.Depth {
			x = n.basicA(fmt.Sprintf("layer%d.%d", s+1, i), x, o.Width<<s, downAt(s, i))
		}
	}
	n.Head(x, o.Classes)
}

func (n *Net) basicA(name string, x Val, out, stride int) Val {
	if n.err != nil {
		return Val{}
	}
	if stride == 1 {
		return n.basic(name, x, out, out, 1)
	}
	y := n.ConvBNRelu(name+".a", x, out, ConvOptions{Kernel: 3, Stride: stride})
	y = n.ConvBN(name+".b", y, out, ConvOptions{Kernel: 3})
	lo := (out - x.Shape[0]) / 2
	hi := out - x.Shape[0] - lo
	s := name + ".shortcut"
	half := []int{x.Shape[0], (x.Shape[1] + 1) / 2, (x.Shape[2] + 1) / 2}
	z := n.Node("Slice", s+".slice", []Val{x, n.ints(s+".starts", 0, 0), n.ints(s+".ends", x.Shape[1], x.Shape[2]),
		n.ints(s+".axes", 2, 3), n.ints(s+".steps", 2, 2)}, half)
	z = n.Node("Pad", s+".pad", []Val{z, n.ints(s+".pads", 0, lo, 0, 0, 0, hi, 0, 0)}, []int{out, half[1], half[2]})
	return n.Relu(name+".relu", n.Add(name+".add", y, z))
}

// wirePreact is a pre-activation ResNet: BN and Relu stand before each
// convolution and the residual stream is a bare sum.
func wirePreact(n *Net, o Options) {
	x := n.Conv("stem", n.Input("image", o.Channels, o.Size, o.Size), o.Width, ConvOptions{Kernel: 3})
	for s := range 2 {
		for i := range o.Depth {
			name, out, stride := fmt.Sprintf("layer%d.%d", s+1, i), o.Width<<s, downAt(s, i)
			y := n.Relu(name+".relu1", n.BatchNorm(name+".bn1", x))
			if stride != 1 {
				x = n.Conv(name+".shortcut", y, out, ConvOptions{Kernel: 1, Stride: stride})
			}
			y = n.Conv(name+".conv1", y, out, ConvOptions{Kernel: 3, Stride: stride})
			y = n.Conv(name+".conv2", n.Relu(name+".relu2", n.BatchNorm(name+".bn2", y)), out, ConvOptions{Kernel: 3})
			x = n.Add(name+".add", x, y)
		}
	}
	n.Head(n.Relu("last.relu", n.BatchNorm("last.bn", x)), o.Classes)
}
