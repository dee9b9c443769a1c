package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// centre and whole are the mask rows of a 1×1 kernel inside a 3×3 one, and of that.
var kernelRows = [][]float64{{0, 0, 0, 0, 1, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 1, 1}}

// resnet is the CIFAR network with three stages of blocks; the shortcut is a 1×1
// convolution where a block changes the shape. With choices > 0, a block's inner width is
// a mixture of so many, evenly spaced, and both its kernels are mixtures of 1 and 3.
func resnet(width, blocks, choices int) forward {
	return func(n *net, x prim.ID) prim.ID {
		x = n.Relu(n.batchNorm("stem.norm", n.conv(x, n.kernel("stem", width, 3, 3), 1, 1, 1)))
		for stage := range 3 {
			out := width << stage
			for block := range blocks {
				stride := 1
				if stage > 0 && block == 0 {
					stride = 2
				}
				x = n.residual(fmt.Sprintf("stage%d.block%d", stage, block), x, out, stride, choices)
			}
		}
		w, b := n.linear("head", 10, n.Shape(x)[1])
		return n.dense(n.pooled(x), w, b)
	}
}

func (n *net) residual(name string, x prim.ID, out, stride, choices int) prim.ID {
	in := n.Shape(x)[1]
	w1, w2 := n.kernel(name+".conv1", out, in, 3), n.kernel(name+".conv2", out, out, 3)
	if choices > 0 {
		width := n.mixture(name+".width", choices)
		keep := make([]int, choices)
		for i := range keep {
			keep[i] = (i + 1) * out / choices
		}
		inner := prefixes(out, keep...)
		w1 = n.masked(n.masked(w1, n.mixture(name+".kernel1", 2), kernelRows, 2, 3), width, inner, 0)
		w2 = n.masked(n.masked(w2, n.mixture(name+".kernel2", 2), kernelRows, 2, 3), width, inner, 1)
	}
	y := n.Relu(n.batchNorm(name+".norm1", n.conv(x, w1, stride, 1, 1)))
	y = n.batchNorm(name+".norm2", n.conv(y, w2, 1, 1, 1))
	if stride != 1 || in != out {
		x = n.batchNorm(name+".shortcut.norm", n.conv(x, n.kernel(name+".shortcut", out, in, 1), stride, 0, 1))
	}
	return n.Relu(n.Plus(y, x))
}

// pooled averages x [n, c, h, w] to [n, c].
func (n *net) pooled(x prim.ID) prim.ID { return n.Squeeze(n.Mean(x, 2, 3), 2, 3) }
