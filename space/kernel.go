package space

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

var kernelKind = Kind{
	Name: "kernel",
	Doc:  "odd size of a square, centred convolution kernel; padding shrinks with it",
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

// users counts the nodes that read each value.
func users(g *ir.Graph) map[string]int {
	out := map[string]int{}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			out[v]++
		}
	}
	for _, v := range g.Outputs {
		out[v.Name]++
	}
	return out
}

func findKernels(an *Analysis, o Options) []Dim {
	var out []Dim
	use := users(an.Model.Graph)
	for _, n := range an.Model.Graph.Nodes {
		w, _, k, ok := kernelOf(an, n)
		if !ok || use[w] > 1 || !o.allows(n.Label()) {
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

func bindKernel(an *Analysis, d Dim) (*Effect, error) {
	for _, n := range an.Model.Graph.Nodes {
		if n.Label() != d.Node {
			continue
		}
		w, axes, k, ok := kernelOf(an, n)
		if !ok || users(an.Model.Graph)[w] > 1 {
			return nil, fmt.Errorf("space: dimension %q: node %q (%s): its kernel cannot shrink (want a square odd kernel of its own with padding that can shrink with it)", d.Name, d.Node, n.OpType)
		}
		if err := d.check(k, 1); err != nil {
			return nil, err
		}
		e := &Effect{}
		for _, a := range axes {
			ae := AxisEffect{Value: w, Axis: a, Mask: true}
			for p := range k {
				off := max(k/2-p, p-k/2) // distance from the centre
				first := 0
				for d.Choices[first]/2 < off {
					first++
				}
				ae.Own, ae.First = append(ae.Own, p), append(ae.First, first)
			}
			e.Axes = append(e.Axes, ae)
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
