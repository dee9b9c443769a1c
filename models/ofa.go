package models

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/ir"
)

// MobileNetV3 is one architecture of the once-for-all space: five stages of up to
// four inverted residual blocks. Cai et al., "Once-for-all", 2020.
type MobileNetV3 struct {
	Depths  [5]int    // blocks per stage, 2 to 4
	Kernels [5][4]int // 3, 5 or 7
	Expands [5][4]int // 3, 4 or 6

	scale int // divides every width; 1 unless set
}

// MobileNetV3Size is the number of architectures, (9²+9³+9⁴)⁵.
var MobileNetV3Size = math.Pow(81+729+6561, 5)

var (
	mobileNetV3Defaults = Options{Classes: 1000, Channels: 3, Size: 224}
	tinyMobileNetV3     = MobileNetV3{Depths: [5]int{2, 2, 1, 1, 1}, Kernels: [5][4]int{{3, 5}, {7, 3}, {5}, {3}, {3}}, Expands: [5][4]int{{3, 4}, {3, 3}, {3}, {3}, {3}}, scale: 8}
)

// LargestMobileNetV3 returns the architecture whose weights the others share.
func LargestMobileNetV3() MobileNetV3 {
	a := MobileNetV3{Depths: [5]int{4, 4, 4, 4, 4}}
	for s := range a.Kernels {
		a.Kernels[s], a.Expands[s] = [4]int{7, 7, 7, 7}, [4]int{6, 6, 6, 6}
	}
	return a
}

// Build returns the network; defaults are 1000 classes and images of 3×224×224.
func (a MobileNetV3) Build(o Options) (*ir.Model, error) { return a.Entry().Build(o) }

// Entry returns the network as an entry, for Build and Count.
func (a MobileNetV3) Entry() Entry {
	return Entry{Name: "mobilenetv3", Defaults: mobileNetV3Defaults, Wire: a.wire}
}

// eighth rounds v to a multiple of 8, never by more than a tenth down.
func eighth(v int) int {
	r := max(8, (v+4)/8*8)
	if 10*r < 9*v {
		r += 8
	}
	return r
}

func (a MobileNetV3) wire(n *Net, o Options) {
	k := max(a.scale, 1)
	swish := func(name string, x Val) Val { return n.Unary("HardSwish", name, x) }
	x := swish("stem.act", n.ConvBN("stem", n.Input("image", o.Channels, o.Size, o.Size), 16/k, ConvOptions{Kernel: 3, Stride: 2}))
	y := n.Relu("first.dw.act", n.depthwise("first.dw", x, 3, 1))
	x = n.Add("first.add", n.ConvBN("first.down", y, 16/k, ConvOptions{Kernel: 1}), x)
	in := 16 / k
	for s, out := range []int{24, 40, 80, 112, 160} {
		out /= k
		act, gate := n.Relu, s == 1 || s == 3 || s == 4
		if s > 1 {
			act = swish
		}
		for i := range a.Depths[s] {
			name := fmt.Sprintf("stage%d.%d", s, i)
			stride := 1
			if i == 0 && s != 3 {
				stride = 2
			}
			mid := eighth(in * a.Expands[s][i])
			y := act(name+".up.act", n.ConvBN(name+".up", x, mid, ConvOptions{Kernel: 1}))
			y = act(name+".dw.act", n.depthwise(name+".dw", y, a.Kernels[s][i], stride))
			if gate {
				y = n.excite(name+".se", y, eighth(mid/4))
			}
			y = n.ConvBN(name+".down", y, out, ConvOptions{Kernel: 1})
			if stride == 1 && in == out {
				y = n.Add(name+".add", y, x)
			}
			x, in = y, out
		}
	}
	x = swish("last.act", n.ConvBN("last", x, 960/k, ConvOptions{Kernel: 1}))
	x = swish("mix.act", n.Conv("mix", n.GlobalAveragePool("pool", x), 1280/k, ConvOptions{Kernel: 1}))
	n.Output("logits", n.Linear("fc", n.Dropout("dropout", n.Flatten("flatten", x), 0.1), o.Classes))
}
