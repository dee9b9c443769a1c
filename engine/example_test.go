package engine_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
)

// A loss, its gradient, and one run of both.
func Example() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{2, 3}})
	w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{3, 1}})
	y := b.MatMul(x, w, false, false)
	loss := b.Sum(b.Times(y, y), 0, 1)
	grads, err := engine.Grad(b, loss, []prim.ID{w})
	if err != nil {
		log.Fatal(err)
	}
	b.Output("loss", loss)
	b.Output("dw", grads[0])
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	out, err := engine.RunHost(cpu.New(cpu.Options{}), p, map[string]*prim.Tensor{
		"x": prim.F32Tensor([]float32{1, 0, 2, 0, 1, 1}, 2, 3),
		"w": prim.F32Tensor([]float32{1, 2, 3}, 3, 1),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out["loss"].F32, out["dw"].F32)
	// Output: [74] [14 10 38]
}

// The first pass alone, and all of them.
func ExampleRunPasses() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4}})
	b.Output("y", b.Relu(b.StopGrad(b.Scale(b.Plus(x, x), 3))))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []int{0, 1, len(engine.Passes())} {
		q, err := engine.RunPasses(p, engine.Passes()[:n])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n, "passes:", len(q.Nodes), "nodes")
	}
	// Output:
	// 0 passes: 5 nodes
	// 1 passes: 4 nodes
	// 7 passes: 2 nodes
}
