package subnet_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// Sizes of the shifted-window sketch: a grid of side by side tokens in windows of window by
// window, heads of deep features in every block.
const side, window = 4, 2

// swin builds a network of windows: a block, one of shifted windows with a mask, the merging
// of neighbours and a block of twice the width. Biased, scores have a bias from a table with
// a row per distance within a window.
func swin(biased bool) *ir.Model {
	k := &sketch{style: style{norm: "layer", mlp: "erf"}, g: &ir.Graph{Name: "swin"}, r: rand.New(rand.NewPCG(5, 6)), once: map[string]string{}}
	t := ir.TensorType(ir.Float32, -1, side, side, 7)
	t.Shape[0].Param = "batch"
	k.g.Inputs = []ir.Value{{Name: "x", Type: t}}
	x := k.linear("x", 7, 2*heads)
	x = k.windowBlock(x, side, 2*heads, heads, 0, biased)
	x = k.windowBlock(x, side, 2*heads, heads, 1, biased)
	var parts []string
	for i := range 4 {
		part := k.slice(k.slice(x, 1, i%2, math.MaxInt64, 2), 2, i/2, math.MaxInt64, 2)
		parts = append(parts, part)
	}
	x = k.op("Concat", parts, ir.IntAttr("axis", -1))
	x = k.op("MatMul", []string{k.layerNorm(x, 8*heads), k.weight(8*heads, 4*heads)})
	x = k.windowBlock(x, side/2, 4*heads, 2*heads, 0, biased)
	x = k.op("ReduceMean", []string{k.layerNorm(x, 4*heads)}, ir.IntsAttr("axes", 1, 2), ir.IntAttr("keepdims", 0))
	y := k.op("Gemm", []string{x, k.weight(4*heads, 3)})
	k.g.Outputs = []ir.Value{{Name: y}}
	return &ir.Model{IRVersion: 10, Opsets: []ir.Opset{{Version: 17}}, Graph: k.g}
}

func (k *sketch) layerNorm(x string, wide int) string {
	return k.op("LayerNormalization", []string{x, k.weight(wide), k.weight(wide)}, ir.IntAttr("axis", -1), ir.FloatAttr("epsilon", 1e-5))
}

// roll moves the positions of an axis of that size in a circle.
func (k *sketch) roll(x string, axis, by, size int) string {
	return k.op("Concat", []string{k.slice(x, axis, by, size, 1), k.slice(x, axis, 0, by, 1)}, ir.IntAttr("axis", axis))
}

// windowBlock is a block of a grid [B,side,side,wide].
func (k *sketch) windowBlock(x string, side, wide, heads, shift int, biased bool) string {
	n, tokens, deep := side/window, int64(window*window), int64(wide/heads)
	y := k.layerNorm(x, wide)
	if shift > 0 {
		y = k.roll(k.roll(y, 1, shift, side), 2, shift, side)
	}
	y = k.op("Reshape", []string{y, k.ints(-1, int64(n), window, int64(n), window, int64(wide))})
	y = k.op("Reshape", []string{k.transpose(y, 0, 1, 3, 2, 4, 5), k.ints(-1, tokens, int64(wide))})
	y = k.op("Reshape", []string{k.linear(y, wide, 3*wide), k.ints(-1, tokens, 3, int64(heads), deep)})
	y = k.transpose(y, 2, 0, 3, 1, 4)
	var p [3]string
	for i := range p {
		p[i] = k.op("Gather", []string{y, k.init(ir.NewInt64(k.name("i"), nil, []int64{int64(i)}))}, ir.IntAttr("axis", 0))
	}
	s := k.op("MatMul", []string{k.mul(p[0], k.scalar(1/math.Sqrt(float64(deep)))), k.transpose(p[1], 0, 1, 3, 2)})
	if biased {
		var index []int64
		for i := range tokens * tokens {
			a, b := i/tokens, i%tokens
			index = append(index, (a/window-b/window+window-1)*(2*window-1)+a%window-b%window+window-1)
		}
		rows := k.op("Gather", []string{k.weight((2*window-1)*(2*window-1), heads), k.ints(index...)}, ir.IntAttr("axis", 0))
		bias := k.transpose(k.op("Reshape", []string{rows, k.ints(tokens, tokens, int64(heads))}), 2, 0, 1)
		s = k.add(s, k.op("Unsqueeze", []string{bias, k.ints(0)}))
	}
	if shift > 0 {
		mask := make([]float32, n*n*int(tokens*tokens))
		for i := range mask {
			if i/int(tokens)%2 != i%2 {
				mask[i] = -100
			}
		}
		s = k.op("Reshape", []string{s, k.ints(-1, int64(n*n), int64(heads), tokens, tokens)})
		s = k.add(s, k.init(ir.NewFloat32(k.name("m"), []int{1, n * n, 1, int(tokens), int(tokens)}, mask)))
		s = k.op("Reshape", []string{s, k.ints(-1, int64(heads), tokens, tokens)})
	}
	y = k.op("MatMul", []string{k.op("Softmax", []string{s}, ir.IntAttr("axis", -1)), p[2]})
	y = k.op("Reshape", []string{k.transpose(y, 0, 2, 1, 3), k.ints(-1, tokens, int64(wide))})
	y = k.linear(y, wide, wide)
	y = k.op("Reshape", []string{y, k.ints(-1, int64(n), int64(n), window, window, int64(wide))})
	y = k.op("Reshape", []string{k.transpose(y, 0, 1, 3, 2, 4, 5), k.ints(-1, int64(side), int64(side), int64(wide))})
	if shift > 0 {
		y = k.roll(k.roll(y, 1, side-shift, side), 2, side-shift, side)
	}
	x = k.add(x, y)
	h := k.linear(k.layerNorm(x, wide), wide, 2*wide)
	h = k.mul(h, k.op("Sigmoid", []string{h}))
	return k.add(x, k.linear(h, 2*wide, wide))
}

// TestVertexWindows: heads, widths and depth of shifted windows are elastic and exact.
func TestVertexWindows(t *testing.T) {
	s := subject{"swin", swin(true), map[string]int{"batch": batch}, space.Options{Divisor: 1, MinRatio: 0.1}, 3, 1e-10}
	wantOffer(t, s, 6, map[string]int{
		fmt.Sprint(true, " ", heads): 2, fmt.Sprint(true, " ", 2*heads): 1, fmt.Sprint(false, " ", 4*heads): 3, fmt.Sprint(false, " ", 8*heads): 1, fmt.Sprint(false, " ", 2*heads): 1,
	})
	checkVertices(t, s)
}

// TestBiasTablesCostNothing: a table of biases per head takes neither steps of the heads nor
// share of the products that are elastic.
func TestBiasTablesCostNothing(t *testing.T) {
	plain := style{pad: true, qkv: "separate", norm: "rms-spelled", kv: heads, mlp: "tanh", computed: true}
	own, shared, whole := plain, plain, plain
	own.bias, shared.bias, whole.fused = "own", "shared", "whole"
	with := whole
	with.bias = "own"
	for _, c := range []struct {
		name        string
		plain, with *ir.Model
	}{{"own", transformer(plain), transformer(own)}, {"shared", transformer(plain), transformer(shared)}, {"one node", transformer(whole), transformer(with)}, {"windows", swin(false), swin(true)}} {
		t.Run(c.name, func(t *testing.T) {
			want, wantHeads := elasticShare(t, c.plain)
			got, gotHeads := elasticShare(t, c.with)
			if got < 0.95*want {
				t.Errorf("share of products that may go: want at least 0.95 of %.3f, got %.3f", want, got)
			}
			slices.Sort(gotHeads)
			slices.Sort(wantHeads)
			if w, g := slices.Compact(wantHeads), slices.Compact(gotHeads); !slices.Equal(g, w) {
				t.Errorf("choices of heads: want %v, got %v", w, g)
			}
		})
	}
}

// elasticShare returns the share of the products that the smallest subnet goes without, and
// the choices of each group of heads, under the usual options.
func elasticShare(t *testing.T, m *ir.Model) (share float64, choices []string) {
	t.Helper()
	an := analysed(t, m, map[string]int{"batch": batch})
	net := entangled(t, an, space.Options{Kinds: []string{"width"}}, space.Every)
	costs, err := net.Costs()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range an.Groups {
		for _, d := range net.Space.Dims {
			if g.Heads && d.Node == g.Name {
				choices = append(choices, fmt.Sprint(d.Choices))
			}
		}
	}
	macs := costs["macs"]
	return 1 - macs.At(net.Space.Smallest())/macs.At(net.Space.Largest()), choices
}
