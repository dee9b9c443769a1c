package ops_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// Shapes of a model, and the primitives that it becomes.
func Example() {
	m, err := ir.Parse(`model { ir 8 opset _ 17 }
		graph g { input x float32[batch, 3] output y float32[batch, 2] init w float32[3, 2] = [1, 2, 3, 4, 5, 6]
			node a: (h) = MatMul(x, w) node b: (y) = Relu(h) }`)
	if err != nil {
		log.Fatal(err)
	}
	facts, err := ops.InferModel(m, map[string]int{"batch": 8})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("h is", facts.Values["h"].Type)
	b := prim.NewBuilder()
	vals, err := ops.Lower(b, m, facts, ops.Hooks{Seed: prim.Invalid})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("y is", b.Node(vals["y"]).Prim.Name(), b.Type(vals["y"]))
	// Output:
	// h is float32[8,2]
	// y is map f32[8 2]
}
