package workloads

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// transformer is a stack of layers with pre-normalisation.
type transformer struct {
	embed, depth, heads, hidden int
	// causal lets a position attend to itself and those before.
	causal bool
	// hiddens are the choices of the MLP's width, ascending, and skips the numbers of
	// last layers that may be left out, descending.
	hiddens, skips []int
}

// head is the width of one attention head.
const head = 64

// vit is a vision transformer on patches of so many pixels, with a class token.
type vit struct {
	transformer
	patch, classes int
}

var vitTiny = vit{transformer{embed: 192, depth: 12, heads: 3, hidden: 768, hiddens: []int{384, 576, 768}, skips: []int{2, 1, 0}}, 4, 10}

var vitSmall = vit{transformer{embed: 384, depth: 12, heads: 6, hidden: 1536, hiddens: []int{768, 1152, 1536}, skips: []int{2, 1, 0}}, 16, 1000}

// forward returns the network; with super, heads, MLP widths and depth are mixtures.
func (v vit) forward(super bool) forward {
	return func(n *net, x prim.ID) prim.ID {
		batch, e := n.Shape(x)[0], v.embed
		x = n.conv(x, n.kernel("patch", e, 3, v.patch), v.patch, 0, 1)
		x = n.Plus(x, n.Reshape(n.weight("patch.bias", full(0, e)), 1, e, 1, 1))
		tokens := prim.Prod(n.Shape(x)[2:])
		x = n.Transpose(n.Reshape(x, batch, e, tokens), 0, 2, 1)
		class := n.Broadcast(n.weight("class", full(0, 1, 1, e)), batch, 1, e)
		tokens++
		x = n.Plus(n.Concat(1, class, x), n.weight("position", normal("position", 0.02, 1, tokens, e)))
		x = v.layers(n, n.Reshape(x, batch*tokens, e), batch, super)
		x = n.Reshape(n.layerNorm("norm", x), batch, tokens, e)
		w, b := n.linear("head", v.classes, e)
		return n.dense(n.Squeeze(n.SliceAxis(x, 1, 0, 1), 1), w, b)
	}
}

// layers applies all layers to x [batch·tokens, embed]; with super, what leaves the last
// ones is a mixture.
func (v transformer) layers(n *net, x prim.ID, batch int, super bool) prim.ID {
	var kept []prim.ID
	for i := range v.depth {
		x = v.layer(n, fmt.Sprintf("layer%d", i), x, batch, super)
		for _, s := range v.skips {
			if i+1 == v.depth-s {
				kept = append(kept, x)
			}
		}
	}
	if super {
		x = n.weighted(n.mixture("depth", len(kept)), kept)
	}
	return x
}

// layer is attention and MLP on x [batch·tokens, embed], each with its residual.
func (v transformer) layer(n *net, name string, x prim.ID, batch int, super bool) prim.ID {
	e, inner := v.embed, v.heads*head
	tokens := n.Shape(x)[0] / batch
	y := n.layerNorm(name+".norm1", x)
	qkv, qkvBias := n.linear(name+".qkv", 3*inner, e)
	proj, projBias := n.linear(name+".proj", e, inner)
	if super {
		coef := n.mixture(name+".heads", v.heads)
		keep := make([]int, v.heads)
		for i := range keep {
			keep[i] = (i + 1) * head
		}
		rows := prefixes(inner, keep...)
		qkv = n.Reshape(n.masked(n.Reshape(qkv, 3, inner, e), coef, rows, 1), 3*inner, e)
		qkvBias = n.Reshape(n.masked(n.Reshape(qkvBias, 3, inner), coef, rows, 1), 3*inner)
		proj = n.masked(proj, coef, rows, 1)
	}
	z := n.Transpose(n.Reshape(n.dense(y, qkv, qkvBias), batch, tokens, 3, v.heads, head), 2, 0, 3, 1, 4)
	part := func(i int) prim.ID { return n.Squeeze(n.SliceAxis(z, 0, i, i+1), 0) }
	a := n.Scale(n.MatMul(part(0), part(1), false, true), 1/math.Sqrt(head))
	if v.causal {
		a = n.Plus(a, n.Const(causalMask(tokens)))
	}
	a = n.Softmax(a, 3)
	a = n.Transpose(n.MatMul(a, part(2), false, false), 0, 2, 1, 3)
	x = n.Plus(x, n.dense(n.Reshape(a, batch*tokens, inner), proj, projBias))

	y = n.layerNorm(name+".norm2", x)
	up, upBias := n.linear(name+".up", v.hidden, e)
	down, downBias := n.linear(name+".down", e, v.hidden)
	if super {
		coef, rows := n.mixture(name+".mlp", len(v.hiddens)), prefixes(v.hidden, v.hiddens...)
		up, upBias, down = n.masked(up, coef, rows, 0), n.masked(upBias, coef, rows, 0), n.masked(down, coef, rows, 1)
	}
	return n.Plus(x, n.dense(n.gelu(n.dense(y, up, upBias)), down, downBias))
}

// gelu returns x·Φ(x), Φ by the error function.
func (n *net) gelu(x prim.ID) prim.ID {
	phi := prim.Op(prim.Add, prim.L(1), prim.Op(prim.Erf, prim.Op(prim.Mul, prim.A(0), prim.L(1/math.Sqrt2))))
	return n.Map(prim.Op(prim.Mul, prim.Op(prim.Mul, prim.A(0), prim.L(0.5)), phi), x)
}

// weighted returns Σ coef[i]·in[i] of matrices.
func (n *net) weighted(coef prim.ID, in []prim.ID) prim.ID {
	var sum prim.ID
	for i, x := range in {
		y := n.Times(x, n.Reshape(n.SliceAxis(coef, 0, i, i+1), 1, 1))
		if i == 0 {
			sum = y
		} else {
			sum = n.Plus(sum, y)
		}
	}
	return sum
}
