module @entangle {
  func.func @main(%arg0: tensor<8x32x16x16xf32>, %arg1: tensor<64x16x3x3xf32>) -> (tensor<8x64x8x8xf32>, tensor<8x32x16x16xf32>, tensor<64x16x3x3xf32>) {
    %0 = "stablehlo.convolution"(%arg0, %arg1) {window_strides = array<i64: 2, 2>, padding = dense<[[1, 1], [1, 1]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]>, feature_group_count = 2 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<8x32x16x16xf32>, tensor<64x16x3x3xf32>) -> tensor<8x64x8x8xf32>
    %1 = "stablehlo.reshape"(%arg1) : (tensor<64x16x3x3xf32>) -> tensor<2x32x16x3x3xf32>
    %2 = "stablehlo.transpose"(%1) {permutation = array<i64: 1, 0, 2, 3, 4>} : (tensor<2x32x16x3x3xf32>) -> tensor<32x2x16x3x3xf32>
    %3 = "stablehlo.reshape"(%2) : (tensor<32x2x16x3x3xf32>) -> tensor<32x32x3x3xf32>
    %4 = "stablehlo.reverse"(%3) {dimensions = array<i64: 2, 3>} : (tensor<32x32x3x3xf32>) -> tensor<32x32x3x3xf32>
    %5 = "stablehlo.convolution"(%0, %4) {window_strides = array<i64: 1, 1>, padding = dense<[[1, 2], [1, 2]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 2, 2>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, f, 0, 1]x[i, o, 0, 1]->[b, f, 0, 1]>, feature_group_count = 2 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<8x64x8x8xf32>, tensor<32x32x3x3xf32>) -> tensor<8x32x16x16xf32>
    %6 = "stablehlo.convolution"(%arg0, %0) {window_strides = array<i64: 1, 1>, padding = dense<[[1, 0], [1, 0]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 2, 2>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[f, b, 0, 1]x[i, o, 0, 1]->[f, b, 0, 1]>, feature_group_count = 1 : i64, batch_group_count = 2 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<8x32x16x16xf32>, tensor<8x64x8x8xf32>) -> tensor<64x16x3x3xf32>
    "func.return"(%0, %5, %6) : (tensor<8x64x8x8xf32>, tensor<8x32x16x16xf32>, tensor<64x16x3x3xf32>) -> ()
  }
}
