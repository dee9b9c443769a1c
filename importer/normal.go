package importer

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// Folder returns values of m's graph that are constant whatever its inputs are,
// by name. It does not change m.
type Folder func(m *ir.Model) (map[string]*ir.Tensor, error)

// WithFold lets Normal replace computed constants: every node whose outputs f
// all knows becomes initialisers.
func WithFold(f Folder) Option { return func(o *options) { o.fold = f } }

// WithCopies lets Normal apply next's patch: nodes that share a vector get copies of it, which
// know what they are copies of (ir.Tensor.Of).
func WithCopies(next func(m *ir.Model) (*ir.Patch, error)) Option {
	return func(o *options) { o.copies = next }
}

// Normal returns the normal stage of a raw model, which stays as it is. The
// result is standard ONNX of the same opsets with the same inputs and outputs:
// local functions are inlined, and branches that are always taken; constants are dense initialisers, not listed as
// inputs (hence IR version 4 or later); Identity, inactive Dropout and dead nodes
// are gone, a Sum of three computed operands or more is a chain of additions, and a copy of an embedding table is it, or its Transpose; the default domain is
// spelled "". The values that remain keep their names; nodes do, but for those whose name an
// earlier one has.
func Normal(raw *ir.Model, opts ...Option) (*ir.Model, error) {
	o := collect(opts)
	m := raw.Clone()
	if err := inlineFunctions(m); err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	plainDomains(m)
	if err := densify(m); err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	nameApart(m.Graph)
	m.IRVersion = max(m.IRVersion, 4)
	if err := ir.Verify(m); err != nil {
		return nil, fmt.Errorf("importer: normal: %w", err)
	}
	if _, err := pass.Run(m, passes(o), pass.Options{Verify: true}); err != nil {
		return nil, fmt.Errorf("importer: %w", err)
	}
	return m, nil
}

// Passes lists the passes of Normal in their order.
func Passes(opts ...Option) []pass.Pass { return passes(collect(opts)) }

func passes(o options) []pass.Pass {
	return []pass.Pass{
		frozenInputs(),
		constants(),
		identities(),
		dropouts(),
		dequantized(),
		sums(),
		folded(o.fold),
		branches(),
		tied(),
		dead(),
		copies(o.copies),
	}
}

// nameApart puts a number behind names that earlier nodes have: spaces and recipes address nodes
// by name, and runtimes refuse files where two share one.
func nameApart(g *ir.Graph) {
	taken := map[string]bool{}
	for _, n := range g.Nodes {
		taken[n.Name] = true
	}
	seen, last := map[string]bool{"": true}, map[string]int{}
	for _, n := range g.Nodes {
		if name := n.Name; name != "" && seen[name] {
			for k := max(last[name], 2); ; k++ {
				if n.Name = fmt.Sprintf("%s_%d", name, k); !taken[n.Name] {
					last[name] = k + 1
					break
				}
			}
			taken[n.Name] = true
		}
		seen[n.Name] = true
	}
}

// plainDomains spells the default domain "".
func plainDomains(m *ir.Model) {
	var opsets []ir.Opset
	for _, o := range m.Opsets {
		o.Domain = ir.NormalDomain(o.Domain)
		if !slices.ContainsFunc(opsets, func(p ir.Opset) bool { return p.Domain == o.Domain }) {
			opsets = append(opsets, o)
		}
	}
	m.Opsets = opsets
	ir.WalkNodes(m.Graph.Nodes, func(n *ir.Node) { n.Domain = ir.NormalDomain(n.Domain) })
}

// densify replaces sparse initialisers.
func densify(m *ir.Model) error {
	var err error
	ir.WalkGraphs(m.Graph, func(g *ir.Graph) {
		for _, s := range g.Sparse {
			t, e := s.Dense()
			if e != nil {
				err = fmt.Errorf("graph %q: %w", g.Name, e)
				return
			}
			g.Inits = append(g.Inits, t)
		}
		g.Sparse = nil
	})
	return err
}

func frozenInputs() pass.Pass {
	return pass.Pass{
		Name: "frozen-inputs", Doc: "initialisers are not listed as graph inputs",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			p := ir.NewPatch(m.Graph, "drop inputs that have an initializer")
			x := ir.NewIndex(m.Graph)
			for _, v := range m.Graph.Inputs {
				if x.Init(v.Name) != nil {
					p.RemoveInput(v.Name)
				}
			}
			return p, nil
		},
	}
}

func folded(f Folder) pass.Pass {
	return pass.Pass{
		Name: "fold", Doc: "values computed from constants become initialisers",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			p := ir.NewPatch(m.Graph, "fold constants")
			if f == nil {
				return p, nil
			}
			known, err := f(m)
			if err != nil {
				return nil, err
			}
			x := ir.NewIndex(m.Graph)
			for _, n := range m.Graph.Nodes {
				if ts := foldedOutputs(x, n, known); ts != nil {
					p.Remove(n)
					for _, t := range ts {
						p.AddInit(t)
					}
				}
			}
			return p, nil
		},
	}
}

func copies(next func(m *ir.Model) (*ir.Patch, error)) pass.Pass {
	return pass.Pass{
		Name: "copies", Doc: "vectors that an exporter merged are copied for the nodes that share them",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			if next == nil {
				return nil, nil
			}
			return next(m)
		},
	}
}

// largestFold is in bytes per value: a graph stays small although it says how to make something large.
const largestFold = 64 << 20

// foldedOutputs returns the initialisers that replace n, nil when it must stay.
func foldedOutputs(x *ir.Index, n *ir.Node, known map[string]*ir.Tensor) []*ir.Tensor {
	var ts []*ir.Tensor
	for _, o := range n.Outputs {
		if o == "" {
			continue
		}
		t := known[o]
		if t == nil || x.IsOutput(o) || len(t.Raw) > largestFold {
			return nil
		}
		c := *t
		c.Name = o
		ts = append(ts, &c)
	}
	return ts
}

func dead() pass.Pass {
	return pass.Pass{
		Name: "dead", Doc: "nodes and initialisers that no output needs are removed",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			g := m.Graph
			needed := map[string]bool{}
			for _, o := range g.Outputs {
				needed[o.Name] = true
			}
			p := ir.NewPatch(g, "remove what no output needs")
			for _, n := range slices.Backward(g.Nodes) {
				if !slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
					p.Remove(n)
					continue
				}
				for _, u := range ir.Uses(n) {
					needed[u] = true
				}
			}
			for _, t := range g.Inits {
				if !needed[t.Name] {
					p.RemoveInit(t.Name)
				}
			}
			return p, nil
		},
	}
}
