package workloads

import (
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/internal/rng"
)

// decoder is a language model with learned positions whose head is its token table.
type decoder struct {
	transformer
	vocab, tokens int
}

var decoderSmall = decoder{
	transformer{embed: 256, depth: 6, heads: 4, hidden: 1024, causal: true, hiddens: []int{512, 768, 1024}, skips: []int{2, 1, 0}},
	2048, 128,
}

// objective is the mean cross-entropy of the next token; with super, heads, MLP widths
// and depth are mixtures.
func (d decoder) objective(super bool) objective {
	return func(n *net, stream string, batch int) (prim.ID, map[string]*prim.Tensor) {
		data := d.sequences(stream, batch)
		ids, next := n.batch("tokens", data), n.batch("next", data)
		table := n.weight("tokens.weight", normal("tokens.weight", 0.02, d.vocab, d.embed))
		x := n.Plus(n.Gather(table, ids, 0), n.weight("position", normal("position", 0.02, 1, d.tokens, d.embed)))
		x = d.layers(n, n.Reshape(x, batch*d.tokens, d.embed), batch, super)
		logits := n.MatMul(n.layerNorm("norm", x), table, false, true)
		every := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{1, d.vocab}})
		for i := range every.I64 {
			every.I64[i] = int64(i)
		}
		picked := prim.Op(prim.Mul, prim.A(0), prim.Op(prim.Eq, prim.A(1), prim.A(2)))
		sum := n.Reduce(prim.ReduceSum, []int{0, 1}, picked, n.LogSoftmax(logits, 1), next, n.Const(every))
		return n.Reshape(n.Scale(sum, -1/float64(batch*d.tokens))), data
	}
}

// sequences draws tokens [batch, tokens], and next [batch·tokens, 1] that follow them.
func (d decoder) sequences(stream string, batch int) map[string]*prim.Tensor {
	r := rng.New(0, "workloads/"+stream+"/tokens")
	ids := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{batch, d.tokens}})
	next := prim.NewTensor(prim.Type{DType: prim.I64, Shape: []int{batch * d.tokens, 1}})
	for i := range batch {
		t := int64(r.IntN(d.vocab))
		for j := range d.tokens {
			at := i*d.tokens + j
			ids.I64[at] = t
			t = int64(r.IntN(d.vocab))
			next.I64[at] = t
		}
	}
	return map[string]*prim.Tensor{"tokens": ids, "next": next}
}

// causalMask is [1, 1, tokens, tokens]: 0 for keys up to the query's position, -1e9 behind it.
func causalMask(tokens int) *prim.Tensor {
	m := full(0, 1, 1, tokens, tokens)
	for i := range tokens {
		for j := i + 1; j < tokens; j++ {
			m.F32[i*tokens+j] = -1e9
		}
	}
	return m
}
