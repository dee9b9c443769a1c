package pass_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ir/pass"
)

// A pass that drops Identity nodes, one per patch.
func Example() {
	identities := pass.Pass{
		Name: "identities", Doc: "Identity nodes are removed",
		Next: func(m *ir.Model) (*ir.Patch, error) {
			for _, n := range m.Graph.Nodes {
				if n.OpType == "Identity" {
					p := ir.NewPatch(m.Graph, "drop "+n.Name)
					p.Rewire(n.Output(0), n.Input(0))
					p.Remove(n)
					return p, nil
				}
			}
			return nil, nil
		},
	}
	m, err := ir.Parse(`model { ir 8 opset _ 17 }
		graph g { input x none output y none node a: (h) = Identity(x) node b: (i) = Identity(h) node c: (y) = Relu(i) }`)
	if err != nil {
		log.Fatal(err)
	}
	steps, err := pass.Run(m, []pass.Pass{identities}, pass.Options{Verify: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range steps {
		fmt.Println(s.N, s.Pass, s.Title)
	}
	// Output:
	// 1 identities drop a
	// 2 identities drop b
}
