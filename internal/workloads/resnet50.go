package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// resnet50 is the network of bottlenecks, which shrink the image in their 3×3
// convolution. With choices > 0, a bottleneck's two inner widths are one mixture of so
// many, evenly spaced, and its 3×3 kernel is a mixture of 1 and 3.
func resnet50(choices int) forward {
	return func(n *net, x prim.ID) prim.ID {
		x = n.Relu(n.batchNorm("stem.norm", n.conv(x, n.kernel("stem", 64, 3, 7), 2, 3, 1)))
		two := func(v int) []int { return []int{v, v} }
		x = n.Add(prim.MaxPool{Pool: prim.Pool{Window: prim.Window{Strides: two(2), Dilations: two(1), PadLo: two(1), PadHi: two(1)}, Kernel: two(3)}}, x)
		for stage, blocks := range []int{3, 4, 6, 3} {
			for block := range blocks {
				stride := 1
				if stage > 0 && block == 0 {
					stride = 2
				}
				x = n.bottleneck(fmt.Sprintf("stage%d.block%d", stage, block), x, 64<<stage, stride, choices)
			}
		}
		w, b := n.linear("head", imagenet.classes, n.Shape(x)[1])
		return n.dense(n.pooled(x), w, b)
	}
}

// bottleneck has the inner width given and four times as many channels at its end.
func (n *net) bottleneck(name string, x prim.ID, inner, stride, choices int) prim.ID {
	in, out := n.Shape(x)[1], 4*inner
	w1, w2, w3 := n.kernel(name+".conv1", inner, in, 1), n.kernel(name+".conv2", inner, inner, 3), n.kernel(name+".conv3", out, inner, 1)
	if choices > 0 {
		width := n.mixture(name+".width", choices)
		keep := make([]int, choices)
		for i := range keep {
			keep[i] = (i + 1) * inner / choices
		}
		rows := prefixes(inner, keep...)
		w1 = n.masked(w1, width, rows, 0)
		w2 = n.masked(n.masked(n.masked(w2, n.mixture(name+".kernel", 2), kernelRows, 2, 3), width, rows, 0), width, rows, 1)
		w3 = n.masked(w3, width, rows, 1)
	}
	y := n.Relu(n.batchNorm(name+".norm1", n.conv(x, w1, 1, 0, 1)))
	y = n.Relu(n.batchNorm(name+".norm2", n.conv(y, w2, stride, 1, 1)))
	y = n.batchNorm(name+".norm3", n.conv(y, w3, 1, 0, 1))
	if stride != 1 || in != out {
		x = n.batchNorm(name+".shortcut.norm", n.conv(x, n.kernel(name+".shortcut", out, in, 1), stride, 0, 1))
	}
	return n.Relu(n.Plus(y, x))
}
