module @entangle attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["batch"=2]>
  func.func @main(%arg0: tensor<3x5xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>, tf.aliasing_output = 1 : i32}, %arg1: tensor<8x3xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}, %arg2: tensor<8x5xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}) -> (tensor<1x1xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}, tensor<3x5xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}) {
    %0 = "sdy.sharding_constraint"(%arg1) {sharding = #sdy.sharding<@mesh, [{"batch"}, {}]>} : (tensor<8x3xf32>) -> tensor<8x3xf32>
    %1 = "sdy.sharding_constraint"(%arg2) {sharding = #sdy.sharding<@mesh, [{"batch"}, {}]>} : (tensor<8x5xf32>) -> tensor<8x5xf32>
    %2 = "stablehlo.dot_general"(%0, %arg0) {dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<8x3xf32>, tensor<3x5xf32>) -> tensor<8x5xf32>
    %3 = "stablehlo.multiply"(%2, %1) : (tensor<8x5xf32>, tensor<8x5xf32>) -> tensor<8x5xf32>
    %4 = "stablehlo.constant"() {value = dense<0.0e+00> : tensor<f32>} : () -> tensor<f32>
    %5 = "stablehlo.reduce"(%3, %4) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0, 1>} : (tensor<8x5xf32>, tensor<f32>) -> tensor<f32>
    %6 = "stablehlo.reshape"(%5) : (tensor<f32>) -> tensor<1x1xf32>
    %7 = "stablehlo.dot_general"(%0, %1) {dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [0], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<8x3xf32>, tensor<8x5xf32>) -> tensor<3x5xf32>
    %8 = "stablehlo.subtract"(%arg0, %7) : (tensor<3x5xf32>, tensor<3x5xf32>) -> tensor<3x5xf32>
    "func.return"(%6, %8) : (tensor<1x1xf32>, tensor<3x5xf32>) -> ()
  }
}
