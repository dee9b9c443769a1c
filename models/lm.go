package models

import (
	"math"

	"github.com/entangle-nas/entangle/ir"
)

// LM is one architecture of the paper's language-model space: a GPT without
// biases, its head tied to the embedding.
type LM struct {
	Embed  int
	Layers []LMLayer
}

// LMLayer is a block's choices: attention heads, of width Embed/Heads, and MLP
// width over Embed.
type LMLayer struct{ Heads, Ratio int }

// LMSpace is the choices of one language-model space.
type LMSpace struct{ Embeds, Depths, Heads, Ratios []int }

// The spaces of the paper; the third, for characters of Shakespeare, is older.
var (
	LMTinyStories = LMSpace{Embeds: []int{384, 576, 768}, Depths: []int{5, 6, 7}, Heads: []int{6, 8, 12}, Ratios: []int{2, 3, 4}}
	LMOpenWebText = LMSpace{Embeds: []int{192, 384, 768}, Depths: []int{10, 11, 12}, Heads: []int{6, 8, 12}, Ratios: []int{2, 3, 4}}
	LMShakespeare = LMSpace{Embeds: []int{96, 192, 384}, Depths: []int{4, 5, 6}, Heads: []int{2, 4, 6}, Ratios: []int{2, 3, 4}}
)

// Size returns the number of architectures.
func (s LMSpace) Size() float64 {
	total := 0.0
	for _, d := range s.Depths {
		total += math.Pow(float64(len(s.Heads)*len(s.Ratios)), float64(d))
	}
	return total * float64(len(s.Embeds))
}

// Largest returns the architecture whose weights the others share.
func (s LMSpace) Largest() LM {
	last := func(v []int) int { return v[len(v)-1] }
	return LM{Embed: last(s.Embeds), Layers: repeated(last(s.Depths), LMLayer{last(s.Heads), last(s.Ratios)})}
}

// Build returns the network; defaults are the vocabulary of 50,304 and sequences of 224.
func (a LM) Build(o Options) (*ir.Model, error) { return a.Entry().Build(o) }

// Entry returns the network as an entry, for Build and Count.
func (a LM) Entry() Entry {
	return Entry{Name: "lm", Defaults: Options{Size: 224, Vocab: 50304}, Wire: a.wire}
}

func (a LM) wire(n *Net, o Options) {
	g := gpt{vocab: o.Vocab, seq: o.Size, embed: a.Embed, drop: 0.2}
	for _, l := range a.Layers {
		g.layers = append(g.layers, gptLayer{l.Heads, a.Embed / max(l.Heads, 1), a.Embed * l.Ratio})
	}
	n.gpt(g)
}
