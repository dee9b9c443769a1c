package lower_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

func Example() {
	b := prim.NewBuilder()
	x := b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4, 3}})
	w := b.Input("w", prim.Type{DType: prim.F32, Shape: []int{3, 2}})
	b.Output("y", b.MatMul(x, w, false, false))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	m, err := lower.Lower(p, lower.Options{Precision: lower.TF32})
	if err != nil {
		log.Fatal(err)
	}
	name, _, _ := strings.Cut(m.Text, " {")
	fmt.Println(name)
	fmt.Println(strings.Count(m.Text, "stablehlo.dot_general"), "product, fault at", m.Fault)
	// Output:
	// module @entangle
	// 1 product, fault at -1
}
