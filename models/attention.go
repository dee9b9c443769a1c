package models

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/ir"
)

// Normal draws from N(0, std²).
func Normal(std float64) Draw {
	return func(s *rng.Stream) float64 { return std * s.NormFloat64() }
}

// Dense appends a product of the last axis with a [in, out] weight, and with bias
// an Add.
func (n *Net) Dense(name string, x Val, out int, bias bool) Val {
	if n.err != nil {
		return Val{}
	}
	last := len(x.Shape) - 1
	if last < 0 {
		return n.fail("node %q (MatMul): want features, got a scalar", name)
	}
	in := x.Shape[last]
	shape := append(slices.Clone(x.Shape[:last]), out)
	n.macs += ir.Prod(x.Shape) * out
	y := n.Node("MatMul", name, []Val{x, n.Param(name+".weight", []int{in, out}, Xavier(in, out))}, shape)
	if !bias {
		return y
	}
	return n.Node("Add", name+".add", []Val{n.Param(name+".bias", []int{out}, n.around(0, 0.2)), y}, shape)
}

// LayerNorm appends a LayerNormalization of the last axis, with a bias or without.
func (n *Net) LayerNorm(name string, x Val, bias bool) Val {
	if n.err != nil {
		return Val{}
	}
	c := x.Shape[len(x.Shape)-1:]
	in := []Val{x, n.Param(name+".weight", c, n.around(1, 0.5))}
	if bias {
		in = append(in, n.Param(name+".bias", c, n.around(0, 0.3)))
	}
	return n.Node("LayerNormalization", name, in, x.Shape, ir.IntAttr("axis", -1), ir.FloatAttr("epsilon", 1e-5))
}

// RMSNorm appends x/√(mean(x²)+ε)·weight over the last axis, spelled out.
// Zhang and Sennrich, "Root mean square layer normalization", 2019.
func (n *Net) RMSNorm(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	one := append(slices.Clone(x.Shape[:len(x.Shape)-1]), 1)
	s := n.Node("Pow", name+".square", []Val{x, n.scalar("two", 2)}, x.Shape)
	s = n.Node("ReduceMean", name+".mean", []Val{s}, one, ir.IntsAttr("axes", -1), ir.IntAttr("keepdims", 1))
	s = n.Node("Add", name+".eps", []Val{s, n.scalar("rms.epsilon", 1e-5)}, one)
	s = n.Unary("Reciprocal", name+".recip", n.Unary("Sqrt", name+".sqrt", s))
	y := n.Node("Mul", name+".norm", []Val{x, s}, x.Shape)
	return n.Node("Mul", name+".scale", []Val{n.Param(name+".weight", x.Shape[len(x.Shape)-1:], n.around(1, 0.5)), y}, x.Shape)
}

// Gelu appends x·Φ(x) spelled with Erf, as exporters write it before opset 20.
func (n *Net) Gelu(name string, x Val) Val {
	y := n.Node("Div", name+".div", []Val{x, n.scalar("sqrt2", math.Sqrt2)}, x.Shape)
	y = n.Unary("Erf", name+".erf", y)
	y = n.Node("Add", name+".add", []Val{y, n.scalar("one", 1)}, x.Shape)
	y = n.Node("Mul", name+".mul", []Val{x, y}, x.Shape)
	return n.Node("Mul", name+".half", []Val{y, n.scalar("half", 0.5)}, x.Shape)
}

// Silu appends x·sigmoid(x).
func (n *Net) Silu(name string, x Val) Val {
	return n.Mul(name+".mul", x, n.Unary("Sigmoid", name+".sigmoid", x))
}

// Embed appends the rows of a [count, width] table, named name+".weight", at ids.
func (n *Net) Embed(name string, ids Val, count, width int) Val {
	if n.err != nil {
		return Val{}
	}
	table := n.Param(name+".weight", []int{count, width}, Normal(0.02*n.spread()))
	return n.Node("Gather", name, []Val{table, ids}, append(slices.Clone(ids.Shape), width), ir.IntAttr("axis", 0))
}

// spread is 1, and larger under Scatter, where small networks are to have features
// of the size of 1.
func (n *Net) spread() float64 {
	if n.o.Scatter {
		return 25
	}
	return 1
}

// Positions adds a learned vector per position, read from a table by a constant
// index.
func (n *Net) Positions(name string, x Val, count int) Val {
	if n.err != nil {
		return Val{}
	}
	seq, width := x.Shape[0], x.Shape[1]
	if count < seq {
		return n.fail("node %q (Gather): want a table of at least %d positions, got %d", name, seq, count)
	}
	at := make([]int, seq)
	for i := range at {
		at[i] = i
	}
	p := n.Embed(name, n.ints(name+".ids", at...), count, width)
	return n.Node("Add", name+".add", []Val{x, p}, x.Shape)
}

// Heads cuts the last axis of [seq, heads·width] and puts heads first: [heads, seq, width].
func (n *Net) Heads(name string, x Val, heads int) Val {
	if n.err != nil {
		return Val{}
	}
	seq, all := x.Shape[0], x.Shape[1]
	if heads < 1 || all%heads != 0 {
		return n.fail("node %q (Reshape): want a width that %d heads divide, got %d", name, heads, all)
	}
	y := n.Reshape(name+".split", x, seq, heads, all/heads)
	return n.Node("Transpose", name+".swap", []Val{y}, []int{heads, seq, all / heads}, ir.IntsAttr("perm", 0, 2, 1, 3))
}

// Score is a step between the scaled products of queries and keys and their
// softmax, such as a mask; it gets and returns [heads, seq, seq].
type Score func(name string, x Val) Val

// Attend appends softmax(q·kᵀ/√width)·v for q, k, v of shape [heads, seq, width]
// and joins the heads: [seq, heads·width].
func (n *Net) Attend(name string, q, k, v Val, mask Score) Val {
	if n.err != nil {
		return Val{}
	}
	heads, seq, width := q.Shape[0], q.Shape[1], q.Shape[2]
	if !slices.Equal(q.Shape, k.Shape) || !slices.Equal(q.Shape, v.Shape) {
		return n.fail("node %q: want queries, keys and values of one shape, got %v, %v, %v", name, q.Shape, k.Shape, v.Shape)
	}
	return n.join(name+".join", n.mix(name, n.weights(name, q, k, mask), v, heads, seq, width))
}

// weights appends the softmax of scores.
func (n *Net) weights(name string, q, k Val, mask Score) Val {
	if n.err != nil {
		return Val{}
	}
	heads, seq, width := q.Shape[0], q.Shape[1], q.Shape[2]
	square := []int{heads, seq, seq}
	kt := n.Node("Transpose", name+".keys", []Val{k}, []int{heads, width, seq}, ir.IntsAttr("perm", 0, 1, 3, 2))
	n.macs += heads * seq * seq * width
	s := n.Node("MatMul", name+".scores", []Val{q, kt}, square)
	s = n.Node("Mul", name+".scaled", []Val{s, n.scalar(name+".scale", 1/math.Sqrt(float64(width)))}, square)
	if mask != nil {
		s = mask(name+".mask", s)
	}
	return n.Unary("Softmax", name+".softmax", s, ir.IntAttr("axis", -1))
}

func (n *Net) mix(name string, w, v Val, heads, seq, width int) Val {
	n.macs += heads * seq * seq * width
	return n.Node("MatMul", name+".mix", []Val{w, v}, []int{heads, seq, width})
}

// join puts heads behind positions: [heads, seq, width] to [seq, heads·width].
func (n *Net) join(name string, x Val) Val {
	if n.err != nil {
		return Val{}
	}
	heads, seq, width := x.Shape[0], x.Shape[1], x.Shape[2]
	y := n.Node("Transpose", name+".swap", []Val{x}, []int{seq, heads, width}, ir.IntsAttr("perm", 0, 2, 1, 3))
	return n.Reshape(name, y, seq, heads*width)
}

// Causal returns a mask that hides later positions by selection.
func (n *Net) Causal(seq int) Score {
	return func(name string, x Val) Val {
		keep := Val{"causal", []int{1, 1, seq, seq}}
		if n.err == nil && !n.used["value causal"] && n.claim("value", "causal") {
			see := make([]int64, seq*seq)
			for i := range see {
				if i%seq <= i/seq {
					see[i] = 1
				}
			}
			t, err := ir.NewInts("causal", ir.Bool, keep.Shape, see)
			if err != nil {
				return n.fail("initialiser %q: %w", "causal", err)
			}
			n.m.Graph.Inits = append(n.m.Graph.Inits, t)
		}
		return n.Node("Where", name, []Val{keep, x, n.scalar("hidden", -1e9)}, x.Shape)
	}
}

// Padding returns a mask that adds −10⁴ where mask, an int64 input [seq], is 0.
func (n *Net) Padding(mask Val) Score {
	if n.err != nil {
		return nil
	}
	one := []int{1, 1, mask.Shape[0]}
	m := n.Node("Unsqueeze", "mask.unsqueeze", []Val{mask, n.ints("mask.axes", 1, 2)}, one)
	m = n.Node("Cast", "mask.cast", []Val{m}, one, ir.IntAttr("to", 1))
	m = n.Node("Sub", "mask.invert", []Val{n.scalar("one", 1), m}, one)
	m = n.Node("Mul", "mask.far", []Val{m, n.scalar("mask.least", -10000)}, one)
	return func(name string, x Val) Val { return n.Node("Add", name, []Val{x, m}, x.Shape) }
}

// Split cuts the last axis into equal parts.
func (n *Net) Split(name string, x Val, parts int) []Val {
	out := make([]Val, parts)
	if !n.claim("node", name) {
		return out
	}
	last := len(x.Shape) - 1
	if last < 0 || x.Shape[last]%parts != 0 {
		n.fail("node %q (Split): want a width that %d parts divide, got %v", name, parts, x.Shape)
		return out
	}
	node := &ir.Node{Name: name, OpType: "Split", Attrs: []ir.Attr{ir.IntAttr("axis", -1)}}
	shape := append(slices.Clone(x.Shape[:last]), x.Shape[last]/parts)
	sizes := n.ints(name+".sizes", fill(parts, shape[last])...)
	node.Inputs = []string{x.Name, sizes.Name}
	for i := range out {
		out[i] = Val{fmt.Sprintf("%s.out%d", name, i), shape}
		if !n.claim("value", out[i].Name) {
			return out
		}
		node.Outputs = append(node.Outputs, out[i].Name)
	}
	n.m.Graph.Nodes = append(n.m.Graph.Nodes, node)
	return out
}
