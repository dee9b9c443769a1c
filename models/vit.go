package models

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// wireViT is a vision transformer: a convolution over patches, a class
// token, learned positions, pre-norm blocks with separate queries, keys and values,
// and a linear head on the class token. Dosovitskiy et al., 2021.
func wireViT(n *Net, o Options) { n.vit(o, n.separate) }

// wireViTFused is wireViT with one product for queries, keys and values, cut by
// Reshape, Transpose and Gather as timm's models are exported.
func wireViTFused(n *Net, o Options) { n.vit(o, n.fused) }

// project makes queries, keys and values [heads, seq, width] of x [seq, features].
type project func(name string, x Val, heads, width int) (q, k, v Val)

func (n *Net) vit(o Options, qkv project) {
	x := n.patches(o, o.Patch, o.Width)
	for i := range o.Depth {
		name := fmt.Sprintf("block%d", i)
		q, k, v := qkv(name+".attn", n.LayerNorm(name+".norm1", x, true), o.Heads, n.headWidth(o))
		y := n.Dense(name+".attn.out", n.Attend(name+".attn", q, k, v, nil), o.Width, true)
		x = n.Add(name+".add1", x, y)
		y = n.mlp(name+".mlp", n.LayerNorm(name+".norm2", x, true), 4*o.Width, true)
		x = n.Add(name+".add2", x, y)
	}
	x = n.LayerNorm("norm", x, true)
	n.Output("logits", n.Linear("head", n.at("token", x, 0), o.Classes))
}

// headWidth returns the features per head.
func (n *Net) headWidth(o Options) int {
	if o.Heads < 1 || o.Width%o.Heads != 0 {
		n.fail("want a width that %d heads divide, got %d", o.Heads, o.Width)
	}
	return max(o.Width/max(o.Heads, 1), 1)
}

// patches appends the stem: [1 + patches, width]. What a patch leaves of a side is not read.
func (n *Net) patches(o Options, patch, width int) Val {
	x := n.Conv("patch", n.Input("image", o.Channels, o.Size, o.Size), width, ConvOptions{Kernel: patch, Stride: patch, Valid: true, Bias: true})
	if n.err != nil {
		return Val{}
	}
	count := x.Shape[1] * x.Shape[2]
	x = n.Reshape("patch.flat", x, width, count)
	x = n.Node("Transpose", "patch.swap", []Val{x}, []int{count, width}, ir.IntsAttr("perm", 0, 2, 1))
	size := n.Node("Shape", "batch.shape", []Val{x}, []int{3})
	size = n.Node("Slice", "batch.size", []Val{size, n.ints("batch.from", 0), n.ints("batch.to", 1)}, []int{1})
	size = n.Node("Concat", "cls.shape", []Val{size, n.ints("cls.size", 1, width)}, []int{3}, ir.IntAttr("axis", 0))
	cls := n.Node("Expand", "cls", []Val{n.Param("cls.token", []int{1, 1, width}, Normal(0.02*n.spread())), size}, []int{1, width})
	x = n.Node("Concat", "tokens", []Val{cls, x}, []int{count + 1, width}, ir.IntAttr("axis", 1))
	return n.Node("Add", "position.add", []Val{x, n.Param("position", []int{1, count + 1, width}, Normal(0.02*n.spread()))}, x.Shape)
}

// at takes one position of [seq, features].
func (n *Net) at(name string, x Val, position int) Val {
	if n.err != nil {
		return Val{}
	}
	return n.Node("Gather", name, []Val{x, n.index(name+".index", position)}, x.Shape[1:], ir.IntAttr("axis", 1))
}

// separate projects by three products.
func (n *Net) separate(name string, x Val, heads, width int) (q, k, v Val) {
	var out [3]Val
	for i, role := range []string{".q", ".k", ".v"} {
		out[i] = n.Heads(name+role+".heads", n.Dense(name+role, x, heads*width, true), heads)
	}
	return out[0], out[1], out[2]
}

// fused projects by one product, cut by Reshape, Transpose and Gather.
func (n *Net) fused(name string, x Val, heads, width int) (q, k, v Val) {
	if n.err != nil {
		return
	}
	seq := x.Shape[0]
	y := n.Dense(name+".qkv", x, 3*heads*width, true)
	y = n.Reshape(name+".qkv.split", y, seq, 3, heads, width)
	y = n.Node("Transpose", name+".qkv.swap", []Val{y}, []int{3, heads, seq, width}, ir.IntsAttr("perm", 0, 2, 3, 1, 4))
	var out [3]Val
	for i, role := range []string{".q", ".k", ".v"} {
		out[i] = n.Node("Gather", name+role, []Val{y, n.index(name+role+".index", i)}, []int{heads, seq, width}, ir.IntAttr("axis", 1))
	}
	return out[0], out[1], out[2]
}

// cut projects by one product, cut by Split.
func (n *Net) cut(name string, x Val, heads, width int, bias bool) (q, k, v Val) {
	if n.err != nil {
		return
	}
	y := n.Dense(name+".qkv", x, 3*heads*width, bias)
	parts := n.Split(name+".qkv.split", y, 3)
	var out [3]Val
	for i, role := range []string{".q", ".k", ".v"} {
		out[i] = n.Heads(name+role, parts[i], heads)
	}
	return out[0], out[1], out[2]
}

// mlp appends two layers with a Gelu between them.
func (n *Net) mlp(name string, x Val, hidden int, bias bool) Val {
	if n.err != nil {
		return Val{}
	}
	y := n.Gelu(name+".gelu", n.Dense(name+".up", x, hidden, bias))
	return n.Dense(name+".down", y, x.Shape[len(x.Shape)-1], bias)
}
