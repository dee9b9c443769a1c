package subnet_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/cuttest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
	"github.com/entangle-nas/entangle/subnet"
)

// conv is a convolution of x from in to out channels; stride 1, padded to keep the size.
func (k *sketch) conv(x string, in, out, kernel int, rest ...string) string {
	w := k.weight(out, in, kernel, kernel)
	return k.convBy(x, w, kernel, rest...)
}

// convBy is conv by a weight, and a bias if there is one.
func (k *sketch) convBy(x, w string, kernel int, bias ...string) string {
	p := kernel / 2
	return k.op("Conv", append([]string{x, w}, bias...), ir.IntsAttr("kernel_shape", kernel, kernel), ir.IntsAttr("pads", p, p, p, p))
}

func (k *sketch) relu(x string) string { return k.op("Relu", []string{x}) }

// same is a vector of n equal numbers.
func (k *sketch) same(v float32, dims ...int) string {
	return k.init(ir.NewFloat32(k.name("c"), dims, slices.Repeat([]float32{v}, ir.Prod(dims))))
}

// upscaled doubles rows and columns of x to sizes of which the channels are a number.
func (k *sketch) upscaled(x string, channels int) string {
	double := func(axis int) string { return k.op("Mul", []string{k.size(x, axis), k.ints(2)}) }
	target := k.op("Concat", []string{k.size(x, 0), k.ints(int64(channels)), double(2), double(3)}, ir.IntAttr("axis", 0))
	return k.op("Resize", []string{x, "", "", target}, ir.StringAttr("mode", "nearest"), ir.StringAttr("coordinate_transformation_mode", "asymmetric"), ir.StringAttr("nearest_mode", "floor"))
}

// regrouped is group normalisation as exporters spell it.
func (k *sketch) regrouped(x string, channels, groups int, target ...int64) string {
	y := k.op("Reshape", []string{x, k.ints(target...)})
	y = k.op("InstanceNormalization", []string{y, k.same(1, groups), k.same(0, groups)}, ir.FloatAttr("epsilon", 1e-5))
	y = k.op("Reshape", []string{y, k.op("Shape", []string{x})})
	return k.add(k.mul(y, k.weight(channels, 1, 1)), k.weight(channels, 1, 1))
}

// network is a small network of convolutions on [N, 3, H, W], with or without what it is
// named after.
type network struct {
	name  string
	opset int64
	h, w  int // sizes of the input
	build func(k *sketch, x string, plain bool) string
}

// between puts a layer after two of three convolutions.
func between(channels int, layer func(k *sketch, x string) string) func(*sketch, string, bool) string {
	return func(k *sketch, x string, plain bool) string {
		y := k.conv(x, 3, channels, 3)
		for range 2 {
			if !plain {
				y = layer(k, y)
			}
			y = k.conv(k.relu(y), channels, channels, 3)
		}
		return k.conv(y, channels, 2, 1)
	}
}

// folded multiplies a map by a gate made of reductions over its channels.
func folded(channels int, ops ...string) func(*sketch, string, bool) string {
	return between(channels, func(k *sketch, x string) string {
		var all []string
		for _, op := range ops {
			all = append(all, k.op(op, []string{x}, ir.IntsAttr("axes", 1), ir.IntAttr("keepdims", 1)))
		}
		gate := k.op("Sigmoid", []string{k.conv(k.op("Concat", all, ir.IntAttr("axis", 1)), len(ops), 1, 3)})
		return k.mul(x, gate)
	})
}

// attended is channel and spatial attention (CBAM): one perceptron reads both poolings.
func attended(k *sketch, x string) string {
	const channels, squeezed = 8, 4
	down, up := k.weight(squeezed, channels, 1, 1), k.weight(channels, squeezed, 1, 1)
	var both []string
	for _, pool := range []string{"GlobalAveragePool", "GlobalMaxPool"} {
		both = append(both, k.convBy(k.relu(k.convBy(k.op(pool, []string{x}), down, 1)), up, 1))
	}
	x = k.mul(x, k.op("Sigmoid", []string{k.add(both[0], both[1])}))
	mean := k.op("ReduceMean", []string{x}, ir.IntsAttr("axes", 1), ir.IntAttr("keepdims", 1))
	most := k.op("ReduceMax", []string{x}, ir.IntsAttr("axes", 1), ir.IntAttr("keepdims", 1))
	return k.mul(x, k.op("Sigmoid", []string{k.conv(k.op("Concat", []string{mean, most}, ir.IntAttr("axis", 1)), 2, 1, 7)}))
}

func networks() []network {
	group := func(groups int) func(k *sketch, x string) string {
		return func(k *sketch, x string) string {
			return k.op("GroupNormalization", []string{x, k.weight(8), k.weight(8)}, ir.IntAttr("num_groups", groups), ir.FloatAttr("epsilon", 1e-5))
		}
	}
	spelled := func(groups int, target ...int64) func(*sketch, string, bool) string {
		return between(8, func(k *sketch, x string) string { return k.regrouped(x, 8, groups, target...) })
	}
	return []network{
		{"resize to a number of channels", 13, 4, 3, between(8, func(k *sketch, x string) string { return k.upscaled(x, 8) })},
		{"resize by a quotient of sizes", 13, 4, 3, between(8, func(k *sketch, x string) string {
			sizes := k.op("Shape", []string{x})
			hw := k.mul(k.slice(sizes, 0, 2, 4, 1), k.ints(2, 2))
			target := k.op("Concat", []string{k.size(x, 0), k.ints(8), hw}, ir.IntAttr("axis", 0))
			float := func(v string) string { return k.op("Cast", []string{v}, ir.IntAttr("to", int(ir.Float32))) }
			none := k.init(ir.NewFloat32(k.name("none"), []int{0}, nil))
			return k.op("Resize", []string{x, none, k.op("Div", []string{float(target), float(sizes)})}, ir.StringAttr("mode", "nearest"))
		})},
		{"upsample by scales", 9, 4, 3, between(8, func(k *sketch, x string) string {
			return k.op("Upsample", []string{x, k.init(ir.NewFloat32(k.name("scales"), []int{4}, []float32{1, 1, 2, 2}))}, ir.StringAttr("mode", "nearest"))
		})},
		{"resize by scales alone", 10, 4, 3, between(8, func(k *sketch, x string) string {
			return k.op("Resize", []string{x, k.init(ir.NewFloat32(k.name("scales"), []int{4}, []float32{1, 1, 2, 2}))}, ir.StringAttr("mode", "nearest"))
		})},
		{"group norm of two", 21, 4, 3, between(8, group(2))},
		{"group norm of one", 21, 4, 3, between(8, group(1))},
		{"group norm of all", 21, 4, 3, between(8, group(8))},
		{"group norm with parameters per group", 18, 4, 3, between(8, func(k *sketch, x string) string {
			return k.op("GroupNormalization", []string{x, k.weight(2), k.weight(2)}, ir.IntAttr("num_groups", 2), ir.FloatAttr("epsilon", 1e-5))
		})},
		{"spelled group norm", 13, 4, 3, spelled(4, 0, 4, -1)},
		{"spelled group norm of one", 13, 8, 8, spelled(1, 0, 1, -1)},
		{"spelled group norm of one, rows as channels", 13, 8, 3, spelled(1, 0, 1, -1)},
		{"spelled group norm with axes of its own", 13, 4, 3, spelled(2, -1, 2, 4, 4, 3)},
		{"group norm spelled by means", 13, 4, 3, between(8, func(k *sketch, x string) string {
			mean := func(v string) string {
				return k.op("ReduceMean", []string{v}, ir.IntsAttr("axes", -1), ir.IntAttr("keepdims", 1))
			}
			target := k.op("Concat", []string{k.size(x, 0), k.ints(2, -1)}, ir.IntAttr("axis", 0))
			y := k.op("Reshape", []string{x, target})
			d := k.op("Sub", []string{y, mean(y)})
			y = k.op("Div", []string{d, k.op("Sqrt", []string{k.add(mean(k.mul(d, d)), k.scalar(1e-5))})})
			y = k.op("Reshape", []string{y, k.op("Shape", []string{x})})
			return k.add(k.mul(y, k.weight(8, 1, 1)), k.weight(8, 1, 1))
		})},
		{"group norm with channels last", 13, 4, 3, between(8, func(k *sketch, x string) string {
			y := k.op("Reshape", []string{k.transpose(x, 0, 2, 3, 1), k.ints(0, 4, 3, 2, 4)})
			over := func(v string) string {
				return k.op("ReduceMean", []string{v}, ir.IntsAttr("axes", 1, 2, 4), ir.IntAttr("keepdims", 1))
			}
			d := k.op("Sub", []string{y, over(y)})
			y = k.op("Div", []string{d, k.op("Sqrt", []string{k.add(over(k.mul(d, d)), k.scalar(1e-5))})})
			y = k.op("Reshape", []string{y, k.ints(0, 4, 3, 8)})
			return k.transpose(k.add(k.mul(y, k.weight(8)), k.weight(8)), 0, 3, 1, 2)
		})},
		{"instance norm", 13, 4, 3, between(8, func(k *sketch, x string) string {
			return k.op("InstanceNormalization", []string{x, k.weight(8), k.weight(8)}, ir.FloatAttr("epsilon", 1e-5))
		})},
		{"channel and spatial attention", 13, 6, 5, between(8, attended)},
		{"largest, smallest and norms over channels", 13, 4, 3, folded(8, "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceProd")},
		{"biases and scales that were merged", 13, 4, 3, func(k *sketch, x string, plain bool) string {
			zero, one := k.same(0, 8), k.same(1, 8)
			own := func(v string) string {
				if plain {
					return k.weight(8)
				}
				return v
			}
			for _, in := range []int{3, 8, 8} {
				x = k.conv(x, in, 8, 3, own(zero))
				x = k.relu(k.op("BatchNormalization", []string{x, own(one), own(zero), k.weight(8), k.same(2, 8)}))
			}
			return k.conv(x, 8, 2, 1)
		}},
		{"one head on two levels", 13, 8, 6, func(k *sketch, x string, _ bool) string {
			y := k.relu(k.conv(x, 3, 8, 3))
			small := k.op("MaxPool", []string{y}, ir.IntsAttr("kernel_shape", 2, 2), ir.IntsAttr("strides", 2, 2))
			one, two := k.weight(6, 8, 3, 3), k.weight(4, 6, 3, 3)
			ends := []string{k.convBy(k.relu(k.convBy(y, one, 3)), two, 3)}
			ends = append(ends, k.convBy(k.relu(k.convBy(small, one, 3)), two, 3))
			for i, v := range ends {
				ends[i] = k.op("Reshape", []string{v, k.ints(0, 4, -1)})
			}
			return k.op("Concat", ends, ir.IntAttr("axis", 2))
		}},
	}
}

func (n network) model(plain bool) *ir.Model {
	k := &sketch{g: &ir.Graph{Name: "g"}, r: rand.New(rand.NewPCG(3, 1))}
	x := ir.TensorType(ir.Float32, -1, 3, n.h, n.w)
	x.Shape[0].Param = "batch"
	k.g.Inputs = []ir.Value{{Name: "image", Type: x}}
	k.g.Outputs = []ir.Value{{Name: n.build(k, "image", plain)}}
	return &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: n.opset}}, Graph: k.g}
}

// TestConvolutionVertices: what stands between convolutions follows their widths; the cut
// network runs at another batch as the supernet does there.
func TestConvolutionVertices(t *testing.T) {
	for _, n := range networks() {
		t.Run(n.name, func(t *testing.T) {
			m := n.model(false)
			checkVertices(t, subject{n.name, m, map[string]int{"batch": batch}, space.Options{Divisor: 2}, 2, 1e-9})
			checkOtherBatch(t, m, space.Options{Divisor: 2})
		})
	}
}

// checkOtherBatch compares a subnet cut at one batch with the supernet at another.
func checkOtherBatch(t *testing.T, m *ir.Model, o space.Options) {
	t.Helper()
	net := entangled(t, analysed(t, m, map[string]int{"batch": batch}), o, space.Reader)
	other := map[string]int{"batch": batch + 3}
	wide, err := space.Entangle(analysed(t, m, other), net.Space, space.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := cuttest.Program(t, wide)
	for i, c := range choices(net.Space, 1, 4)[1:] {
		small, err := subnet.Cut(net, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := maxDiff(runSuper(t, wide, p, net.Space.OneHot(c), 5), runModel(t, reimport(t, small), other, 5)); d > 1e-9 {
			t.Errorf("choice %d: cut at batch %d and run at %d: the outputs differ by %g", i, batch, batch+3, d)
		}
	}
}

// share is the part of the multiply-accumulates in nodes whose weights some dimension
// changes, and the number of widths.
func share(t *testing.T, m *ir.Model) (part float64, widths int) {
	t.Helper()
	an := analysed(t, m, map[string]int{"batch": 1})
	net := entangled(t, an, space.Options{Divisor: 2}, space.Every)
	changes := map[string]bool{}
	for i, e := range net.Effects {
		if net.Space.Dims[i].CountsUnits() {
			widths++
		}
		for _, x := range e.Axes {
			changes[x.Value] = changes[x.Value] || x.Mask
		}
	}
	elastic, all := 0.0, 0.0
	for _, p := range ops.ModelCost(an.Model, an.Facts).Nodes {
		all += p.MACs
		if slices.ContainsFunc(p.Node.Inputs, func(v string) bool { return changes[v] }) {
			elastic += p.MACs
		}
	}
	return elastic / all, widths
}

// TestElasticShare: what stands between convolutions takes no more than a twentieth of what
// is elastic without it.
func TestElasticShare(t *testing.T) {
	for _, n := range networks() {
		with, widths := share(t, n.model(false))
		without, plain := share(t, n.model(true))
		if with < 0.95*without || without < 0.9 || widths < plain {
			t.Errorf("%s: %.3f of the MACs are in elastic nodes, with %d widths; in its plain twin %.3f with %d", n.name, with, widths, without, plain)
		}
	}
}
