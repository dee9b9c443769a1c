package hloeval_test

import (
	"fmt"
	"log"

	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
)

func Example() {
	m, err := hloeval.Parse(`module @double {
  func.func @main(%arg0: tensor<2xf32>) -> (tensor<2xf32>) {
    %0 = "stablehlo.add"(%arg0, %arg0) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    "func.return"(%0) : (tensor<2xf32>) -> ()
  }
}`)
	if err != nil {
		log.Fatal(err)
	}
	x := hloeval.New(hloeval.Type{Elem: "f32", Shape: []int{2}})
	x.F[0], x.F[1] = 1, -2
	out, err := m.Run([]*hloeval.Tensor{x})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0].F)
	// Output: [2 -4]
}
