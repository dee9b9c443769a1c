package importer

import (
	"fmt"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// sumVersion is the first version of the operator set in which Sum broadcasts as Add does.
const sumVersion = 8

// sums makes a Sum of more than two computed operands a chain of additions, in their order. The last has
// the node's name and output.
func sums() pass.Pass {
	return pass.Pass{
		Name: "sums", Doc: "a Sum of three computed operands or more is a chain of Add",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			if m.Opset("") < sumVersion {
				return nil, nil
			}
			taken := map[string]bool{}
			for _, n := range m.Graph.Nodes {
				taken[n.Name] = true
				for _, v := range append(append([]string{}, n.Inputs...), n.Outputs...) {
					taken[v] = true
				}
			}
			free := func(name string) string {
				for k := 2; taken[name]; k++ {
					name = fmt.Sprintf("%s_%d", name, k)
				}
				taken[name] = true
				return name
			}
			p := ir.NewPatch(m.Graph, "chain sums")
			for _, n := range m.Graph.Nodes {
				if !isOp(n, "Sum") || len(n.Inputs) < 3 || slices.ContainsFunc(n.Inputs, func(v string) bool { return m.Graph.Init(v) != nil }) {
					continue
				}
				var chain []*ir.Node
				x := n.Inputs[0]
				for k, y := range n.Inputs[1:] {
					add := &ir.Node{Name: n.Name, OpType: "Add", Inputs: []string{x, y}, Outputs: n.Outputs}
					if k+2 < len(n.Inputs) {
						x = free(fmt.Sprintf("%s.%d", n.Output(0), k+1))
						add.Name, add.Outputs = free(fmt.Sprintf("%s.%d", n.Label(), k+1)), []string{x}
					} else {
						add.Doc, add.Meta = n.Doc, n.Meta
					}
					chain = append(chain, add)
				}
				p.Replace(n, chain...)
			}
			return p, nil
		},
	}
}
