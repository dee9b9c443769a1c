package stablehlo_test

import (
	"fmt"

	"github.com/entangle-nas/entangle/engine/xla/stablehlo"
)

func Example() {
	f := stablehlo.NewFunc()
	x := f.Arg(stablehlo.Type{Elem: stablehlo.F32, Shape: []int{4}})
	y := f.Unary("exponential", x)
	fmt.Println(stablehlo.Module{Name: "step", Func: f}.Text([]stablehlo.Value{y}))
	// Output:
	// module @step {
	//   func.func @main(%arg0: tensor<4xf32>) -> (tensor<4xf32>) {
	//     %0 = "stablehlo.exponential"(%arg0) : (tensor<4xf32>) -> tensor<4xf32>
	//     "func.return"(%0) : (tensor<4xf32>) -> ()
	//   }
	// }
}
