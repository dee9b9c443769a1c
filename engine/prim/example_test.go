package prim_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine/prim"
)

// A convolution and a ReLU.
func Example() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{64, 3, 32, 32}})
	w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{16, 3, 3, 3}})
	y := b.Relu(b.Add(prim.Conv{Window: prim.UnitWindow(1, 1), Groups: 1}, x, w))
	b.Output("y", y)
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	for i, n := range p.Nodes {
		if n.Prim != nil {
			fmt.Println(i, n.Prim.Name(), n.In, n.Type)
		}
	}
	// Output:
	// 2 conv [0 1] f32[64 16 32 32]
	// 3 map [2] f32[64 16 32 32]
}
