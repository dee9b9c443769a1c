package space

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
)

var kernelKind = Kind{
	Name: "kernel",
	Doc:  "odd size of a square, centred convolution kernel, in all nodes that share it; padding shrinks with it",
	Find: findKernels,
	Bind: bindKernel,
}

// kernelOf returns the weight, its spatial axes and the size of a node's square odd kernel.
func kernelOf(an *Analysis, n *ir.Node) (weight string, axes []int, size int, ok bool) {
	s := an.Facts.Sites[n]
	op := s.Rules()
	if op == nil || op.Kernel == nil {
		return "", nil, 0, false
	}
	in, axes, ok := op.Kernel(s)
	if !ok || !s.Input(in).Weight {
		return "", nil, 0, false
	}
	shape := s.Input(in).Shape()
	for _, a := range axes {
		if shape[a] != shape[axes[0]] {
			return "", nil, 0, false
		}
	}
	size = shape[axes[0]]
	return n.Input(in), axes, size, size%2 == 1 && size > 1
}

// kernelReaders returns, by weight, the nodes that read it, in graph order, and why its
// kernel cannot shrink on all of them together; "" where it can.
func kernelReaders(an *Analysis) (readers map[string][]*ir.Node, why map[string]string) {
	an.kernels.once.Do(func() { an.kernels.readers, an.kernels.why = findKernelReaders(an) })
	return an.kernels.readers, an.kernels.why
}

func findKernelReaders(an *Analysis) (readers map[string][]*ir.Node, why map[string]string) {
	readers, why = map[string][]*ir.Node{}, map[string]string{}
	g := an.Model.Graph
	uses := map[string][]*ir.Node{}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			uses[v] = append(uses[v], n)
		}
	}
	output := map[string]bool{}
	for _, v := range g.Outputs {
		output[v.Name] = true
	}
	for _, n := range g.Nodes {
		w, axes, size, ok := kernelOf(an, n)
		if !ok || readers[w] != nil {
			continue
		}
		readers[w] = uses[w]
		if output[w] {
			why[w] = "it is a graph output too"
		}
		for _, m := range uses[w] {
			if v, other, k, ok := kernelOf(an, m); !ok || v != w || k != size || !slices.Equal(other, axes) {
				why[w] = fmt.Sprintf("nodes %q and %q share it, and it may not shrink in the second", n.Label(), m.Label())
			}
		}
	}
	return readers, why
}

// pinKernels gives the axes of kernels that may shrink in one node, but not in all that
// share it, that reason.
func (an *Analysis) pinKernels() {
	readers, why := kernelReaders(an)
	for w, reason := range why {
		_, axes, _, _ := kernelOf(an, readers[w][0])
		for _, a := range axes {
			delete(an.Pins[w], a)
			an.pin(w, a, reason)
		}
	}
}

func findKernels(an *Analysis, o Options) []Dim {
	var out []Dim
	readers, why := kernelReaders(an)
	for _, n := range an.Model.Graph.Nodes {
		w, _, k, ok := kernelOf(an, n)
		if !ok || readers[w][0] != n || why[w] != "" || !o.allows(labels(readers[w])...) {
			continue
		}
		d := Dim{Name: "kernel:" + n.Label(), Kind: "kernel", Node: n.Label()}
		for c := 1; c <= k; c += 2 {
			d.Choices = append(d.Choices, c)
		}
		out = append(out, d)
	}
	return out
}

func labels(nodes []*ir.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Label())
	}
	return out
}

func bindKernel(an *Analysis, d Dim) (*Effect, error) {
	for _, n := range an.Model.Graph.Nodes {
		if n.Label() != d.Node {
			continue
		}
		w, axes, k, ok := kernelOf(an, n)
		readers, why := kernelReaders(an)
		if !ok || readers[w][0] != n || why[w] != "" {
			return nil, fmt.Errorf("space: dimension %q: node %q (%s): its kernel cannot shrink (want a square odd kernel with padding that can shrink with it, in the first of the nodes that share it)", d.Name, d.Node, n.OpType)
		}
		if err := d.check(k, 1); err != nil {
			return nil, err
		}
		e := &Effect{}
		for _, a := range axes {
			e.Axes = append(e.Axes, centred(AxisEffect{Value: w, Axis: a, Mask: true}, k, d.Choices))
		}
		for _, c := range d.Choices {
			if c%2 == 0 {
				return nil, fmt.Errorf("space: dimension %q: choices: want odd sizes, got %v", d.Name, d.Choices)
			}
		}
		return e, nil
	}
	return nil, fmt.Errorf("space: dimension %q: the model has no node %q", d.Name, d.Node)
}

// centred owns all positions of a kernel of that size, each from the first of ascending sizes
// on, the last being its own, whose centred window holds it.
func centred(ax AxisEffect, size int, sizes []int) AxisEffect {
	for p := range size {
		off := max(size/2-p, p-size/2) // distance from the centre
		first := 0
		for sizes[first]/2 < off {
			first++
		}
		ax.Own, ax.First = append(ax.Own, p), append(ax.First, first)
	}
	return ax
}
