module @entangle {
  func.func @main(%arg0: tensor<4x16x32x32xf32>, %arg1: tensor<16x16x3x3xf32>, %arg2: tensor<1x16x1x1xf32>) -> (tensor<4x16x32x32xf32>, tensor<4x16x32x32xf32>, tensor<1x16x1x1xf32>, tensor<1x1x1x16xf32>) {
    %0 = "stablehlo.convert"(%arg0) : (tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xbf16>
    %1 = "stablehlo.convert"(%arg1) : (tensor<16x16x3x3xf32>) -> tensor<16x16x3x3xbf16>
    %2 = "stablehlo.convolution"(%0, %1) {window_strides = array<i64: 1, 1>, padding = dense<[[1, 1], [1, 1]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<4x16x32x32xbf16>, tensor<16x16x3x3xbf16>) -> tensor<4x16x32x32xbf16>
    %3 = "stablehlo.convert"(%2) : (tensor<4x16x32x32xbf16>) -> tensor<4x16x32x32xf32>
    %4 = "stablehlo.constant"() {value = dense<0.0e+00> : tensor<f32>} : () -> tensor<f32>
    %5 = "stablehlo.reduce"(%3, %4) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0, 2, 3>} : (tensor<4x16x32x32xf32>, tensor<f32>) -> tensor<16xf32>
    %6 = "stablehlo.reshape"(%5) : (tensor<16xf32>) -> tensor<1x16x1x1xf32>
    %7 = "stablehlo.constant"() {value = dense<2.44140625e-04> : tensor<f32>} : () -> tensor<f32>
    %8 = "stablehlo.broadcast_in_dim"(%7) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<1x16x1x1xf32>
    %9 = "stablehlo.multiply"(%6, %8) : (tensor<1x16x1x1xf32>, tensor<1x16x1x1xf32>) -> tensor<1x16x1x1xf32>
    %10 = "stablehlo.broadcast_in_dim"(%9) {broadcast_dimensions = array<i64: 0, 1, 2, 3>} : (tensor<1x16x1x1xf32>) -> tensor<4x16x32x32xf32>
    %11 = "stablehlo.subtract"(%3, %10) : (tensor<4x16x32x32xf32>, tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xf32>
    %12 = "stablehlo.broadcast_in_dim"(%arg2) {broadcast_dimensions = array<i64: 0, 1, 2, 3>} : (tensor<1x16x1x1xf32>) -> tensor<4x16x32x32xf32>
    %13 = "stablehlo.multiply"(%11, %12) : (tensor<4x16x32x32xf32>, tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xf32>
    %14 = "stablehlo.broadcast_in_dim"(%4) {broadcast_dimensions = array<i64>} : (tensor<f32>) -> tensor<4x16x32x32xf32>
    %15 = "stablehlo.maximum"(%13, %14) : (tensor<4x16x32x32xf32>, tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xf32>
    %16 = "stablehlo.convert"(%15) : (tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xbf16>
    %17 = "stablehlo.convolution"(%16, %1) {window_strides = array<i64: 1, 1>, padding = dense<[[1, 1], [1, 1]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<4x16x32x32xbf16>, tensor<16x16x3x3xbf16>) -> tensor<4x16x32x32xbf16>
    %18 = "stablehlo.convert"(%17) : (tensor<4x16x32x32xbf16>) -> tensor<4x16x32x32xf32>
    %19 = "stablehlo.convert"(%18) : (tensor<4x16x32x32xf32>) -> tensor<4x16x32x32xbf16>
    %20 = "stablehlo.reverse"(%1) {dimensions = array<i64: 2, 3>} : (tensor<16x16x3x3xbf16>) -> tensor<16x16x3x3xbf16>
    %21 = "stablehlo.convolution"(%19, %20) {window_strides = array<i64: 1, 1>, padding = dense<[[1, 1], [1, 1]]> : tensor<2x2xi64>, lhs_dilation = array<i64: 1, 1>, rhs_dilation = array<i64: 1, 1>, window_reversal = array<i1: false, false>, dimension_numbers = #stablehlo.conv<[b, f, 0, 1]x[i, o, 0, 1]->[b, f, 0, 1]>, feature_group_count = 1 : i64, batch_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<4x16x32x32xbf16>, tensor<16x16x3x3xbf16>) -> tensor<4x16x32x32xbf16>
    %22 = "stablehlo.convert"(%21) : (tensor<4x16x32x32xbf16>) -> tensor<4x16x32x32xf32>
    %23 = "stablehlo.transpose"(%2) {permutation = array<i64: 0, 2, 3, 1>} : (tensor<4x16x32x32xbf16>) -> tensor<4x32x32x16xbf16>
    %24 = "stablehlo.transpose"(%16) {permutation = array<i64: 0, 2, 3, 1>} : (tensor<4x16x32x32xbf16>) -> tensor<4x32x32x16xbf16>
    %25 = "stablehlo.convert"(%23) : (tensor<4x32x32x16xbf16>) -> tensor<4x32x32x16xf32>
    %26 = "stablehlo.convert"(%24) : (tensor<4x32x32x16xbf16>) -> tensor<4x32x32x16xf32>
    %27 = "stablehlo.add"(%25, %26) : (tensor<4x32x32x16xf32>, tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xf32>
    %28 = "stablehlo.convert"(%27) : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xbf16>
    %29 = "stablehlo.convert"(%28) : (tensor<4x32x32x16xbf16>) -> tensor<4x32x32x16xf32>
    %30 = "stablehlo.reduce"(%29, %4) ({
      ^bb0(%lhs: tensor<f32>, %rhs: tensor<f32>):
        %fold = "stablehlo.add"(%lhs, %rhs) : (tensor<f32>, tensor<f32>) -> tensor<f32>
        "stablehlo.return"(%fold) : (tensor<f32>) -> ()
    }) {dimensions = array<i64: 0, 1, 2>} : (tensor<4x32x32x16xf32>, tensor<f32>) -> tensor<16xf32>
    %31 = "stablehlo.reshape"(%30) : (tensor<16xf32>) -> tensor<1x1x1x16xf32>
    "func.return"(%18, %22, %9, %31) : (tensor<4x16x32x32xf32>, tensor<4x16x32x32xf32>, tensor<1x16x1x1xf32>, tensor<1x1x1x16xf32>) -> ()
  }
}
