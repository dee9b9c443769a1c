package models

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/ir"
)

// AutoFormer is one architecture of the AutoFormer space: pre-norm vision
// transformer blocks of 64-wide heads with relative positions in two dimensions,
// and the mean over patches before the head. Chen et al., "AutoFormer", 2021.
type AutoFormer struct {
	Embed int
	// Heads and Ratios give, per block, attention heads and MLP width over Embed.
	Heads  []int
	Ratios []float64

	patch, head, reach int // 16, 64 and 14 unless set
}

// AutoFormerSpace is the choices of AutoFormer-T or -S.
type AutoFormerSpace struct {
	Embeds, Depths, Heads []int
	Ratios                []float64
}

// The spaces of the paper.
var (
	AutoFormerT = AutoFormerSpace{Embeds: []int{192, 216, 240}, Depths: []int{12, 13, 14}, Heads: []int{3, 4}, Ratios: []float64{3.5, 4}}
	AutoFormerS = AutoFormerSpace{Embeds: []int{320, 384, 448}, Depths: []int{12, 13, 14}, Heads: []int{5, 6, 7}, Ratios: []float64{3, 3.5, 4}}
)

// Size returns the number of architectures.
func (s AutoFormerSpace) Size() float64 {
	total := 0.0
	for _, d := range s.Depths {
		total += math.Pow(float64(len(s.Heads)*len(s.Ratios)), float64(d))
	}
	return total * float64(len(s.Embeds))
}

// Largest returns the architecture whose weights the others share.
func (s AutoFormerSpace) Largest() AutoFormer {
	last := len(s.Depths) - 1
	return AutoFormer{Embed: s.Embeds[len(s.Embeds)-1], Heads: repeated(s.Depths[last], s.Heads[len(s.Heads)-1]), Ratios: repeated(s.Depths[last], s.Ratios[len(s.Ratios)-1])}
}

var (
	autoFormerDefaults = Options{Classes: 1000, Channels: 3, Size: 224}
	tinyAutoFormer     = AutoFormer{Embed: 12, Heads: []int{2, 1}, Ratios: []float64{2, 3}, patch: 16, head: 8, reach: 2}
)

// Build returns the network; defaults are 1000 classes and images of 3×224×224.
func (a AutoFormer) Build(o Options) (*ir.Model, error) { return a.Entry().Build(o) }

// Entry returns the network as an entry, for Build and Count.
func (a AutoFormer) Entry() Entry {
	return Entry{Name: "autoformer", Defaults: autoFormerDefaults, Wire: a.wire}
}

func (a AutoFormer) wire(n *Net, o Options) {
	if len(a.Heads) != len(a.Ratios) {
		n.fail("AutoFormer: want heads and a ratio for every block, got %d and %d", len(a.Heads), len(a.Ratios))
		return
	}
	if a.patch == 0 {
		a.patch, a.head, a.reach = 16, 64, 14
	}
	x := n.patches(o, a.patch, a.Embed)
	side := o.Size / a.patch
	for i, heads := range a.Heads {
		name := fmt.Sprintf("block%d", i)
		q, k, v := n.cut(name+".attn", n.LayerNorm(name+".norm1", x, true), heads, a.head, true)
		y := n.relative(name+".attn", q, k, v, side, a.reach)
		x = n.Add(name+".add1", x, n.Dense(name+".attn.out", y, a.Embed, true))
		y = n.mlp(name+".mlp", n.LayerNorm(name+".norm2", x, true), int(float64(a.Embed)*a.Ratios[i]), true)
		x = n.Add(name+".add2", x, y)
	}
	x = n.LayerNorm("norm", x, true)
	if n.err != nil {
		return
	}
	count := x.Shape[0] - 1
	x = n.Node("Slice", "patches", []Val{x, n.ints("patches.from", 1), n.ints("patches.to", count+1), n.ints("patches.axis", 1)}, []int{count, a.Embed})
	x = n.Node("ReduceMean", "pool", []Val{x}, []int{a.Embed}, ir.IntsAttr("axes", 1), ir.IntAttr("keepdims", 0))
	n.Output("logits", n.Linear("head", x, o.Classes))
}

// relative is Attend with vectors per relative position on keys and values:
// scores q·(k + a)ᵀ and results w·(v + b), a and b the sums of a vector for the
// vertical and one for the horizontal distance, cut to ±reach. Shaw et al., 2018.
func (n *Net) relative(name string, q, k, v Val, side, reach int) Val {
	if n.err != nil {
		return Val{}
	}
	heads, seq, width := q.Shape[0], q.Shape[1], q.Shape[2]
	a, b := n.distances(name+".rel.k", side, reach, width), n.distances(name+".rel.v", side, reach, width)
	near := func(label string, s Val) Val {
		n.macs += heads * seq * seq * width
		r := n.Node("Einsum", name+".rel.scores", []Val{q, a}, s.Shape, ir.StringAttr("equation", "bhqd,qkd->bhqk"))
		r = n.Node("Mul", name+".rel.scaled", []Val{r, n.scalar(name+".rel.scale", 1/math.Sqrt(float64(width)))}, s.Shape)
		return n.Add(label, s, r)
	}
	w := n.weights(name, q, k, near)
	y := n.mix(name, w, v, heads, seq, width)
	n.macs += heads * seq * seq * width
	r := n.Node("Einsum", name+".rel.mix", []Val{w, b}, y.Shape, ir.StringAttr("equation", "bhqk,qkd->bhqd"))
	return n.join(name+".join", n.Add(name+".rel.add", y, r))
}

// distances returns the vectors [1+side², 1+side², width] of all pairs of tokens.
// Row 0 of the tables is for pairs with the class token.
func (n *Net) distances(name string, side, reach, width int) Val {
	seq := side*side + 1
	var parts [2]Val
	for axis, role := range []string{".v", ".h"} {
		at := make([]int, seq*seq)
		for q := 1; q < seq; q++ {
			for k := 1; k < seq; k++ {
				d := (k-1)/side - (q-1)/side
				if axis == 1 {
					d = (k-1)%side - (q-1)%side
				}
				at[q*seq+k] = max(-reach, min(reach, d)) + reach + 1
			}
		}
		table := n.Param(name+role+".weight", []int{2*reach + 2, width}, Normal(0.02*n.spread()))
		index := n.ints(name+role+".index", at...)
		flat := n.Node("Gather", name+role, []Val{table, index}, []int{seq * seq, width}, ir.IntAttr("axis", 0))
		parts[axis] = n.Node("Reshape", name+role+".square", []Val{flat, n.ints(name+role+".shape", seq, seq, width)}, []int{seq, seq, width})
	}
	return n.Node("Add", name+".add", []Val{parts[0], parts[1]}, []int{seq, seq, width})
}
