module @entangle {
  func.func @main(%arg0: tensor<4xf32> {tf.aliasing_output = 2 : i32}, %arg1: tensor<4xf32>) -> (tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = "stablehlo.constant"() {value = dense<0.0e+00> : tensor<f32>} : () -> tensor<f32>
    %1 = "stablehlo.reduce"(%arg1, %0) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0>} : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
    %2 = "stablehlo.reshape"(%1) : (tensor<f32>) -> tensor<1xf32>
    %3 = "stablehlo.subtract"(%arg0, %arg1) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    "func.return"(%2, %arg1, %3) : (tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> ()
  }
}
