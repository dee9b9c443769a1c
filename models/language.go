package models

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/ir"
)

// wireEncoder is BERT-like: token, type and position embeddings, post-norm blocks
// with an additive padding mask, a pooler on the first position and a classifier.
// Devlin et al., 2019.
func wireEncoder(n *Net, o Options) {
	ids, mask, kind := n.InputInts("input_ids", o.Size), n.InputInts("attention_mask", o.Size), n.InputInts("token_type_ids", o.Size)
	x := n.Add("embed.add", n.Embed("embed.word", ids, o.Vocab, o.Width), n.Embed("embed.type", kind, 2, o.Width))
	x = n.LayerNorm("embed.norm", n.Positions("embed.position", x, o.Size), true)
	x = n.Dropout("embed.dropout", x, 0.1)
	hide := n.Padding(mask)
	for i := range o.Depth {
		name := fmt.Sprintf("layer%d", i)
		q, k, v := n.separate(name+".attn", x, o.Heads, n.headWidth(o))
		y := n.Dense(name+".attn.out", n.Attend(name+".attn", q, k, v, hide), o.Width, true)
		y = n.Dropout(name+".attn.dropout", y, 0.1)
		x = n.LayerNorm(name+".norm1", n.Add(name+".add1", y, x), true)
		y = n.Dropout(name+".mlp.dropout", n.mlp(name+".mlp", x, 4*o.Width, true), 0.1)
		x = n.LayerNorm(name+".norm2", n.Add(name+".add2", y, x), true)
	}
	x = n.Unary("Tanh", "pooler.tanh", n.Linear("pooler", n.at("first", x, 0), o.Width))
	n.Output("logits", n.Linear("classifier", n.Dropout("dropout", x, 0.1), o.Classes))
}

// wireDecoder is GPT-like: learned positions, pre-norm blocks with a fused
// projection cut by Split, a mask that selects, and a head tied to the embedding
// by a Transpose. Radford et al., 2019.
func wireDecoder(n *Net, o Options) {
	n.gpt(gpt{vocab: o.Vocab, seq: o.Size, embed: o.Width, bias: true, drop: 0.1, layers: repeated(o.Depth, gptLayer{o.Heads, n.headWidth(o), 4 * o.Width})})
}

type gptLayer struct{ heads, width, hidden int }

type gpt struct {
	vocab, seq, embed int
	bias              bool
	drop              float64
	layers            []gptLayer
}

func repeated[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func (n *Net) gpt(g gpt) {
	x := n.Embed("wte", n.InputInts("input_ids", g.seq), g.vocab, g.embed)
	x = n.Dropout("dropout", n.Positions("wpe", x, g.seq), g.drop)
	see := n.Causal(g.seq)
	for i, l := range g.layers {
		name := fmt.Sprintf("h%d", i)
		q, k, v := n.cut(name+".attn", n.LayerNorm(name+".ln1", x, g.bias), l.heads, l.width, g.bias)
		y := n.Dense(name+".attn.out", n.Attend(name+".attn", q, k, v, see), g.embed, g.bias)
		x = n.Add(name+".add1", x, n.Dropout(name+".attn.dropout", y, g.drop))
		y = n.mlp(name+".mlp", n.LayerNorm(name+".ln2", x, g.bias), l.hidden, g.bias)
		x = n.Add(name+".add2", x, n.Dropout(name+".mlp.dropout", y, g.drop))
	}
	n.Output("logits", n.tied("head", n.LayerNorm("ln", x, g.bias), "wte.weight", g.vocab))
}

// tied appends the product with a transposed embedding table.
func (n *Net) tied(name string, x Val, table string, vocab int) Val {
	if n.err != nil {
		return Val{}
	}
	seq, width := x.Shape[0], x.Shape[1]
	t := n.Node("Transpose", name+".swap", []Val{{table, []int{vocab, width}}}, []int{width, vocab}, ir.IntsAttr("perm", 1, 0))
	n.macs += seq * width * vocab
	return n.Node("MatMul", name, []Val{x, t}, []int{seq, vocab})
}

// wireLlama is Llama-like: RMSNorm spelled out, rotary positions, half as many key
// and value heads as query heads, SwiGLU, no biases, and a head tied to the embedding
// by a Gemm. Touvron et al., 2023.
func wireLlama(n *Net, o Options) {
	heads, kv := o.Heads, max(o.Heads/2, 1)
	width := n.headWidth(o)
	x := n.Embed("embed", n.InputInts("input_ids", o.Size), o.Vocab, o.Width)
	see := n.Causal(o.Size)
	turn := n.rotary(o.Size, width)
	for i := range o.Depth {
		name := fmt.Sprintf("layer%d", i)
		y := n.RMSNorm(name+".norm1", x)
		q := turn(name+".attn.q.rope", n.Heads(name+".attn.q.heads", n.Dense(name+".attn.q", y, heads*width, false), heads))
		k := turn(name+".attn.k.rope", n.Heads(name+".attn.k.heads", n.Dense(name+".attn.k", y, kv*width, false), kv))
		v := n.Heads(name+".attn.v.heads", n.Dense(name+".attn.v", y, kv*width, false), kv)
		k, v = n.repeat(name+".attn.k.repeat", k, heads), n.repeat(name+".attn.v.repeat", v, heads)
		x = n.Add(name+".add1", x, n.Dense(name+".attn.out", n.Attend(name+".attn", q, k, v, see), o.Width, false))
		y = n.RMSNorm(name+".norm2", x)
		hidden := max(o.Width*8/3/8*8, 8)
		y = n.Mul(name+".mlp.mul", n.Silu(name+".mlp.silu", n.Dense(name+".mlp.gate", y, hidden, false)), n.Dense(name+".mlp.up", y, hidden, false))
		x = n.Add(name+".add2", x, n.Dense(name+".mlp.down", y, o.Width, false))
	}
	x = n.RMSNorm("norm", x)
	if n.err != nil {
		return
	}
	flat := n.Node("Reshape", "head.flat", []Val{x, n.ints("head.flat.shape", -1, o.Width)}, []int{o.Width})
	n.macs += o.Size * o.Width * o.Vocab
	y := n.Node("Gemm", "head", []Val{flat, {"embed.weight", []int{o.Vocab, o.Width}}}, []int{o.Vocab}, ir.IntAttr("transB", 1))
	n.Output("logits", n.Node("Reshape", "head.split", []Val{y, n.ints("head.split.shape", -1, o.Size, o.Vocab)}, []int{o.Size, o.Vocab}))
}

// rotary returns the rotation of pairs (i, i+width/2) of [heads, seq, width] by
// the angle position·10000^(−2i/width). Su et al., "RoFormer", 2021.
func (n *Net) rotary(seq, width int) func(name string, x Val) Val {
	if n.err == nil && width%2 != 0 {
		n.fail("rotary positions: want heads of an even width, got %d", width)
	}
	var table [2]Val
	for i, f := range []struct {
		name string
		f    func(float64) float64
	}{{"cos", math.Cos}, {"sin", math.Sin}} {
		at := -1
		t := n.Param("rope."+f.name, []int{2 * seq, width}, n.computed(func() float64 {
			at++
			pair := at % width % max(width/2, 1)
			return f.f(float64(at/width) * math.Pow(10000, -2*float64(pair)/float64(width)))
		}))
		table[i] = n.Node("Slice", "rope."+f.name+".cut", []Val{t, n.ints("rope."+f.name+".from", 0), n.ints("rope."+f.name+".to", seq), n.ints("rope."+f.name+".axis", 0)}, []int{seq, width})
	}
	return func(name string, x Val) Val {
		if n.err != nil {
			return Val{}
		}
		low, high := n.slice(name+".low", x, 0, width/2), n.slice(name+".high", x, width/2, width)
		turned := n.Node("Concat", name+".turned", []Val{n.Unary("Neg", name+".neg", high), low}, x.Shape, ir.IntAttr("axis", -1))
		a := n.Node("Mul", name+".cos", []Val{x, table[0]}, x.Shape)
		b := n.Node("Mul", name+".sin", []Val{turned, table[1]}, x.Shape)
		return n.Add(name, a, b)
	}
}

// slice takes [from, to) of the last axis.
func (n *Net) slice(name string, x Val, from, to int) Val {
	shape := append([]int{}, x.Shape...)
	shape[len(shape)-1] = to - from
	return n.Node("Slice", name, []Val{x, n.ints(name+".from", from), n.ints(name+".to", to), n.ints(name+".axis", -1)}, shape)
}

// repeat gives every one of [kv, seq, width] heads/kv times in a row, as exporters
// write grouped queries: Unsqueeze, Expand, Reshape.
func (n *Net) repeat(name string, x Val, heads int) Val {
	if n.err != nil {
		return Val{}
	}
	kv, seq, width := x.Shape[0], x.Shape[1], x.Shape[2]
	if heads%kv != 0 {
		return n.fail("node %q: want query heads that %d key heads divide, got %d", name, kv, heads)
	}
	if heads == kv {
		return x
	}
	y := n.Node("Unsqueeze", name+".axis", []Val{x, n.ints(name+".axes", 2)}, []int{kv, 1, seq, width})
	y = n.Node("Expand", name+".expand", []Val{y, n.ints(name+".times", 1, 1, heads/kv, 1, 1)}, []int{kv, heads / kv, seq, width})
	return n.Reshape(name, y, heads, seq, width)
}
