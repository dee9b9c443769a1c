package xla_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla"
	"github.com/entangle-nas/entangle/engine/xla/lower"
	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

// A program on the first GPU.
func Example() {
	ctx := context.Background()
	found, err := plugin.Find(ctx, plugin.Search{Getenv: os.Getenv})
	if err != nil {
		log.Fatal(err)
	}
	be, err := xla.Open(ctx, xla.Options{Plugin: found.Path, Libraries: found.Libraries(), CUDAData: found.CUDAData(), Precision: lower.TF32})
	if err != nil {
		log.Fatal(err) // xla.ErrNotBuilt without the tag
	}
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{3}})
	b.Output("y", b.Unary(prim.Exp, x))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	out, err := engine.RunHost(be, p, map[string]*prim.Tensor{"x": prim.F32Tensor([]float32{0, 1, 2}, 3)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out["y"].F32)
}
