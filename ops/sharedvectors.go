package ops

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// SeparateVectors gives nodes that share a floating vector, which an exporter merged from
// equal ones (zero biases, scales of one), copies of their own: what importer.WithCopies
// takes. Only parameters, statistics and operands of elementwise operators are copied. Nodes
// stay together where they are one layer that stands twice: they share, in the same place,
// the vector and all other weights, or a vector of unequal elements alone.
func SeparateVectors(m *ir.Model) (*ir.Patch, error) {
	g := m.Graph
	p := ir.NewPatch(g, "copy shared vectors")
	weights, taken := map[string]*ir.Tensor{}, map[string]bool{}
	for _, t := range g.Inits {
		if taken[t.Name] = true; t.DType.IsFloat() && t.Len() > 1 {
			weights[t.Name] = t
		}
	}
	for _, v := range g.Inputs {
		taken[v.Name] = true
	}
	index := ir.NewIndex(g)
	layers := map[string][]string{} // vector → layers that read it, in graph order; "" is one that keeps it
	type read struct{ vector, layer string }
	reads := map[*ir.Node][]read{}
	for at, n := range g.Nodes {
		for _, o := range n.Outputs {
			taken[o] = true
		}
		op := Lookup(n.Domain, n.OpType)
		reads[n] = make([]read, len(n.Inputs))
		for i, v := range n.Inputs {
			t := weights[v]
			if t == nil || !isVector(t) {
				continue
			}
			layer := ""
			if op != nil && (op.Scales || slices.Contains(op.Params, i) || slices.Contains(op.State, i)) {
				if layer = layerOf(n, i, weights); layer == "" && uniform(t) {
					layer = fmt.Sprintf("node %d", at)
				}
				layer = fmt.Sprintf("input %d of %s", i, layer)
			}
			reads[n][i] = read{v, layer}
			if !slices.Contains(layers[v], layer) {
				layers[v] = append(layers[v], layer)
			}
		}
	}
	copies := map[read]string{}
	for _, n := range g.Nodes {
		var own *ir.Node
		for i, r := range reads[n] {
			others := layers[r.vector]
			keeps := r.layer == "" || r.layer == others[0] && !slices.Contains(others, "") && !usedInside(index, r.vector)
			if r.vector == "" || keeps {
				continue
			}
			if copies[r] == "" {
				c := *weights[r.vector]
				c.Name, c.Of = fresh(r.vector+"."+n.Label(), taken), r.vector
				copies[r] = c.Name
				p.AddInit(&c)
			}
			if own == nil {
				own = n.Clone()
			}
			own.Inputs[i] = copies[r]
		}
		if own != nil {
			p.Replace(n, own)
		}
	}
	return p, nil
}

// layerOf names the weights beside input i that make a node one layer: matrices, and vectors
// of unequal elements.
func layerOf(n *ir.Node, i int, weights map[string]*ir.Tensor) string {
	var out []string
	for k, v := range n.Inputs {
		if t := weights[v]; k != i && t != nil && (!isVector(t) || !uniform(t)) {
			out = append(out, fmt.Sprintf("%d %q", k, v))
		}
	}
	return strings.Join(out, ", ")
}

// isVector reports one axis at most of more than one position.
func isVector(t *ir.Tensor) bool { return slices.Contains(t.Dims, t.Len()) }

// uniform reports equal elements.
func uniform(t *ir.Tensor) bool {
	w := t.DType.Bits() / 8
	return w > 0 && len(t.Raw) >= w && bytes.Equal(t.Raw[w:], t.Raw[:len(t.Raw)-w])
}

// usedInside reports a value that a subgraph reads.
func usedInside(x *ir.Index, value string) bool {
	return slices.ContainsFunc(x.Consumers(value), func(n *ir.Node) bool { return !slices.Contains(n.Inputs, value) })
}

func fresh(base string, taken map[string]bool) string {
	name := base
	for k := 2; taken[name]; k++ {
		name = fmt.Sprintf("%s%d", base, k)
	}
	taken[name] = true
	return name
}
