package ir_test

import (
	"fmt"
	"log"
	"os"

	"github.com/entangle-nas/entangle/ir"
)

// A graph is read as text, checked, changed by a patch and printed.
func Example() {
	m, err := ir.Parse(`model { ir 8 opset _ 17 }
		graph g { input x float32[2] output y float32[2] node a: (h) = Identity(x) node b: (y) = Relu(h) }`)
	if err != nil {
		log.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		log.Fatal(err)
	}
	fmt.Println("readers of h:", len(ir.NewIndex(m.Graph).Consumers("h")))
	first := m.Graph.Nodes[0]
	p := ir.NewPatch(m.Graph, "drop the first node")
	p.Rewire(first.Output(0), first.Input(0))
	p.Remove(first)
	if err := p.Apply(m); err != nil {
		log.Fatal(err)
	}
	if err := ir.Print(os.Stdout, m); err != nil {
		log.Fatal(err)
	}
	// Output:
	// readers of h: 1
	// model {
	//   ir 8
	//   opset _ 17
	// }
	// graph g {
	//   input x float32[2]
	//   output y float32[2]
	//   node b: (y) = Relu(x)
	// }
}
