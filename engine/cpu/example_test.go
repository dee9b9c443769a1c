package cpu_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
)

// Compile once, run on buffers.
func Example() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{3}})
	b.Output("y", b.Unary(prim.Neg, x))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	be := cpu.New(cpu.Options{Threads: 2})
	exe, err := be.Compile(p)
	if err != nil {
		log.Fatal(err)
	}
	in, err := be.Upload(prim.F32Tensor([]float32{1, 2, 3}, 3))
	if err != nil {
		log.Fatal(err)
	}
	out, err := exe.Run([]engine.Buffer{in})
	if err != nil {
		log.Fatal(err)
	}
	y, err := out[0].Read()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y.Type, y.F32)
	// Output: f32[3] [-1 -2 -3]
}
