package ref_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
)

// F32 results are those of float64, rounded once.
func Example() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{3}})
	b.Output("y", b.Sum(x, 0))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"x": prim.F32Tensor([]float32{1 << 24, 1, 1}, 3)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f\n", out["y"].F32[0])
	// Output: 16777218
}
