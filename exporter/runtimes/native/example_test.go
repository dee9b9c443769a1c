package native_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/exporter/runtimes/native"
	"github.com/entangle-nas/entangle/ir"
)

func Example() {
	m, err := ir.Parse(`model { ir 8 opset _ 13 } graph g { input x float32[1, 3] output y float32[1, 3] init w float32[1, 3] = [1, 1, 1] node a: (y) = Add(x, w) }`)
	if err != nil {
		log.Fatal(err)
	}
	rt := native.New(cpu.New(cpu.Options{}), native.Options{Float: prim.F32})
	s, err := rt.Open(runtimes.Source{Model: m})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := ir.NewFloats("x", ir.Float32, []int{1, 3}, []float64{-1, 0, 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := s.Run(map[string]*ir.Tensor{"x": x})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out["y"].Float64s())
	// Output: [0 1 3] <nil>
}
