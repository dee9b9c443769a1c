module @entangle {
  func.func @main(%arg0: tensor<4x3x5x5xf32>) -> (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) {
    %0 = "stablehlo.slice"(%arg0) {start_indices = array<i64: 2, 0, 2, 2>, limit_indices = array<i64: 3, 3, 3, 3>, strides = array<i64: 1, 1, 1, 1>} : (tensor<4x3x5x5xf32>) -> tensor<1x3x1x1xf32>
    %1 = "stablehlo.broadcast_in_dim"(%0) {broadcast_dimensions = array<i64: 0, 1, 2, 3>} : (tensor<1x3x1x1xf32>) -> tensor<4x3x5x5xf32>
    %2 = "stablehlo.subtract"(%arg0, %1) : (tensor<4x3x5x5xf32>, tensor<4x3x5x5xf32>) -> tensor<4x3x5x5xf32>
    %3 = "stablehlo.constant"() {value = dense<0.0e+00> : tensor<f32>} : () -> tensor<f32>
    %4 = "stablehlo.reduce"(%2, %3) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0, 2, 3>} : (tensor<4x3x5x5xf32>, tensor<f32>) -> tensor<3xf32>
    %5 = "stablehlo.reshape"(%4) : (tensor<3xf32>) -> tensor<1x3x1x1xf32>
    %6 = "stablehlo.constant"() {value = dense<9.999999776482582e-03> : tensor<f32>} : () -> tensor<f32>
    %7 = "stablehlo.broadcast_in_dim"(%6) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<1x3x1x1xf32>
    %8 = "stablehlo.multiply"(%5, %7) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    %9 = "stablehlo.add"(%8, %0) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    %10 = "stablehlo.broadcast_in_dim"(%0) {broadcast_dimensions = array<i64: 0, 1, 2, 3>} : (tensor<1x3x1x1xf32>) -> tensor<4x3x5x5xf32>
    %11 = "stablehlo.subtract"(%arg0, %10) : (tensor<4x3x5x5xf32>, tensor<4x3x5x5xf32>) -> tensor<4x3x5x5xf32>
    %12 = "stablehlo.multiply"(%11, %11) : (tensor<4x3x5x5xf32>, tensor<4x3x5x5xf32>) -> tensor<4x3x5x5xf32>
    %13 = "stablehlo.reduce"(%12, %3) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0, 2, 3>} : (tensor<4x3x5x5xf32>, tensor<f32>) -> tensor<3xf32>
    %14 = "stablehlo.reshape"(%13) : (tensor<3xf32>) -> tensor<1x3x1x1xf32>
    %15 = "stablehlo.multiply"(%5, %5) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    %16 = "stablehlo.broadcast_in_dim"(%6) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<1x3x1x1xf32>
    %17 = "stablehlo.multiply"(%15, %16) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    %18 = "stablehlo.subtract"(%14, %17) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    %19 = "stablehlo.broadcast_in_dim"(%3) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<1x3x1x1xf32>
    %20 = "stablehlo.maximum"(%18, %19) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x3x1x1xf32>
    "func.return"(%9, %20) : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> ()
  }
}
