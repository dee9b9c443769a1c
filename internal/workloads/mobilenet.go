package workloads

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/prim"
)

// mobilenet is a stem and six inverted residuals of expansion 4.
func mobilenet(n *net, x prim.ID) prim.ID {
	cbr := func(name string, x prim.ID, out, k, stride, groups int) prim.ID {
		w := n.kernel(name, out, n.Shape(x)[1]/groups, k)
		return n.Clip(n.batchNorm(name+".norm", n.conv(x, w, stride, k/2, groups)), 0, 6)
	}
	x = cbr("stem", x, 32, 3, 1, 1)
	for i, b := range []struct{ out, stride int }{{32, 1}, {32, 1}, {64, 2}, {64, 1}, {96, 2}, {96, 1}} {
		name, in := fmt.Sprintf("block%d", i), n.Shape(x)[1]
		y := cbr(name+".expand", x, 4*in, 1, 1, 1)
		y = cbr(name+".depthwise", y, 4*in, 3, b.stride, 4*in)
		y = n.batchNorm(name+".project.norm", n.conv(y, n.kernel(name+".project", b.out, 4*in, 1), 1, 0, 1))
		if b.stride == 1 && in == b.out {
			y = n.Plus(y, x)
		}
		x = y
	}
	w, b := n.linear("head", 10, n.Shape(x)[1])
	return n.dense(n.pooled(x), w, b)
}
